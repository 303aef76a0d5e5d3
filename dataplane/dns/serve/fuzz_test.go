package serve

import (
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
)

// FuzzHandle: no message makes the server panic, answer with more than it may, or
// with what does not parse.
func FuzzHandle(f *testing.F) {
	for _, p := range flagDayProbes() {
		m := question("example.com", "SOA")
		if p.change != nil {
			p.change(m)
		}
		if b, err := m.Pack(); err == nil {
			f.Add(b)
		}
	}
	for _, n := range []string{
		"x.cut.example.com", "a1.example.com", "w.red.example.com", "x.wloop.example.com",
		"x.rloop.example.com", `\000\001.wild.example.com`,
	} {
		b, err := question(n, "A").Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	h := nasty(f)
	h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Cookies: cookie.Secrets{{1}}})
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, via := range []Transport{UDP, TCP} {
			out := h.Handle([]byte("before"), msg, client, via)
			if string(out[:6]) != "before" {
				t.Fatal("wrote over the caller's octets")
			}
			if out = out[6:]; len(out) == 0 {
				continue
			}
			limit := maxMessage
			if via == UDP {
				limit = 1232
				if !hasOPT(msg) {
					limit = 512
				}
			}
			if len(out) > limit {
				t.Errorf("%d octets over transport %d", len(out), via)
			}
			if err := new(mdns.Msg).Unpack(out); err != nil {
				t.Errorf("%v: %x", err, out)
			}
			if out[2]&0x80 == 0 || out[0] != msg[0] || out[1] != msg[1] {
				t.Error("not an answer to the message")
			}
		}
	})
}

// hasOPT reports whether the server reads an OPT record in msg.
func hasOPT(msg []byte) bool {
	x := (&Handler{}).newExchange()
	x.q.Parse(msg)
	return x.q.EDNS
}
