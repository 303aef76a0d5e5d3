//go:build !race

package signature

import "testing"

// TestVerifyDoesNotAllocate keeps the hot path as it is; with the race detector sync.Pool
// drops what it is given.
func TestVerifyDoesNotAllocate(t *testing.T) {
	v, r := example(), signed()
	key := Derive(exampleSecret, Day(exampleTime), "us-east-1")
	v.Keys = func(string, int32, string) ([32]byte, KeyState) { return key, KeyFound }
	if n := testing.AllocsPerRun(200, func() {
		if _, err := v.Verify(r, exampleTime); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
