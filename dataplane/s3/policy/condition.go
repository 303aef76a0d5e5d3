package policy

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// comparison is how an operator compares one value of the request with one of the policy.
type comparison uint8

const (
	text comparison = iota // StringEquals, StringLike
	fold                   // StringEqualsIgnoreCase
	number
	date
	boolean
	address
	arn
	null
)

// order is which results of a comparison of numbers or dates hold.
type order uint8

const (
	equal order = 1 << iota
	less
	greater
)

// operator is one of the language's.
type operator struct {
	compare comparison
	order   order
	wild    bool // "*" and "?" in values
	negated bool
}

var operators = map[string]operator{
	"StringEquals":              {compare: text},
	"StringNotEquals":           {compare: text, negated: true},
	"StringEqualsIgnoreCase":    {compare: fold},
	"StringNotEqualsIgnoreCase": {compare: fold, negated: true},
	"StringLike":                {compare: text, wild: true},
	"StringNotLike":             {compare: text, wild: true, negated: true},
	"NumericEquals":             {compare: number, order: equal},
	"NumericNotEquals":          {compare: number, order: equal, negated: true},
	"NumericLessThan":           {compare: number, order: less},
	"NumericLessThanEquals":     {compare: number, order: less | equal},
	"NumericGreaterThan":        {compare: number, order: greater},
	"NumericGreaterThanEquals":  {compare: number, order: greater | equal},
	"DateEquals":                {compare: date, order: equal},
	"DateNotEquals":             {compare: date, order: equal, negated: true},
	"DateLessThan":              {compare: date, order: less},
	"DateLessThanEquals":        {compare: date, order: less | equal},
	"DateGreaterThan":           {compare: date, order: greater},
	"DateGreaterThanEquals":     {compare: date, order: greater | equal},
	"Bool":                      {compare: boolean},
	"BinaryEquals":              {compare: text},
	"IpAddress":                 {compare: address},
	"NotIpAddress":              {compare: address, negated: true},
	"ArnEquals":                 {compare: arn, wild: true},
	"ArnLike":                   {compare: arn, wild: true},
	"ArnNotEquals":              {compare: arn, wild: true, negated: true},
	"ArnNotLike":                {compare: arn, wild: true, negated: true},
	"Null":                      {compare: null},
}

// set says what counts where a key has many values.
type set uint8

const (
	single set = iota
	forAll
	forAny
)

// condition is one operator on one key.
type condition struct {
	operator
	set      set
	ifExists bool
	key      *contextKey
	values   []conditionValue
}

// conditionValue is one value, read for its operator.
type conditionValue struct {
	pattern
	number float64
	time   time.Time
	prefix netip.Prefix
}

// compileOperator reads an operator with its prefix and suffix.
func compileOperator(name string) (condition, error) {
	var c condition
	base := name
	if rest, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		base, c.set = rest, forAll
	} else if rest, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		base, c.set = rest, forAny
	}
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	op, ok := operators[base]
	if !ok || c.ifExists && op.compare == null {
		return c, malformed("Invalid Condition type : " + name)
	}
	c.operator = op
	return c, nil
}

// compileValue reads one value of a condition.
func (c *condition) compileValue(s string, vars bool) (v conditionValue, err error) {
	bad := func(e error) {
		if e != nil {
			err = malformed("Policy has an invalid value for condition key " + c.key.name + ": " + s)
		}
	}
	switch c.compare {
	case number:
		v.number, err = strconv.ParseFloat(s, 64)
		bad(err)
	case date:
		v.time, err = parseDate(s)
		bad(err)
	case address:
		v.prefix, err = parsePrefix(s)
		bad(err)
	case boolean, null:
		v.glob = strings.ToLower(s)
		if v.glob != "true" && v.glob != "false" {
			bad(strconv.ErrSyntax)
		}
	case fold:
		v.pattern, err = compilePattern(s, false, vars)
		v.glob = strings.ToLower(v.glob)
	default:
		if c.key.name == "s3:x-amz-copy-source" {
			s = strings.TrimPrefix(s, "/")
		}
		v.pattern, err = compilePattern(s, c.wild, vars)
	}
	return v, err
}

// parseDate takes ISO 8601 and seconds since 1970.
func parseDate(s string) (time.Time, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, strconv.ErrSyntax
}

