package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// looksLikeJSON tells whether a file is read as JSON. YAML contains JSON, but not with
// tabs, which JSON writers like to use.
func looksLikeJSON(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n\ufeff")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(firstValue(b))
}

// firstValue returns the first JSON value of b, or b where it has none.
func firstValue(b []byte) []byte {
	var raw json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&raw); err != nil {
		return b
	}
	return raw
}

// parseJSON builds the nodes that the YAML reader would, with their lines.
func parseJSON(file string, b []byte) ([]*Document, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	j := &jsonReader{file: file, b: b, dec: json.NewDecoder(bytes.NewReader(b))}
	j.dec.UseNumber()
	r := &reader{file: file, most: perByte * len(b)}
	for {
		n, err := j.next(0)
		if errors.Is(err, io.EOF) {
			return r.docs, nil
		}
		if err == nil {
			err = r.add(n)
		}
		if err != nil {
			return nil, err
		}
	}
}

type jsonReader struct {
	file string
	b    []byte
	dec  *json.Decoder
	at   int64 // up to here lines are counted
	line int   // complete lines before at
}

// lineNow returns the line at which the decoder is.
func (j *jsonReader) lineNow() int {
	to := min(j.dec.InputOffset(), int64(len(j.b)))
	j.line += bytes.Count(j.b[j.at:to], []byte("\n"))
	j.at = to
	return j.line + 1
}

func (j *jsonReader) next(depth int) (*yaml.Node, error) {
	t, err := j.dec.Token()
	if err != nil {
		return nil, j.wrap(err, depth)
	}
	n := &yaml.Node{Line: j.lineNow()}
	if depth > maxDepth {
		return nil, &Error{File: j.file, Line: n.Line, Text: fmt.Sprintf("nested deeper than %d levels", maxDepth)}
	}
	switch t := t.(type) {
	case json.Delim:
		n.Kind = yaml.SequenceNode
		if t == '{' {
			n.Kind = yaml.MappingNode
		}
		return n, j.fill(n, depth)
	case string:
		n.Value, n.Tag = t, "!!str"
	case json.Number:
		n.Value, n.Tag = t.String(), "!!float"
		if _, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			n.Tag = "!!int"
		}
	case bool:
		n.Value, n.Tag = strconv.FormatBool(t), "!!bool"
	case nil:
		n.Value, n.Tag = "null", "!!null"
	}
	n.Kind = yaml.ScalarNode
	return n, nil
}

// fill reads the members of a list, or the keys and values of an object, in turn.
func (j *jsonReader) fill(n *yaml.Node, depth int) error {
	for j.dec.More() {
		c, err := j.next(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, c)
	}
	_, err := j.dec.Token()
	return j.wrap(err, depth+1)
}

func (j *jsonReader) wrap(err error, depth int) error {
	if err == nil || (errors.Is(err, io.EOF) && depth == 0) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &Error{File: j.file, Line: j.lineNow(), Text: "not JSON: " + err.Error()}
}
