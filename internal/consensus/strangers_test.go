package consensus_test

import (
	"context"
	"net"
	"testing"
	"time"

	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
)

// TestSilentStrangersKeepNoMemberOut: 300 connections that say nothing filled all places for
// handshakes for 10 s. The call has a tenth of that.
func TestSilentStrangersKeepNoMemberOut(t *testing.T) {
	ca := ct.NewCA(t)
	a, b := node(t, "a", ca.TLS("a")), node(t, "b", ca.TLS("b"))
	b.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	for _, host := range []string{"127.0.0.1", "127.0.0.3", "127.0.0.4"} { // the member's own host, too
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}}
		for range 200 {
			c, err := d.DialContext(t.Context(), "tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
	if _, err := a.Call(within(t, time.Second), b.Addr(), "echo", nil); err != nil {
		t.Fatal(err)
	}
}
