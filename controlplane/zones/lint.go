package zones

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxWarnings = 100
	// maxReferences bounds the targets that are looked for in the zone.
	maxReferences = 10_000
	longTTL       = 86400
)

// Types that the warnings are about (RFC 1035 3.2.2, RFC 2782, RFC 6672).
const (
	typeA, typeNS, typeCNAME, typePTR, typeMX, typeTXT, typeAAAA, typeSRV, typeDNAME = 1, 2, 5, 12, 15, 16, 28, 33, 39
)

// noNS is of a zone that has no name servers of its own.
const noNS = "the zone has no NS at its apex: resolvers will not find it, and BIND and Knot refuse a file of it"

// lint looks for what servers take and people do not mean. It refuses nothing.
type lint struct {
	apex     string
	primary  string // name server of the SOA
	warnings []string
	hasNS    bool
	targets  map[string]*target // of NS and MX within the zone, by relative name
	aliases  map[string]at      // owners of DNAME
	told     string             // the last owner that was told to be below one
	long     long
	more     int // warnings beyond maxWarnings
}

// long are the sets whose TTL is long: of a whole file it is one thing, its $TTL.
type long struct {
	sets  int
	first string // what is said of it
	at    at
}

// warning is told with its place.
type warning struct {
	at   at
	text string
}

// target is a name that NS or MX lead to.
type target struct {
	by             string // "@/NS"
	ns             bool
	at             at
	address, alias bool
}

func (l *lint) warn(p at, format string, args ...any) {
	if len(l.warnings) == maxWarnings {
		l.more++
		return
	}
	l.warnings = append(l.warnings, fmt.Sprintf("line %d, column %d: ", p.line, p.column)+fmt.Sprintf(format, args...))
}

// set looks at one record set of the file; p is where it begins, and places are of its data.
func (l *lint) set(key string, s Set, p at, places []at) {
	owner, typ := splitKey(key)
	key = owner + "/" + typ // as it is typed
	if strings.HasSuffix("."+owner, "."+l.apex) {
		l.warn(p, "%s is within the zone twice, as %s.%s; a full name ends with a dot", owner, owner, l.apex)
	}
	if s.TTL > longTTL {
		if l.long.sets++; l.long.sets == 1 {
			l.long.at = p
			l.long.first = fmt.Sprintf("%s: a TTL of %d seconds is more than a day; a mistake stays in caches that "+
				"long", key, s.TTL)
		}
	}
	switch s.Type {
	case typeNS:
		l.hasNS = l.hasNS || owner == "@"
		l.names(key, s, 0, places)
	case typeMX:
		l.names(key, s, 2, places)
	case typeDNAME:
		l.names(key, s, 0, places)
		if len(l.aliases) < maxReferences {
			l.aliases[owner] = p
		}
	case typeCNAME, typePTR:
		l.names(key, s, 0, places)
	case typeSRV:
		l.names(key, s, 6, places)
	case typeTXT:
		l.texts(owner, s, p, places)
	}
}

// kept tells what of a set's entries is not kept as it is written, each once a set; distinct is how
// many of its records differ.
func (l *lint) kept(f fileSet, distinct int) {
	if m := f.mixed; m != nil {
		l.warn(at{m.line, m.column}, "%s: the TTL is %d here and %d on line %d; a set has one (RFC 2181 5.2), and the "+
			"least is kept, %d", decode(f.key), m.ttl, f.first.ttl, f.first.line, f.spec.GetTtl())
	}
	switch d := f.doubled; {
	case d != nil:
		l.warn(at{d.line, d.column}, "%s: the record is in the set already; it is kept once (RFC 2181 5)",
			decode(f.key))
	case distinct < len(f.spec.Records):
		l.warn(f.lines[0], "%s: a record is written in two ways; it is kept once (RFC 2181 5)", decode(f.key))
	}
}

