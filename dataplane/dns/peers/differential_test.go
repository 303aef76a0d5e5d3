package peers

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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

// verdict is what of an answer must be equal where two peers agree.
type verdict struct {
	rcode, flags, answer string
}

func verdictOf(m *mdns.Msg) verdict {
	f := ""
	for _, b := range []struct {
		on   bool
		text string
	}{
		{m.Authoritative, "aa "},
		{m.Truncated, "tc "},
		{m.RecursionDesired, "rd "},
		{m.RecursionAvailable, "ra "},
		{m.AuthenticatedData, "ad "},
		{m.IsEdns0() != nil, "opt "},
		{m.IsEdns0() != nil && m.IsEdns0().Do(), "do "},
	} {
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

// tally counts what a run met. Workers share it.
type tally struct {
	mu struct {
		sync.Mutex
		questions, equal, split int
		explained               map[string]int
		shapes                  map[string]int
	}
}

func newTally() *tally {
	s := new(tally)
	s.mu.explained, s.mu.shapes = map[string]int{}, map[string]int{}
	return s
}

// questionsAsked is how many questions the run has: CI asks a million.
func questionsAsked(t *testing.T) int {
	t.Helper()
	if raceEnabled {
		return 4000
	}
	s := os.Getenv("DARK_DIFF_QUERIES")
	if s == "" {
		return 20_000
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// differentialWorld is the nasty zones and some by the generator.
func differentialWorld(t *testing.T) *world {
	w := nastyWorld(t)
	for seed := range uint64(5) {
		for apex, z := range randomWorld(t, seed).zones {
			w.adopt(t, fmt.Sprintf("r%d.%s", seed, apex), z)
		}
	}
	return w
}

// TestDifferential asks Dark's own sockets and the peers the same questions and judges
// the answers. DARK_DIFF_QUERIES says how many questions there are. Over UDP the batched
// loop answers, and must give the octets that the handler alone gives.
func TestDifferential(t *testing.T) {
	w := differentialWorld(t)
	ps := startPeers(t, w)
	if len(ps) < 2 {
		missing(t, "two of Knot, NSD and BIND")
		return
	}
	h := w.handler()
	own := serveOwn(t, h)
	alone := w.handler() // apart, so that counts are those of the sockets
	sum, rules := newTally(), readRules(t)
	chunks := make(chan uint64)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for seed := range chunks {
				compareChunk(t, w, alone, own, ps, rules, seed, sum)
			}
		})
	}
	begun, total := time.Now(), questionsAsked(t)
	for n := range total / chunkSize {
		if t.Failed() {
			break
		}
		chunks <- uint64(n)
	}
	close(chunks)
	workers.Wait()
	sum.report(t, rules, time.Since(begun))
	c := h.Counts()
	udp := c.Via[serve.UDP]
	t.Logf("%d questions over UDP, %.2f%% of them answered by tier 1", udp, float64(c.Tier1)*100/float64(udp))
	if c.Tier1*100 < udp*95 {
		t.Errorf("tier 1 answered %d of %d", c.Tier1, udp)
	}
}

// chunkSize is how many questions go over one connection to each server.
const chunkSize = 500

// compareChunk asks one chunk of questions, every fourth over TCP, and judges.
func compareChunk(t *testing.T, w *world, h *serve.Handler, own *peer, ps []*peer, rules []rule, seed uint64,
	sum *tally,
) {
	r := rand.New(rand.NewPCG(seed, 2))
	batch := make([]question, chunkSize)
	for i := range batch {
		batch[i] = newQuestion(t, w.question(r))
	}
	network, via := "udp", serve.UDP
	if seed%4 == 3 {
		network, via = "tcp", serve.TCP
	}
	all := append([]*peer{own}, ps...)
	answers := make([][][]byte, len(all))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { answers[i], errs[i] = p.exchange(batch, network) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
		return
	}
	for k := range batch {
		raw := h.Handle(nil, batch[k].wire, client, via)
		if !bytes.Equal(raw, answers[0][k]) {
			t.Errorf("%v: socket %x\nhandler %x", batch[k].Msg.Question, answers[0][k], raw)
		}
		ms := make([]*mdns.Msg, len(all))
		for i := range all {
			ms[i] = new(mdns.Msg)
			if err := ms[i].Unpack(answers[i][k]); err != nil {
				t.Errorf("%s: %v: %v", all[i].name, batch[k].Msg.Question, err)
				return
			}
		}
		if complaint := judge(batch[k].Msg, ms[0], ms[1:], ps, rules, sum); complaint != "" {
			t.Error(complaint)
		}
	}
}

// judge compares our answer with those of the peers and returns what is wrong with it.
func judge(m, ours *mdns.Msg, theirs []*mdns.Msg, ps []*peer, rules []rule, sum *tally) string {
	var vs []verdict
	for _, p := range theirs {
		vs = append(vs, verdictOf(p))
	}
	want, ok := agreed(vs)
	sum.count(ours, ok)
	if !ok {
		return ""
	}
	got := verdictOf(ours)
	var agreeing []*mdns.Msg
	for i, v := range vs {
		if v == want {
			agreeing = append(agreeing, theirs[i])
		}
	}
	var part string
	switch {
	case got != want:
		part = "answer"
	case !ours.Truncated && !sameAsSome(ours, agreeing, func(m *mdns.Msg) []mdns.RR { return m.Ns }):
		part = "authority"
	case !ours.Truncated && !sameAsSome(ours, agreeing, func(m *mdns.Msg) []mdns.RR { return m.Extra }):
		part = "additional"
	default:
		sum.equal()
		return ""
	}
	for _, r := range rules {
		if r.part == part && r.applies(ours, agreeing) {
			sum.explain(r.name)
			return ""
		}
	}
	var b strings.Builder
	for i, p := range theirs {
		fmt.Fprintf(&b, "\n--- %s\n%v", ps[i].name, p)
	}
	return fmt.Sprintf("%v: %s\n--- ours\n%v%s", m.Question[0], part, ours, b.String())
}

// sameAsSome reports whether a section is as that of one of the peers that agree.
func sameAsSome(ours *mdns.Msg, theirs []*mdns.Msg, section func(*mdns.Msg) []mdns.RR) bool {
	mine := set(texts(section(ours), ""))
	for _, p := range theirs {
		if set(texts(section(p), "")) == mine {
			return true
		}
	}
	return false
}

func (s *tally) count(ours *mdns.Msg, agree bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.questions++
	s.mu.shapes[shape(ours)]++
	if !agree {
		s.mu.split++
	}
}

func (s *tally) equal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.equal++
}

