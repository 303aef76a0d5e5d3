package serve

import (
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// TestChangedWhileAsked: a large zone changes all the time while clients ask at full
// speed. Each answer is that of one revision, whole, and no client sees time go back.
func TestChangedWhileAsked(t *testing.T) {
	names, changes := 1_000_000, 2000
	if testing.Short() || raceEnabled {
		names = 50_000
	}
	h := handlerOf(bulk(t, names))
	z, _ := h.View().Zones.Zone("example.com")
	var done atomic.Bool
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() { askRevisions(t, h, &done) })
	}
	start := time.Now()
	for i := range changes {
		text := strconv.Itoa(i)
		rr := zone.RRset{Owner: "rev", Type: mdns.TypeTXT, TTL: 1, RData: [][]byte{
			append([]byte{byte(len(text))}, text...), append([]byte{byte(len(text) + 1), '='}, text...)}}
		other := zone.RRset{Owner: fmt.Sprintf("host%06d", i*997%names), Type: mdns.TypeA, TTL: 1, RData: [][]byte{{192, 0, 2, byte(i)}}}
		next, refused := z.With(uint32(i), []zone.Change{{Owner: rr.Owner, Type: rr.Type, RRset: &rr}, {Owner: other.Owner, Type: other.Type, RRset: &other}})
		if refused != nil {
			t.Fatal(refused)
		}
		z = next
		v := &dns.View{}
		v.Zones = v.Zones.With(z)
		h.Swap(v)
	}
	t.Logf("%d changes in %v in a zone of %d names", changes, time.Since(start), names)
	done.Store(true)
	clients.Wait()
}

// askRevisions asks for the revision until done and checks what it sees.
func askRevisions(t *testing.T, h *Handler, done *atomic.Bool) {
	m := question("rev.example.com", "TXT")
	q, err := m.Pack()
	if err != nil {
		t.Error(err)
		return
	}
	last, asked := -1, 0
	for ; !done.Load(); asked++ {
		r := new(mdns.Msg)
		if err := r.Unpack(h.Handle(nil, q, client, UDP)); err != nil {
			t.Error(err)
			return
		}
		if len(r.Answer) == 0 && last < 0 {
			continue
		}
		if len(r.Answer) != 2 {
			t.Errorf("after revision %d: %v", last, r)
			return
		}
		a, b := r.Answer[0].(*mdns.TXT).Txt[0], r.Answer[1].(*mdns.TXT).Txt[0]
		n, err := strconv.Atoi(a)
		if err != nil || b != "="+a || n < last {
			t.Errorf("after revision %d: %q %q", last, a, b)
			return
		}
		last = n
	}
	if asked == 0 {
		t.Error("nobody asked")
	}
}

// TestIdleConnections: two thousand connections that say nothing cost a bounded amount
// of memory, and a client that asks is answered.
func TestIdleConnections(t *testing.T) {
	const idle = 2000
	addr := startTCP(t, nasty(t), Limits{Idle: time.Minute, PerAddress: idle + 10})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // twice: pools keep what they hold over one
	runtime.ReadMemStats(&before)
	conns := make([]net.Conn, 0, idle)
	for range idle {
		conns = append(conns, dial(t, addr))
	}
	c := dial(t, addr)
	if _, err := c.Write(framed(t, question("www.example.com", "A"))); err != nil {
		t.Fatal(err)
	}
	if r, err := receive(c); err != nil || len(r.Answer) != 2 {
		t.Fatal(r, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse) / idle
	t.Logf("%d octets for each connection, both ends", each)
	if each > 24<<10 {
		t.Errorf("%d octets for each connection", each)
	}
	runtime.KeepAlive(conns)
}
