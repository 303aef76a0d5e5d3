package serve

import "github.com/dark-ecosystem/dark/dataplane/dns/wire"

const typeTXT = 16

// chaosNames maps the keys of the names of RFC 4892 and BIND's older ones to what
// they ask for.
var chaosNames = map[string]func(*Settings) string{
	"server\x00id\x00":      func(s *Settings) string { return s.ServerID },
	"bind\x00hostname\x00":  func(s *Settings) string { return s.ServerID },
	"server\x00version\x00": func(s *Settings) string { return s.Version },
	"bind\x00version\x00":   func(s *Settings) string { return s.Version },
}

// chaos answers class CH: who this server is, where it is to say so (RFC 4892).
func (x *exchange) chaos() {
	q := &x.q
	get, ok := chaosNames[q.Name.Key()]
	if !ok || q.Type != typeTXT && q.Type != wire.TypeANY {
		x.refuse(edeNotAuthoritative)
		return
	}
	text := get(x.set)
	if text == "" {
		x.refuse(edeProhibited)
		return
	}
	x.flags |= wire.FlagAA
	if !x.b.AddText(wire.ClassCH, text) {
		x.full = true
	}
}