func (s *tally) explain(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.explained[why]++
}

// report logs the tally and fails where too much is explained away.
func (s *tally) report(t *testing.T, rules []rule, took time.Duration) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.mu.questions
	t.Logf("%d questions in %v: %d equal in all sections, %d without two peers that agree", n, took.Round(time.Second),
		s.mu.equal, s.mu.split)
	for _, r := range rules {
		used := s.mu.explained[r.name]
		t.Logf("%7d explained by %s", used, r.name)
		if used > r.most*n/1_000_000+100 {
			t.Errorf("%s explains %d of %d: more than %d of a million", r.name, used, n, r.most)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.mu.shapes)) {
		t.Logf("%7d answers: %s", s.mu.shapes[k], k)
	}
	if s.mu.equal*100 < n*95 {
		t.Errorf("only %d of %d equal", s.mu.equal, n)
	}
}

// shape is the kind of an answer, to see that the corpus has them all.
func shape(m *mdns.Msg) string {
	switch {
	case m.Truncated:
		return "truncated"
	case m.Rcode != mdns.RcodeSuccess:
		return mdns.RcodeToString[m.Rcode]
	case len(m.Answer) > 0 && len(m.Ns) == 0:
		return "data"
	case len(m.Answer) > 0:
		return "alias without data"
	case !m.Authoritative:
		return "referral"
	}
	return "no data"
}
