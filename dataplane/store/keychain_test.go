package store

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowKeys lets something happen while a key is asked for.
type slowKeys struct {
	Keys
	meanwhile func()
}

func (k *slowKeys) Key(space ID, name string, version uint32) ([32]byte, uint32, error) {
	if f := k.meanwhile; f != nil {
		k.meanwhile = nil
		f()
	}
	return k.Keys.Key(space, name, version)
}

// TestAKeyThatIsForgottenWhileItIsReadIsNotKept: whoever destroys a key forgets it, and one
// who was reading it just then must not bring it back into memory.
func TestAKeyThatIsForgottenWhileItIsReadIsNotKept(t *testing.T) {
	keys := &slowKeys{Keys: &testKeys{}}
	o := testOptions(vfs.NewMem())
	o.Keys = keys
	s := open(t, o)
	p := at(t, s, space1)
	put(t, p, "k", pattern(100, 1))
	c := s.chain
	cached := func() int {
		c.mu.RLock()
		defer c.mu.RUnlock()
		return len(c.mu.epochs) + len(c.mu.values)
	}
	c.forget(space1.Space, "", true)
	read := func() {
		t.Helper()
		if _, err := c.open(epochID{space1.Space, "", c.today()}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.values(space1.Space, 1); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := cached(); n != 2 {
		t.Fatalf("%d keys are kept", n)
	}
	c.forget(space1.Space, "", true)
	for _, open := range []func() error{
		func() error { _, err := c.open(epochID{space1.Space, "", c.today()}); return err },
		func() error { _, _, err := c.values(space1.Space, 1); return err },
	} {
		keys.meanwhile = func() { c.forget(space1.Space, "", true) }
		if err := open(); err != nil {
			t.Fatal(err)
		}
		if n := cached(); n != 0 {
			t.Errorf("%d forgotten keys are kept", n)
		}
	}
}
