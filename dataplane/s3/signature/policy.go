package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Policy is the signed document of a POST form: what the form may say, and until when.
type Policy struct {
	Expiration time.Time
	Conditions []FieldCondition
	// The file's size in octets must lie between these; MaxLength is math.MaxInt64 where
	// the policy has no content-length-range.
	MinLength, MaxLength int64
}

// FieldCondition is on one field of the form.
type FieldCondition struct {
	Prefix bool   // starts-with instead of eq
	Field  string // in lower case, without "$"
	Value  string
}

const maxConditions = 500

func invalidPolicy(why string) *Error {
	return s3xml.Say(s3xml.InvalidPolicyDocument, "Invalid Policy: "+why)
}

// ParsePolicy reads the policy field: base64 of JSON. The error is an *Error.
func ParsePolicy(text string) (Policy, error) {
	p := Policy{MaxLength: math.MaxInt64}
	doc, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return p, invalidPolicy("Invalid Base64 Encoding.")
	}
	var raw struct {
		Expiration *string           `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return p, invalidPolicy("Invalid JSON.")
	}
	if _, err := d.Token(); err != io.EOF {
		return p, invalidPolicy("Invalid JSON.")
	}
	switch {
	case raw.Expiration == nil:
		return p, invalidPolicy("Policy missing expiration.")
	case raw.Conditions == nil:
		return p, invalidPolicy("Policy missing conditions.")
	case len(raw.Conditions) > maxConditions:
		return p, invalidPolicy("Too many conditions.")
	}
	// ISO 8601 in UTC, with or without a fraction, which RFC 3339 parsing takes too.
	if p.Expiration, err = time.Parse(time.RFC3339, *raw.Expiration); err != nil {
		return p, invalidPolicy("Invalid 'expiration' value: '" + *raw.Expiration + "'")
	}
	for _, c := range raw.Conditions {
		if err := p.add(c); err != nil {
			return p, err
		}
	}
	return p, nil
}

// add reads a condition: an object of names and values, or an array of three.
func (p *Policy) add(raw json.RawMessage) error {
	if len(raw) > 0 && raw[0] == '{' {
		return p.addObject(raw)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) != 3 {
		return invalidPolicy("Invalid Condition: expecting an object or an array of three.")
	}
	kind, ok := jsonString(list[0])
	if !ok {
		return invalidPolicy("Invalid Condition: expecting a name first.")
	}
	switch kind = strings.ToLower(kind); kind {
	case "content-length-range":
		return p.addRange(list[1], list[2])
	case "eq", "starts-with":
		return p.addMatch(kind == "starts-with", list[1], list[2])
	}
	return invalidPolicy("Invalid Condition: unknown operation '" + kind + "'.")
}

// addObject reads token by token, so that a name given twice is two conditions.
func (p *Policy) addObject(raw json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return invalidPolicy("Invalid JSON.")
	}
	n := len(p.Conditions)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return invalidPolicy("Invalid JSON.")
		}
		value, err := d.Token()
		text, ok := value.(string)
		if err != nil || !ok {
			return invalidPolicy("Invalid Simple-Condition: value must be a string.")
		}
		p.Conditions = append(p.Conditions, FieldCondition{Field: strings.ToLower(name.(string)), Value: text})
	}
	if len(p.Conditions) == n {
		return invalidPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	return nil
}

func (p *Policy) addMatch(prefix bool, field, value json.RawMessage) error {
	name, ok := jsonString(field)
	text, also := jsonString(value)
	if !ok || !also || !strings.HasPrefix(name, "$") {
		return invalidPolicy(`Invalid Condition: expecting "$field" and a string.`)
	}
	p.Conditions = append(p.Conditions, FieldCondition{Prefix: prefix, Field: strings.ToLower(name[1:]), Value: text})
	return nil
}

// addRange: of several ranges all must hold.
func (p *Policy) addRange(low, high json.RawMessage) error {
	a, ok := jsonSize(low)
	b, also := jsonSize(high)
	if !ok || !also || a > b {
		return invalidPolicy("Invalid content-length-range.")
	}
	p.MinLength, p.MaxLength = max(p.MinLength, a), min(p.MaxLength, b)
	return nil
}

func jsonString(raw json.RawMessage) (s string, ok bool) {
	return s, len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil
}

// jsonSize takes a number or, as Amazon does, a number written as a string.
func jsonSize(raw json.RawMessage) (int64, bool) {
	text := string(raw)
	if s, ok := jsonString(raw); ok {
		text = s
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0
}

// CheckSize holds the file's size, in octets, against content-length-range.
func (p *Policy) CheckSize(n int64) error {
	switch {
	case n < p.MinLength:
		return s3xml.Say(s3xml.EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size").
			With("ProposedSize", strconv.FormatInt(n, 10)).With("MinSizeAllowed", strconv.FormatInt(p.MinLength, 10))
	case n > p.MaxLength:
		return s3xml.Say(s3xml.EntityTooLarge, "Your proposed upload exceeds the maximum allowed size").
			With("ProposedSize", strconv.FormatInt(n, 10)).With("MaxSizeAllowed", strconv.FormatInt(p.MaxLength, 10))
	}
	return nil
}

// check holds the form against the policy: every condition is met, and every field is one
// that a condition speaks of.
func (p *Policy) check(f Fields, bucket string, now time.Time) *Error {
	if !now.Before(p.Expiration) {
		return failed("Policy expired.")
	}
	covered := make(map[string]bool, len(p.Conditions))
	for _, c := range p.Conditions {
		covered[c.Field] = true
		value, _ := f.Get(c.Field)
		if c.Field == "bucket" {
			value = bucket // what the request is about, whatever a field of this name says
		}
		if !c.holds(value) {
			return failed("Policy Condition failed: " + c.String())
		}
	}
	if !covered["bucket"] {
		return failed("Extra input fields: bucket") // the bucket is always one of the form's fields
	}
	for i := range f {
		if name := strings.ToLower(f[i].Name); !covered[name] && !exempt(name) {
			return failed("Extra input fields: " + f[i].Name)
		}
	}
	return nil
}

// exempt fields need no condition.
func exempt(lower string) bool {
	switch lower {
	case "x-amz-signature", "file", "policy":
		return true
	}
	return strings.HasPrefix(lower, "x-ignore-")
}

func (c FieldCondition) holds(value string) bool {
	if !c.Prefix {
		return value == c.Value
	}
	if c.Field != "content-type" {
		return strings.HasPrefix(value, c.Value)
	}
	// A list of types: each of them must begin so.
	for one := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(one, c.Value) {
			return false
		}
	}
	return true
}

// String is the condition as an array.
func (c FieldCondition) String() string {
	kind := "eq"
	if c.Prefix {
		kind = "starts-with"
	}
	return fmt.Sprintf(`["%s", "$%s", "%s"]`, kind, c.Field, c.Value) // AWS's spelling
}
