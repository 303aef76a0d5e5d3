package zones

import (
	"fmt"
	"strings"

	"github.com/dark-ecosystem/dark/controlplane/admit"
)

// Types of which BIND takes less (RFC 1035 3.3, RFC 1183, RFC 4025).
const typeMD, typeMF, typeX25, typeIPSECKEY = 3, 4, 19, 45

// loadable looks for what has other servers refuse a whole file: BIND and Knot want NS at the apex,
// and BIND wants an address for each of them that leads into the zone.
type loadable struct {
	r            admit.Reader
	org          string
	prefix, apex string
	hasNS        bool
	targets      []string // of the apex's NS, within the zone and relative to it
	out          []string
}

// see looks at one set of the zone.
func (l *loadable) see(owner string, s Set) {
	if what := refusedData(s); what != "" {
		l.warn("%s: BIND refuses %s; leave it out of a file for BIND", owner, what)
	}
	if owner != "@" || s.Type != typeNS {
		return
	}
	l.hasNS = true
	for _, rd := range s.RData {
		if name, ok := strings.CutSuffix("."+dotted(rd), "."+l.apex); ok {
			l.targets = append(l.targets, strings.TrimPrefix(name, "."))
		}
	}
}

func (l *loadable) warn(format string, args ...any) {
	if len(l.out) < maxWarnings {
		l.out = append(l.out, fmt.Sprintf(format, args...))
	}
}

// refusedData says what of a set BIND 9.18 takes in no form, also not in that of RFC 3597; "" for nearly all.
func refusedData(s Set) string {
	for _, rd := range s.RData {
		switch {
		case s.Type == typeMD || s.Type == typeMF:
			return "MD and MF, which are obsolete (RFC 1035 3.3.4)"
		case s.Type == typeX25 && (len(rd) < 5 || strings.Trim(string(rd[1:]), "0123456789") != ""):
			return "an X25 address that is not 4 or more digits"
		case s.Type == typeIPSECKEY && len(rd) > 2 && rd[2] == 0:
			return "an IPSECKEY without a key (RFC 4025 2.4)"
		}
	}
	return ""
}

// warnings says what is refused and what to do; primary is the name server of the SOA.
func (l *loadable) warnings(primary string) ([]string, error) {
	if !l.hasNS {
		l.warn("%s; add it: dark records set %s @ NS %s", noNS, l.apex, primary)
	}
	for _, name := range l.targets {
		if len(l.out) == maxWarnings {
			break
		}
		if name == "" {
			name = "@"
		}
		refused, what, err := l.refused(name)
		if err != nil {
			return nil, err
		}
		if refused {
			l.warn("@/NS leads to %s, which %s: BIND refuses a file of it; add its address: dark records set %s %s A "+
				"ADDRESS", name, what, l.apex, name)
		}
	}
	return l.out, nil
}

// refused reports whether BIND refuses a name as a name server, because it is an alias or has no address. A wildcard
// gives it one, and what is below a delegation is another zone's.
func (l *loadable) refused(name string) (refused bool, what string, err error) {
	if has, err := l.has(name, "A", "AAAA"); has || err != nil {
		return false, "", err
	}
	if has, err := l.has(name, "CNAME"); has || err != nil {
		return has, "is a CNAME (RFC 2181 10.3)", err
	}
	for above := name; above != "@"; {
		if _, rest, ok := strings.Cut(above, "."); ok {
			above = rest
			if has, err := l.has(above, "NS", "DNAME"); has || err != nil {
				return false, "", err
			}
			if has, err := l.has("*."+above, "A", "AAAA"); has || err != nil {
				return false, "", err
			}
			continue
		}
		above = "@"
		if has, err := l.has("*", "A", "AAAA"); has || err != nil {
			return false, "", err
		}
	}
	return true, "has no address", nil
}

// has reports whether an owner has a set of one of some types.
func (l *loadable) has(owner string, types ...string) (bool, error) {
	for _, typ := range types {
		_, ok, err := l.r.Get(setName, l.org, l.prefix+encode(owner)+"/"+typ)
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
