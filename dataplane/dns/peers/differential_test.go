package peers

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
)

// exchange sends messages to the peer by UDP or TCP, a window of them at a time, and
// returns the answers by the message's number; one that is lost is asked again.
func (p *peer) exchange(msgs []*mdns.Msg, network string) ([]*mdns.Msg, error) {
	c, err := net.Dial(network, p.addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	conn := &mdns.Conn{Conn: c, UDPSize: 65535}
	out := make([]*mdns.Msg, len(msgs))
	const window = 50
	for k := 0; k < len(msgs); k += window {
		part := msgs[k:min(k+window, len(msgs))]
		if err := exchangeWindow(conn, part, out[k:k+len(part)]); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return out, nil
}

func exchangeWindow(conn *mdns.Conn, msgs, out []*mdns.Msg) error {
	for try := 0; ; try++ {
		missing := 0
		for i, m := range msgs {
			if out[i] == nil {
				m.Id = uint16(i)
				if err := conn.WriteMsg(m); err != nil {
					return err
				}
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return err
		}
		for ; missing > 0; missing-- {
			r, err := conn.ReadMsg()
			if err != nil && try < 3 {
				break
			}
			if err != nil {
				return err
			}
			if i := int(r.Id); i < len(out) && len(r.Question) == 1 && r.Question[0] == msgs[i].Question[0] {
				out[i] = r
			}
		}
	}
}

// verdict is what of an answer must be equal where two peers agree.
type verdict struct {
	rcode, flags, answer string
}

func verdictOf(m *mdns.Msg) verdict {
	f := ""
	for _, b := range []struct {
		on   bool
		text string
	}{{m.Authoritative, "aa "}, {m.Truncated, "tc "}, {m.RecursionDesired, "rd "}, {m.RecursionAvailable, "ra "}, {m.AuthenticatedData, "ad "}, {m.IsEdns0() != nil, "opt "}, {m.IsEdns0() != nil && m.IsEdns0().Do(), "do "}} {
		if b.on {
			f += b.text
		}
	}
	v := verdict{mdns.RcodeToString[m.Rcode], f, set(texts(m.Answer, ""))}
	if m.Truncated {
		v.answer = "" // what is left in a truncated answer is each server's own affair
	}
	return v
}

// agreed is the verdict of at least two peers.
func agreed(vs []verdict) (verdict, bool) {
	for i, v := range vs {
		if slices.Contains(vs[i+1:], v) {
			return v, true
		}
	}
	return verdict{}, false
}

// explained is the kept list of differences in what must be equal, with the reason.
var explained = []struct {
	why  string
	when func(q mdns.Question, ours, theirs *mdns.Msg) bool
}{
	{"an alias into another zone of ours is followed there, where Knot and NSD stop", func(_ mdns.Question, ours, theirs *mdns.Msg) bool {
		return ours.Truncated == theirs.Truncated && prefixOf(theirs.Answer, ours.Answer)
	}},
	{"a referral that lacks room for glue below the cut is truncated (RFC 9471)", func(_ mdns.Question, ours, theirs *mdns.Msg) bool {
		return ours.Truncated && !theirs.Truncated && len(theirs.Answer) == 0
	}},
}

// prefixOf reports whether all records of a are in b and b has more, the more being
// owned by a name that an alias leads to.
func prefixOf(a, b []mdns.RR) bool {
	have := map[string]bool{}
	targets := map[string]bool{}
	for i, s := range texts(b, "") {
		have[s] = true
		if c, ok := b[i].(*mdns.CNAME); ok {
			targets[lowerName(c.Target)] = true
		}
	}
	own := map[string]bool{}
	for _, s := range texts(a, "") {
		if !have[s] {
			return false
		}
		own[s] = true
	}
	for i, s := range texts(b, "") {
		if !own[s] && !targets[lowerName(b[i].Header().Name)] {
			return false
		}
	}
	return len(b) >= len(a) && len(a) > 0
}

// tally counts what a run met.
type tally struct {
	questions, equal, split int
	explained               map[string]int
	sections                map[string]int
}

// TestDifferential compares with the peers. DARK_DIFF_QUERIES says how many questions
// there are; CI asks a million.
func TestDifferential(t *testing.T) {
	total := 20_000
	if raceEnabled {
		total = 4000
	}
	if s := os.Getenv("DARK_DIFF_QUERIES"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		total = n
	}
	w := nastyWorld(t)
	for seed := range uint64(5) {
		for apex, z := range randomWorld(t, seed).zones {
			w.adopt(t, fmt.Sprintf("r%d.%s", seed, apex), z)
		}
	}
	ps := startPeers(t, w)
	if len(ps) < 2 {
		missing(t, "two of Knot, NSD and BIND")
		return
	}
	h := w.handler()
	sum := tally{explained: map[string]int{}, sections: map[string]int{}}
	r := rand.New(rand.NewPCG(1, 2))
	for sum.questions < total {
		batch := make([]*mdns.Msg, 2000)
		for i := range batch {
			batch[i] = w.question(r)
		}
		network := "udp"
		if r.IntN(4) == 0 {
			network = "tcp"
		}
		compareBatch(t, h, ps, batch, network, &sum)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d questions, %d equal, %d without two peers that agree", sum.questions, sum.equal, sum.split)
	for _, why := range slices.Sorted(maps.Keys(sum.explained)) {
		t.Logf("%7d explained: %s", sum.explained[why], why)
	}
	for _, s := range slices.Sorted(maps.Keys(sum.sections)) {
		t.Logf("%7d %s", sum.sections[s], s)
	}
	if sum.equal*100 < sum.questions*95 {
		t.Errorf("only %d of %d equal", sum.equal, sum.questions)
	}
}

func compareBatch(t *testing.T, h *serve.Handler, ps []*peer, batch []*mdns.Msg, network string, sum *tally) {
	t.Helper()
	via := map[string]serve.Transport{"udp": serve.UDP, "tcp": serve.TCP}[network]
	answers := make([][]*mdns.Msg, len(ps))
	errs := make([]error, len(ps))
	var wg sync.WaitGroup
	for i, p := range ps {
		msgs := make([]*mdns.Msg, len(batch))
		for k, m := range batch {
			msgs[k] = m.Copy()
		}
		wg.Go(func() { answers[i], errs[i] = p.exchange(msgs, network) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	for k, m := range batch {
		ours, _ := ask(t, h, m, via)
		var theirs []*mdns.Msg
		for i := range ps {
			theirs = append(theirs, answers[i][k])
		}
		judge(t, m, ours, theirs, ps, sum)
	}
}

func judge(t *testing.T, m, ours *mdns.Msg, theirs []*mdns.Msg, ps []*peer, sum *tally) {
	t.Helper()
	sum.questions++
	sum.shape(ours)
	var vs []verdict
	for _, p := range theirs {
		vs = append(vs, verdictOf(p))
	}
	want, ok := agreed(vs)
	got := verdictOf(ours)
	if !ok {
		sum.split++
		return
	}
	if got == want {
		sum.equal++
		sum.section(ours, theirs)
		return
	}
	with := theirs[slices.Index(vs, want)]
	for _, e := range explained {
		if e.when(m.Question[0], ours, with) {
			sum.explained[e.why]++
			return
		}
	}
	var b strings.Builder
	for i, p := range theirs {
		fmt.Fprintf(&b, "\n--- %s\n%v", ps[i].name, p)
	}
	t.Errorf("%v\n--- ours\n%v%s", m.Question[0], ours, b.String())
}

// shape counts kinds of answers, to see that the corpus has them all.
func (s *tally) shape(m *mdns.Msg) {
	what := "no data"
	switch {
	case m.Truncated:
		what = "truncated"
	case m.Rcode != mdns.RcodeSuccess:
		what = mdns.RcodeToString[m.Rcode]
	case len(m.Answer) > 0 && len(m.Ns) == 0:
		what = "data"
	case len(m.Answer) > 0:
		what = "alias without data"
	case !m.Authoritative:
		what = "referral"
	}
	s.sections["answers: "+what]++
}

// section counts how authority and additional compare with those of the peers.
func (s *tally) section(ours *mdns.Msg, theirs []*mdns.Msg) {
	var a, x []string
	for _, p := range theirs {
		a, x = append(a, set(texts(p.Ns, ""))), append(x, set(texts(p.Extra, "")))
	}
	if ours.Truncated {
		s.sections["truncated: sections not compared"]++
		return
	}
	count := func(what, mine string, all []string) {
		switch {
		case slices.Contains(all, mine):
			s.sections[what+" as some peer's"]++
		case mine == "":
			s.sections[what+" left out"]++
		default:
			s.sections[what+" as no peer's"]++
		}
	}
	count("authority", set(texts(ours.Ns, "")), a)
	count("additional", set(texts(ours.Extra, "")), x)
}
