//go:build !race

package signature

import (
	"testing"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// TestVerifyDoesNotAllocate keeps the hot path as it is; with the race detector sync.Pool
// drops what it is given.
func TestVerifyDoesNotAllocate(t *testing.T) {
	v, r := example(), signed()
	key := sigv4.Derive(exampleSecret, sigv4.Day(exampleTime), "us-east-1")
	v.Keys = func(string, int32, string) ([32]byte, KeyState) { return key, KeyFound }
	if n := testing.AllocsPerRun(200, func() {
		if _, err := v.Verify(r, exampleTime); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
