package preauth

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeListener hands out pipes that say they come from the address asked for.
type fakeListener struct{ conns chan net.Conn }

func (l fakeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l fakeListener) Close() error   { close(l.conns); return nil }
func (l fakeListener) Addr() net.Addr { return &net.TCPAddr{} }

type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// bounded is a Listener to which dial connects from an address.
type bounded struct {
	*Listener
	fake fakeListener
}

func bound(limits Limits) bounded {
	fake := fakeListener{make(chan net.Conn, 1)}
	return bounded{Listen(fake, limits), fake}
}

// dial returns the client's side and the server's.
func (b bounded) dial(t *testing.T, ip string) (net.Conn, *Conn) {
	t.Helper()
	client, server := net.Pipe()
	b.fake.conns <- from{server, &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}}
	c, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, c.(*Conn)
}

// open tells whether the other side of a client still listens; only for use in a bubble.
func open(client net.Conn) bool {
	client.SetReadDeadline(time.Now().Add(time.Nanosecond))
	_, err := client.Read(make([]byte, 1))
	return !errors.Is(err, io.EOF)
}

func TestTheOldestStrangerMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bound(Limits{Total: 3})
		var clients []net.Conn
		for i := range 5 {
			c, s := l.dial(t, fmt.Sprintf("192.0.2.%d", i))
			defer s.Close()
			clients = append(clients, c)
		}
		for i, want := range []bool{false, false, true, true, true} {
			if open(clients[i]) != want {
				t.Errorf("connection %d open: %v", i, !want)
			}
		}
		if s := l.Stats(); s != (Stats{Accepted: 5, ClosedByFull: 2, Waiting: 3}) {
			t.Errorf("%+v", s)
		}
	})
}

// TestASourceDisplacesItself: and nobody else, also where it fills its own /64.
func TestASourceDisplacesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bound(Limits{Total: 100, PerSource: 2})
		other, s := l.dial(t, "2001:db8:0:2::1")
		defer s.Close()
		var clients []net.Conn
		for i := range 4 {
			c, s := l.dial(t, fmt.Sprintf("2001:db8:0:1::%d", i))
			defer s.Close()
			clients = append(clients, c)
		}
		if !open(other) || open(clients[0]) || open(clients[1]) || !open(clients[2]) || !open(clients[3]) {
			t.Error("the wrong connection was closed")
		}
	})
}

// TestWhoAuthenticatedIsNotClosed has its control in it: the same connection without
// Authenticated is closed by both, the bound and the deadline.
func TestWhoAuthenticatedIsNotClosed(t *testing.T) {
	for _, authenticated := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l := bound(Limits{Total: 1, Deadline: time.Second})
			client, s := l.dial(t, "192.0.2.1")
			if authenticated {
				s.Authenticated()
			}
			_, late := l.dial(t, "192.0.2.2")
			if open(client) != authenticated {
				t.Errorf("authenticated %v, open %v", authenticated, !authenticated)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if st := l.Stats(); st.ClosedByDeadline != 1 || st.Waiting != 0 || !late.closed {
				t.Errorf("%+v", st)
			}
			if open(client) != authenticated {
				t.Error("the deadline closed an authenticated connection")
			}
			s.Close()
		})
	}
}

// TestAConnectionCountsAgainBetweenRequests, with a deadline of its own: the timer of its
// first turn closes nothing.
func TestAConnectionCountsAgainBetweenRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bound(Limits{Total: 2, Deadline: 10 * time.Second})
		client, s := l.dial(t, "192.0.2.1")
		s.Authenticated()
		time.Sleep(9 * time.Second)
		s.Unauthenticated()
		s.Unauthenticated() // twice is once
		if w := l.Stats().Waiting; w != 1 {
			t.Fatalf("%d wait", w)
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if !open(client) {
			t.Fatal("closed by the deadline of another turn")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if open(client) {
			t.Fatal("the deadline of the second turn did not act")
		}
		s.Authenticated()
		s.Unauthenticated()
		if w := l.Stats().Waiting; w != 0 {
			t.Fatalf("a closed connection is counted, %d", w)
		}
	})
}

// TestStrangersDoNotCloseKnownSources: with Known 0 the same flood does.
func TestStrangersDoNotCloseKnownSources(t *testing.T) {
	for _, known := range []int{1, 0} {
		synctest.Test(t, func(t *testing.T) {
			l := bound(Limits{Total: 4, Known: known})
			_, first := l.dial(t, "192.0.2.1")
			first.Authenticated()
			first.Close()
			again, s := l.dial(t, "192.0.2.1")
			defer s.Close()
			for i := range 100 {
				_, s := l.dial(t, fmt.Sprintf("198.51.100.%d", i))
				defer s.Close()
			}
			if open(again) != (known == 1) {
				t.Errorf("known %d: open %v", known, known != 1)
			}
		})
	}
}

func TestKnownSourcesAreBounded(t *testing.T) {
	s := newSources(2)
	for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"} {
		s.remember(SourceOf(ip + ":80"))
	}
	for ip, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false, "192.0.2.3": true} {
		if s.has(SourceOf(ip+":80")) != want {
			t.Errorf("%s known: %v", ip, !want)
		}
	}
}

func TestSources(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1/32", "[::ffff:192.0.2.1]:80": "192.0.2.1/32",
		"[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64", "[fe80::1%eth0]:80": "fe80::/64",
		"@": "invalid Prefix",
	} {
		if got := SourceOf(addr).String(); got != want {
			t.Errorf("%s: %s, not %s", addr, got, want)
		}
	}
}

func TestOfFindsTheConnectionBelow(t *testing.T) {
	l := bound(Limits{})
	_, s := l.dial(t, "192.0.2.1")
	defer s.Close()
	if Of(tls.Server(s, &tls.Config{})) != s || Of(s) != s || Of(s.NetConn()) != nil || Of(nil) != nil {
		t.Error("not found, or found where there is none")
	}
}

// TestManyAtOnce is for the race detector, and for the books: none waits when all are gone.
func TestManyAtOnce(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner, Limits{Total: 8, PerSource: 6, Deadline: time.Millisecond, Known: 1})
	defer l.Close()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 50 {
				if c, err := net.Dial("tcp", inner.Addr().String()); err == nil {
					c.Close()
				}
			}
		})
	}
	var owners sync.WaitGroup
	for range 400 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		owners.Go(func() {
			own := Of(c)
			own.Authenticated()
			own.Unauthenticated()
			own.Authenticated()
			own.Unauthenticated()
			own.Close()
		})
	}
	clients.Wait()
	owners.Wait()
	if s := l.Stats(); s.Accepted != 400 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}
