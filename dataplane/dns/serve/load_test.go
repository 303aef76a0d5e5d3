package serve

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// TestChangedWhileAsked: a large zone changes 1,000 times a second for some seconds
// while clients ask as fast as they can. Each answer is that of one revision, whole, and
// no client sees time go back.
func TestChangedWhileAsked(t *testing.T) {
	names, changes := 1_000_000, 4000
	if testing.Short() || raceEnabled {
		names, changes = 50_000, 2000
	}
	h := handlerOf(bulk(t, names))
	var done atomic.Bool
	var asked atomic.Int64
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() { asked.Add(askRevisions(t, h, &done)) })
	}
	took := changePaced(t, h, names, changes)
	done.Store(true)
	clients.Wait()
	perSecond := func(n int64) float64 { return float64(n) / took.Seconds() }
	t.Logf("%d names: %.0f changes a second for %v, %.0f questions a second meanwhile", names,
		perSecond(int64(changes)), took, perSecond(asked.Load()))
	if perSecond(int64(changes)) < 900 && !raceEnabled {
		t.Errorf("%.0f changes a second, want 1,000", perSecond(int64(changes)))
	}
}

// changePaced makes changes, one a millisecond, and publishes each as a view of its
// own; one that is late is followed at once by the next.
func changePaced(t *testing.T, h *Handler, names, changes int) time.Duration {
	t.Helper()
	z, _ := h.View().Zones.Zone("example.com")
	start := time.Now()
	for i := range changes {
		<-time.After(time.Until(start.Add(time.Duration(i) * time.Millisecond)))
		text := strconv.Itoa(i)
		rr := zone.RRset{Owner: "rev", Type: mdns.TypeTXT, TTL: 1, RData: [][]byte{
			append([]byte{byte(len(text))}, text...), append([]byte{byte(len(text) + 1), '='}, text...),
		}}
		other := zone.RRset{
			Owner: fmt.Sprintf("host%06d", i*997%names), Type: mdns.TypeA, TTL: 1,
			RData: [][]byte{{192, 0, 2, byte(i)}},
		}
		next, refused := z.With(uint32(i), []zone.Change{
			{Owner: rr.Owner, Type: rr.Type, RRset: &rr},
			{Owner: other.Owner, Type: other.Type, RRset: &other},
		})
		if refused != nil {
			t.Fatal(refused)
		}
		z = next
		v := &dns.View{}
		v.Zones = v.Zones.With(z)
		h.Swap(v)
	}
	return time.Since(start)
}

// askRevisions asks for the revision until done, checks what it sees, and returns how
// often it asked.
func askRevisions(t *testing.T, h *Handler, done *atomic.Bool) (asked int64) {
	m := question("rev.example.com", "TXT")
	q, err := m.Pack()
	if err != nil {
		t.Error(err)
		return asked
	}
	last := -1
	for ; !done.Load(); asked++ {
		r := new(mdns.Msg)
		if err := r.Unpack(h.Handle(nil, q, client, UDP)); err != nil {
			t.Error(err)
			return asked
		}
		if len(r.Answer) == 0 && last < 0 {
			continue
		}
		if len(r.Answer) != 2 {
			t.Errorf("after revision %d: %v", last, r)
			return asked
		}
		a, b := r.Answer[0].(*mdns.TXT).Txt[0], r.Answer[1].(*mdns.TXT).Txt[0]
		n, err := strconv.Atoi(a)
		if err != nil || b != "="+a || n < last {
			t.Errorf("after revision %d: %q %q", last, a, b)
			return asked
		}
		last = n
	}
	if asked == 0 {
		t.Error("nobody asked")
	}
	return asked
}
