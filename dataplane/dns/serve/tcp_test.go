package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(holdIdle); addr != "" {
		hold(addr)
		return
	}
	goleak.VerifyTestMain(m)
}

// startTCP serves h on loopback and returns its address; the test's end stops it.
func startTCP(t *testing.T, h *Handler, limits Limits) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.ServeTCP(ctx, l, limits) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func framed(t *testing.T, m *mdns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func receive(c net.Conn) (*mdns.Msg, error) {
	co := mdns.Conn{Conn: c}
	return co.ReadMsg()
}

func TestPipelining(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{})
	c := dial(t, addr)
	var all []byte
	var ids []uint16
	for i := range 100 {
		m := question([]string{"www.example.com", "big.example.com"}[i%2], "TXT")
		m.Id = uint16(i)
		ids = append(ids, m.Id)
		all = append(all, framed(t, m)...)
	}
	// In pieces that end within messages.
	for k := 0; k < len(all); k += 777 {
		if _, err := c.Write(all[k:min(k+777, len(all))]); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		r, err := receive(c)
		if err != nil || r.Id != id || r.Truncated {
			t.Fatalf("answer %d: %v %v", id, r, err)
		}
	}
}

// closed waits until the server has closed the connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := c.Read(make([]byte, 1))
	var ne net.Error
	if err == nil || errors.As(err, &ne) && ne.Timeout() {
		t.Errorf("still open: %v", err)
	}
}

func TestIdleConnectionEnds(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{Idle: 50 * time.Millisecond})
	c := dial(t, addr)
	if _, err := c.Write([]byte{0, 40, 1}); err != nil { // a message that never becomes whole
		t.Fatal(err)
	}
	closed(t, c)
}

func TestTotalTimeEnds(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{Total: 100 * time.Millisecond})
	c := dial(t, addr)
	for {
		if _, err := c.Write(framed(t, question("www.example.com", "A"))); err != nil {
			return
		}
		if _, err := receive(c); err != nil {
			return
		}
	}
}

func TestNotAQueryEndsTheConnection(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{})
	c := dial(t, addr)
	if _, err := c.Write(append(framed(t, question("www.example.com", "A")), 0, 3, 1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	if r, err := receive(c); err != nil || len(r.Answer) != 2 {
		t.Fatal("the answer before was lost", err)
	}
	closed(t, c)
}

func TestConnectionsPerAddress(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{PerAddress: 2})
	for range 2 {
		c := dial(t, addr)
		if _, err := c.Write(framed(t, question("www.example.com", "A"))); err != nil {
			t.Fatal(err)
		}
		if _, err := receive(c); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, dial(t, addr))
}

func TestLongestIdleGivesWay(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{Connections: 2})
	var cs []net.Conn
	for range 3 {
		c := dial(t, addr)
		if _, err := c.Write(framed(t, question("www.example.com", "A"))); err != nil {
			t.Fatal(err)
		}
		if _, err := receive(c); err != nil {
			t.Fatal(err)
		}
		cs = append(cs, c)
	}
	closed(t, cs[0])
	if _, err := cs[2].Write(framed(t, question("www.example.com", "A"))); err != nil {
		t.Fatal(err)
	}
	if _, err := receive(cs[2]); err != nil {
		t.Fatal(err)
	}
}

// TestSlowReader: a client that asks and never reads is cut off, not waited for.
func TestSlowReader(t *testing.T) {
	addr := startTCP(t, nasty(t), Limits{Write: 100 * time.Millisecond})
	c := dial(t, addr)
	q := framed(t, question("big.example.com", "TXT"))
	for {
		if _, err := c.Write(q); err != nil {
			break
		}
	}
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Log("closed in order")
	}
}

func TestUDPServer(t *testing.T) {
	h := nasty(t)
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.ServeUDP(ctx, pc) }()
	cl := &mdns.Client{Timeout: 5 * time.Second}
	r, _, err := cl.Exchange(question("www.example.com", "A"), pc.LocalAddr().String())
	if err != nil || len(r.Answer) != 2 {
		t.Error(r, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := h.Counts().Queries; n != 1 {
		t.Errorf("counted %d queries", n)
	}
}
