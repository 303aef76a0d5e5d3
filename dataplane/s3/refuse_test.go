package s3

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dialRaw is a connection whose client does as it likes.
func (s *testServer) dialRaw(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := ok(new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String()))(t)
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// refusedPut begins a PUT that nobody signed.
func refusedPut(t *testing.T, c net.Conn, size int, headers ...string) {
	t.Helper()
	_, err := fmt.Fprintf(c, "PUT /box/k HTTP/1.1\r\nHost: s3\r\nContent-Length: %d\r\n%s\r\n", size,
		strings.Join(headers, ""))
	if err != nil {
		t.Fatal(err)
	}
}

func told(t *testing.T, r *bufio.Reader) *http.Response {
	t.Helper()
	resp := ok(http.ReadResponse(r, nil))(t)
	b := ok(io.ReadAll(resp.Body))(t)
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(b), "<Code>AccessDenied</Code>") {
		t.Fatalf("%s: %s", resp.Status, b)
	}
	return resp
}

// TestARefusedClientHearsWhy: whether it reads the answer while it sends, only when all is
// sent, or never waited for the 100 that it asked for; none finds its connection reset.
func TestARefusedClientHearsWhy(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	const size = 32 << 20
	send := func(t *testing.T, c net.Conn, n int) {
		t.Helper()
		if _, err := io.CopyN(c, zeros{}, int64(n)); err != nil {
			t.Fatalf("send the body: %v", err)
		}
	}
	t.Run("while it sends", func(t *testing.T) {
		c, r := s.dialRaw(t)
		refusedPut(t, c, size)
		send(t, c, 1<<20)
		if resp := told(t, r); !resp.Close {
			t.Error("the connection is kept, and half a body is still to come")
		}
	})
	t.Run("when all is sent", func(t *testing.T) {
		c, r := s.dialRaw(t)
		refusedPut(t, c, size)
		send(t, c, size)
		told(t, r)
	})
	t.Run("without the patience for 100", func(t *testing.T) {
		c, r := s.dialRaw(t)
		refusedPut(t, c, size, "Expect: 100-continue\r\n")
		send(t, c, size)
		told(t, r)
	})
	t.Run("and a short body costs no connection", func(t *testing.T) {
		c, r := s.dialRaw(t)
		for range 2 {
			refusedPut(t, c, 1000)
			send(t, c, 1000)
			if told(t, r).Close {
				t.Fatal("closed")
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
