package consensus_test

import (
	"context"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
)

// TestAConnectionEndsWithTheOtherSidesCertificate: a call that waits for its answer when the
// certificate ends of who calls, or of who is called, fails then, and the next one is not let in.
func TestAConnectionEndsWithTheOtherSidesCertificate(t *testing.T) {
	for _, whose := range []string{"caller", "called"} {
		t.Run(whose, func(t *testing.T) {
			t.Parallel()
			ca := ct.NewCA(t)
			ends := time.Now().Add(3 * time.Second).Truncate(time.Second)
			tls := map[string]consensus.TLS{"caller": ca.TLS("caller"), "called": ca.TLS("called")}
			tls[whose] = ca.TLSUntil(whose, ends)
			a, b := node(t, "a", tls["caller"]), node(t, "b", tls["called"])
			here := make(chan struct{}, 1)
			b.Handle("wait", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
				here <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			})
			failed := make(chan error, 1)
			go func() {
				_, err := a.Call(within(t, time.Minute), b.Addr(), "wait", nil)
				failed <- err
			}()
			select {
			case <-here:
			case err := <-failed:
				t.Fatalf("the call did not arrive: %v", err)
			}
			err := <-failed
			if late := time.Since(ends); err == nil || late < 0 || late > 20*time.Second {
				t.Fatalf("%v after the certificate ended: %v", late, err)
			}
			if _, err := a.Call(within(t, time.Minute), b.Addr(), "wait", nil); err == nil || len(here) > 0 {
				t.Errorf("a new connection: %v", err)
			}
		})
	}
}
