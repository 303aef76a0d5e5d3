package policy

import (
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// principals is whom a statement is about.
type principals struct {
	any       bool
	accounts  []string // organizations
	users     []user
	canonical []string // canonical user IDs
	services  []string // which never ask here
}

type user struct{ organization, key string }

// reach is how a statement came to be about a caller.
type reach uint8

const (
	unnamed   reach = iota
	byAccount       // its organization was named, which leaves the rest to its scopes
	byName          // the key itself was named, or everybody
)

func (p *principals) covers(c *Caller) reach {
	if p.any {
		return byName
	}
	if c.Anonymous() {
		return unnamed
	}
	for i := range p.users {
		if p.users[i].organization == c.Organization && p.users[i].key == c.Key {
			return byName
		}
	}
	for _, a := range p.accounts {
		if a == c.Organization {
			return byAccount
		}
	}
	if len(p.canonical) > 0 {
		id := c.canonical()
		for _, want := range p.canonical {
			if want == id {
				return byAccount
			}
		}
	}
	return unnamed
}

// compilePrincipals reads the Principal element: "*", or an object of lists.
func compilePrincipals(v value) (*principals, error) {
	p := &principals{}
	if v.kind == stringValue {
		p.any = v.text == "*"
		if !p.any {
			return nil, invalidPrincipal(v.text)
		}
		return p, nil
	}
	if v.kind != objectValue || len(v.fields) == 0 {
		return nil, invalidPrincipal("")
	}
	for _, f := range v.fields {
		list, err := f.value.strings("Principal")
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if err := p.add(f.name, s); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func invalidPrincipal(s string) error {
	e := malformed("Invalid principal in policy")
	if s != "" {
		_ = e.With("Detail", s)
	}
	return e
}

func (p *principals) add(kind, s string) error {
	switch {
	case s == "*" && kind == "AWS":
		p.any = true
	case kind == "AWS":
		return p.addAWS(s)
	case kind == "CanonicalUser" && s3xml.CheckCanonicalID(s) == nil:
		p.canonical = append(p.canonical, s)
	case kind == "Service" && strings.HasSuffix(s, ".amazonaws.com"):
		p.services = append(p.services, s)
	default:
		return invalidPrincipal(s)
	}
	return nil
}

// addAWS takes an account, its ARN, a user's ARN or a canonical user ID.
func (p *principals) addAWS(s string) error {
	rest, isARN := strings.CutPrefix(s, "arn:aws:iam::")
	if !isARN {
		switch {
		case s3xml.CheckCanonicalID(s) == nil:
			p.canonical = append(p.canonical, s)
		case organizationName(s):
			p.accounts = append(p.accounts, s)
		default:
			return invalidPrincipal(s)
		}
		return nil
	}
	organization, who, _ := strings.Cut(rest, ":")
	key, isUser := strings.CutPrefix(who, "user/")
	switch {
	case !organizationName(organization):
		return invalidPrincipal(s)
	case who == "root":
		p.accounts = append(p.accounts, organization)
	case isUser && keyName(key):
		p.users = append(p.users, user{organization, key})
	default:
		return invalidPrincipal(s)
	}
	return nil
}

func organizationName(s string) bool {
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, notInName)
}

func keyName(s string) bool { return s != "" && len(s) <= 1024 && !strings.ContainsFunc(s, notInKey) }

func notInName(r rune) bool {
	alnum := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	return !alnum && r != '-' && r != '_' && r != '.'
}

func notInKey(r rune) bool {
	return notInName(r) && r != '/' && r != '@' && r != '+' && r != '=' && r != ','
}