// names looks at the targets of a set; skip is the octets before each.
func (l *lint) names(key string, s Set, skip int, places []at) {
	for i, rd := range s.RData {
		p := places[i]
		name := dotted(rd[min(skip, len(rd)):])
		inside, within := strings.CutSuffix("."+name, "."+l.apex)
		inside = strings.TrimPrefix(inside, ".")
		mail := s.Type == typeNS || s.Type == typeMX
		switch {
		case mail && isAddress(name), mail && within && isAddress(inside):
			l.warn(p, "%s leads to the address %s; it must lead to a name that has it", key,
				strings.TrimSuffix(name, "."+l.apex))
		case within && strings.HasSuffix("."+inside, "."+l.apex):
			l.warn(p, "%s leads to %s: a dot is missing after %s", key, name, strings.TrimSuffix(name, "."+l.apex))
		case within && mail && len(l.targets) < maxReferences:
			if inside == "" {
				inside = "@"
			}
			t := l.targets[inside]
			if t == nil {
				t = &target{by: key, at: p}
				l.targets[inside] = t
			}
			t.ns = t.ns || s.Type == typeNS
		}
	}
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// dotted is a name in wire format as text, in lower case, without the last dot.
func dotted(wire []byte) string {
	var labels []string
	for len(wire) > 0 && wire[0] != 0 && int(wire[0]) < len(wire) {
		n := int(wire[0])
		labels = append(labels, strings.ToLower(string(wire[1:1+n])))
		wire = wire[1+n:]
	}
	return strings.Join(labels, ".")
}

// texts looks at SPF (RFC 7208 3.2: one record) and DKIM keys (RFC 6376 3.6.1).
func (l *lint) texts(owner string, s Set, p at, places []at) {
	spf := 0
	for i, rd := range s.RData {
		text := joined(rd)
		if low := strings.ToLower(text); low == "v=spf1" || strings.HasPrefix(low, "v=spf1 ") {
			spf++
		}
		if strings.Contains("."+owner+".", "._domainkey.") && !wholeKey(text) {
			l.warn(places[i], "%s: the DKIM key is cut, or has no p= with base64 in it", owner)
		}
	}
	if spf > 1 {
		l.warn(p, "%s has %d SPF records; receivers take that as an error (RFC 7208 4.5)", owner, spf)
	}
}

// joined is the strings of a TXT as verifiers read them.
func joined(rd []byte) string {
	var b strings.Builder
	for len(rd) > 0 {
		n := min(int(rd[0])+1, len(rd))
		b.Write(rd[1:n])
		rd = rd[n:]
	}
	return b.String()
}

// wholeKey reports whether a DKIM record has its key; an empty one is a key withdrawn.
func wholeKey(text string) bool {
	for field := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(field), "=")
		if ok && strings.TrimSpace(name) == "p" {
			value = strings.Join(strings.Fields(value), "")
			_, err := base64.StdEncoding.DecodeString(value)
			return err == nil
		}
	}
	return false
}

// seen notes what an owner has, when the file is read for the second time.
func (l *lint) seen(owner string, typ uint16) {
	l.hidden(owner)
	t := l.targets[owner]
	if t == nil {
		return
	}
	t.address = t.address || typ == typeA || typ == typeAAAA
	t.alias = t.alias || typ == typeCNAME
}

// hidden tells of names below a DNAME, which nobody sees (RFC 6672 2.4).
func (l *lint) hidden(owner string) {
	if len(l.aliases) == 0 || owner == "@" || owner == l.told || strings.Contains(owner, `\`) {
		return
	}
	for above := owner; above != "@"; {
		if _, rest, ok := strings.Cut(above, "."); ok {
			above = rest
		} else {
			above = "@"
		}
		if p, ok := l.aliases[above]; ok {
			l.told = owner
			l.warn(p, "%s is below the DNAME of %s, which hides it (RFC 6672 2.4)", owner, above)
			return
		}
	}
}

// end tells what only the whole file shows.
func (l *lint) end() {
	if !l.hasNS {
		l.warn(at{1, 1}, "%s; add it: @ NS %s", noNS, l.primary)
	}
	var names []string
	for n := range l.targets {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		switch t := l.targets[n]; {
		case t.alias:
			l.warn(t.at, "%s leads to %s, which is a CNAME; mail and name servers need an address there (RFC 2181 "+
				"10.3)", t.by, n)
		case !t.address:
			l.warn(t.at, "%s leads to %s, which has no address", t.by, n)
		}
	}
	switch n := l.long.sets; {
	case n == 1:
		l.warn(l.long.at, "%s", l.long.first)
	case n > 1:
		l.warn(l.long.at, "%s; so does that of %d more sets", l.long.first, n-1)
	}
	if l.more > 0 {
		l.warnings = append(l.warnings, fmt.Sprintf("there are %d more warnings", l.more))
	}
}

// lints looks at the sorted file once more, for what the targets have.
func (i *importing) lints() error {
	if len(i.lint.targets)+len(i.lint.aliases) > 0 {
		file, err := i.sorter.sets()
		if err != nil {
			return err
		}
		for {
			set, err := file.next()
			if err != nil {
				return err
			}
			if set.key == "" {
				break
			}
			owner, typ := splitKey(set.key)
			if t, err := i.z.o.ParseType(typ); err == nil {
				i.lint.seen(owner, t)
			}
		}
	}
	i.lint.end()
	return nil
}
