package policy

import (
	"strings"
	"unicode/utf8"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Compile reads the policy of a bucket. What it refuses, AWS refuses: the error is an
// *s3xml.Error of code MalformedPolicy whose text names the element.
func Compile(doc []byte, bucket string) (*Policy, error) {
	if !utf8.Valid(doc) { // RFC 8259 8.1
		return nil, s3xml.Say(s3xml.MalformedPolicy, "The policy is not UTF-8.")
	}
	root, err := readJSON(doc)
	if err != nil {
		return nil, err
	}
	c := compiler{p: &Policy{bucket: bucket}, sids: map[string]bool{}}
	if err := c.document(root); err != nil {
		return nil, err
	}
	c.p.public = c.p.isPublic()
	return c.p, nil
}

type compiler struct {
	p    *Policy
	vars bool // of version 2012-10-17
	sids map[string]bool
}

func (c *compiler) document(root value) error {
	var statements *value
	for i, f := range root.fields {
		switch f.name {
		case "Version":
			if f.value.text != "2012-10-17" && f.value.text != "2008-10-17" {
				return malformed("The policy must contain a valid version string")
			}
			c.vars = f.value.text == "2012-10-17"
		case "Id":
			if f.value.kind != stringValue {
				return malformed("Invalid value in Id")
			}
		case "Statement":
			statements = &root.fields[i].value
		default:
			return malformed("Unknown field " + f.name)
		}
	}
	if statements == nil {
		return malformed("Missing required field Statement")
	}
	return c.statements(*statements)
}

// statements is a list of at least one statement, or one alone.
func (c *compiler) statements(v value) error {
	list := v.list
	if v.kind == objectValue {
		list = []value{v}
	}
	if len(list) == 0 {
		return malformed("Could not parse the policy: Statement is empty!")
	}
	for _, e := range list {
		if e.kind != objectValue {
			return malformed("Invalid value in Statement")
		}
		s, err := c.statement(e)
		if err != nil {
			return err
		}
		c.p.statements = append(c.p.statements, s)
	}
	return nil
}

func (c *compiler) statement(v value) (statement, error) {
	var s statement
	var effect string
	for _, f := range v.fields {
		var err error
		switch f.name {
		case "Sid":
			err = c.sid(f.value)
		case "Effect":
			effect = f.value.text
			if s.allow = effect == "Allow"; !s.allow && effect != "Deny" {
				err = malformed("Invalid effect: " + effect)
			}
		case "Principal", "NotPrincipal":
			err = s.setPrincipal(f)
		case "Action", "NotAction":
			err = s.setActions(f)
		case "Resource", "NotResource":
			err = c.setResources(&s, f)
		case "Condition":
			err = c.setConditions(&s, f.value)
		default:
			err = malformed("Unknown field " + f.name)
		}
		if err != nil {
			return s, err
		}
	}
	return s, s.complete(effect)
}

// complete refuses a statement in which something is missing or does not go together.
func (s *statement) complete(effect string) error {
	switch {
	case effect == "":
		return malformed("Missing required field Effect")
	case s.who == nil:
		return malformed("Missing required field Principal")
	case s.actions == nil:
		return malformed("Missing required field Action")
	case s.resources == nil:
		return malformed("Missing required field Resource")
	case s.notWho && s.allow:
		return malformed("Allow with NotPrincipal is not allowed.")
	}
	return s.actionsFitResources()
}

// actionsFitResources: each action is done to something that the statement names.
func (s *statement) actionsFitResources() error {
	if s.notActions || s.notResources {
		return nil
	}
	var bucket, object bool
	for i := range s.resources {
		b, o := s.resources[i].levels()
		bucket, object = bucket || b, object || o
	}
	for _, glob := range s.actions {
		b, o, _ := actionLevels(glob)
		if !(b && bucket) && !(o && object) {
			return malformed("Action does not apply to any resource(s) in statement")
		}
	}
	return nil
}

// levels says what a resource can name: a bucket, objects, or, with a wildcard in its
// first part, both.
func (p *pattern) levels() (bucket, object bool) {
	if p.vars != nil {
		return true, true
	}
	name, _, slash := strings.Cut(p.glob, "/")
	crosses := strings.IndexByte(name, star) >= 0
	return !slash, slash || crosses
}

func (c *compiler) sid(v value) error {
	if v.kind != stringValue {
		return malformed("Invalid value in Sid")
	}
	if v.text != "" && c.sids[v.text] {
		return malformed("Statement IDs (SID) in a single policy must be unique.")
	}
	c.sids[v.text] = true
	return nil
}

func (s *statement) setPrincipal(f field) (err error) {
	if s.who != nil {
		return malformed("A statement has either Principal or NotPrincipal")
	}
	s.notWho = f.name == "NotPrincipal"
	s.who, err = compilePrincipals(f.value)
	return err
}

func (s *statement) setActions(f field) error {
	if s.actions != nil {
		return malformed("A statement has either Action or NotAction")
	}
	list, err := f.value.strings(f.name)
	if err != nil {
		return err
	}
	s.notActions = f.name == "NotAction"
	for _, a := range list {
		glob, err := compileAction(a)
		if err != nil {
			return err
		}
		s.actions = append(s.actions, glob)
	}
	return nil
}

// compileAction reads an action with wildcards; it must name at least one that S3 has.
func compileAction(a string) (string, error) {
	bad := malformed("Policy has invalid action").With("Detail", a)
	p, err := compilePattern(strings.ToLower(a), true, false)
	if err != nil || len(a) > 128 || a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
		return "", bad
	}
	if _, _, known := actionLevels(p.glob); !known {
		return "", bad
	}
	return p.glob, nil
}

func (c *compiler) setResources(s *statement, f field) error {
	if s.resources != nil {
		return malformed("A statement has either Resource or NotResource")
	}
	list, err := f.value.strings(f.name)
	if err != nil {
		return err
	}
	s.notResources = f.name == "NotResource"
	for _, r := range list {
		p, err := compileResource(r, c.p.bucket, c.vars)
		if err != nil {
			return err
		}
		c.noteVariables(&p)
		s.resources = append(s.resources, p)
	}
	return nil
}

func (c *compiler) setConditions(s *statement, v value) error {
	if v.kind != objectValue {
		return malformed("Invalid value in Condition")
	}
	for _, op := range v.fields {
		if op.value.kind != objectValue {
			return malformed("Invalid value in Condition")
		}
		for _, f := range op.value.fields {
			cond, err := c.condition(op.name, f)
			if err != nil {
				return err
			}
			s.conditions = append(s.conditions, cond)
		}
	}
	return nil
}

func (c *compiler) condition(op string, f field) (condition, error) {
	cond, err := compileOperator(op)
	if err != nil {
		return cond, err
	}
	if cond.key, err = findKey(f.name); err != nil {
		return cond, err
	}
	c.note(cond.key)
	list, err := f.value.strings("Condition")
	if err != nil {
		return cond, err
	}
	for _, s := range list {
		v, err := cond.compileValue(s, c.vars)
		if err != nil {
			return cond, err
		}
		c.noteVariables(&v.pattern)
		cond.values = append(cond.values, v)
	}
	return cond, nil
}

func (c *compiler) note(k *contextKey) {
	c.p.objectTags = c.p.objectTags || k.name == "s3:existingobjecttag/"
}

func (c *compiler) noteVariables(p *pattern) {
	for _, v := range p.vars {
		if v.key != nil {
			c.note(v.key)
		}
	}
}
