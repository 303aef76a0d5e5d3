package policy

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// MaxSize is the largest bucket policy, in octets, as at AWS.
const MaxSize = 20 << 10

const maxDepth = 8 // the deepest that the language has is 5

// malformed is MalformedPolicy with a text that names the element.
func malformed(text string) *s3xml.Error { return s3xml.Say(s3xml.MalformedPolicy, text) }

func notJSON() *s3xml.Error { return s3xml.New(s3xml.MalformedPolicy) }

type valueKind uint8

const (
	stringValue valueKind = iota
	scalarValue           // a number or a boolean, as it is written
	listValue
	objectValue
	nullValue
)

// value is JSON with the order of fields kept and no name twice.
type value struct {
	kind   valueKind
	text   string
	list   []value
	fields []field
}

type field struct {
	name  string
	value value
}

// readJSON reads one document, an object.
func readJSON(doc []byte) (value, error) {
	if len(doc) > MaxSize {
		return value{}, malformed("Policy exceeds the maximum allowed document size.")
	}
	if len(doc) == 0 || doc[0] != '{' {
		return value{}, notJSON()
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return value{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return value{}, notJSON()
	}
	return v, nil
}

func readValue(d *json.Decoder, depth int) (value, error) {
	t, err := d.Token()
	if err != nil || depth > maxDepth {
		return value{}, notJSON()
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return readObject(d, depth)
		}
		return readList(d, depth)
	case string:
		return value{kind: stringValue, text: t}, nil
	case json.Number:
		return value{kind: scalarValue, text: t.String()}, nil
	case bool:
		if t {
			return value{kind: scalarValue, text: "true"}, nil
		}
		return value{kind: scalarValue, text: "false"}, nil
	}
	return value{kind: nullValue}, nil
}

func readList(d *json.Decoder, depth int) (value, error) {
	v := value{kind: listValue}
	for d.More() {
		e, err := readValue(d, depth+1)
		if err != nil {
			return v, err
		}
		v.list = append(v.list, e)
	}
	if _, err := d.Token(); err != nil {
		return v, notJSON()
	}
	return v, nil
}

func readObject(d *json.Decoder, depth int) (value, error) {
	v := value{kind: objectValue}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return v, notJSON()
		}
		if seen[name] {
			return v, malformed("Duplicate field " + name)
		}
		seen[name] = true
		e, err := readValue(d, depth+1)
		if err != nil {
			return v, err
		}
		v.fields = append(v.fields, field{name, e})
	}
	if _, err := d.Token(); err != nil {
		return v, notJSON()
	}
	return v, nil
}

// strings is a string, or a list of at least one; numbers and booleans stand as written.
func (v value) strings(element string) ([]string, error) {
	switch v.kind {
	case stringValue, scalarValue:
		return []string{v.text}, nil
	case listValue:
		out := make([]string, 0, len(v.list))
		for _, e := range v.list {
			if e.kind != stringValue && e.kind != scalarValue {
				return nil, malformed("Invalid value in " + element)
			}
			out = append(out, e.text)
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, malformed(element + " must be a string or a list of strings")
}