// parsePrefix takes an address or a CIDR prefix, whose host bits need not be zero.
func parsePrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err
}

// holds judges the condition. For an Allow statement a variable without a value makes a
// negated comparison fail, so that it never lets anyone in.
func (c *condition) holds(q *Request, allow bool) bool {
	if c.key.list != nil {
		return c.holdsForList(c.key.list(q), q, allow)
	}
	if direct, ok := c.direct(q); ok {
		return direct != c.negated
	}
	v, ok := c.key.value(q)
	if c.compare == null {
		return (c.values[0].glob == "true") == !ok
	}
	if !ok {
		return c.missing()
	}
	return c.verdict(v, q, allow)
}

// missing is the verdict on a key that the request does not have: what compares for
// inequality holds, as at AWS.
func (c *condition) missing() bool {
	return c.ifExists || c.set == forAll || c.set == single && c.negated
}

func (c *condition) holdsForList(list []string, q *Request, allow bool) bool {
	if c.compare == null {
		return (c.values[0].glob == "true") == (len(list) == 0)
	}
	if len(list) == 0 {
		return c.missing()
	}
	for _, v := range list {
		ok := c.verdict(v, q, allow)
		if ok && c.set != forAll {
			return true
		}
		if !ok && c.set == forAll {
			return false
		}
	}
	return c.set == forAll
}

// direct compares what needs no formatting; ok is false where that is not the case.
func (c *condition) direct(q *Request) (result, ok bool) {
	switch {
	case c.compare == address && c.key.name == sourceIP && q.SourceIP.IsValid():
		ip := q.SourceIP.Unmap().WithZone("")
		return c.any(func(v *conditionValue) bool { return v.prefix.Contains(ip) }), true
	case c.compare == date && (c.key.name == currentTime || c.key.name == epochTime):
		return c.any(func(v *conditionValue) bool { return c.inOrder(q.Now.Compare(v.time)) }), true
	case c.compare == number && c.key.name == epochTime:
		now := float64(q.Now.Unix())
		return c.any(func(v *conditionValue) bool { return c.inOrder(compareFloats(now, v.number)) }), true
	}
	return false, false
}

func (c *condition) any(f func(*conditionValue) bool) bool {
	for i := range c.values {
		if f(&c.values[i]) {
			return true
		}
	}
	return false
}

// verdict compares one value of the request with all of the policy's.
func (c *condition) verdict(s string, q *Request, allow bool) bool {
	matched := false
	for i := range c.values {
		ok, known := c.equals(&c.values[i], s, q)
		if !known && c.negated && allow {
			return false
		}
		matched = matched || ok
	}
	return matched != c.negated
}

// equals compares two values; known is false where a variable has no value.
func (c *condition) equals(v *conditionValue, s string, q *Request) (ok, known bool) {
	switch c.compare {
	case number:
		n, err := strconv.ParseFloat(s, 64)
		return err == nil && c.inOrder(compareFloats(n, v.number)), true
	case date:
		t, err := parseDate(s)
		return err == nil && c.inOrder(t.Compare(v.time)), true
	case address:
		a, err := netip.ParseAddr(s)
		return err == nil && v.prefix.Contains(a.Unmap().WithZone("")), true
	case boolean:
		return strings.EqualFold(s, v.glob), true
	}
	glob, known := v.expand(q)
	if !known {
		return false, false
	}
	switch {
	case c.compare == fold:
		return strings.EqualFold(glob, s), true
	case c.compare == arn:
		return matchARN(glob, s), true
	case c.wild:
		return match(glob, s), true
	}
	return glob == s, true
}

func (o *operator) inOrder(c int) bool {
	switch {
	case c < 0:
		return o.order&less != 0
	case c > 0:
		return o.order&greater != 0
	}
	return o.order&equal != 0
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// matchARN compares the six parts of an ARN each on its own: a wildcard crosses no colon
// but in the last.
func matchARN(glob, s string) bool {
	for range 5 {
		g, grest, ok1 := strings.Cut(glob, ":")
		v, vrest, ok2 := strings.Cut(s, ":")
		if !ok1 || !ok2 || !match(g, v) {
			return false
		}
		glob, s = grest, vrest
	}
	return match(glob, s)
}
