package lab

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// digest names a body; the zero value stands for no object.
type digest [32]byte

func (d digest) String() string {
	if d == (digest{}) {
		return "nothing"
	}
	return fmt.Sprintf("%x", d[:6])
}

func digestOf(b []byte) digest { return sha256.Sum256(b) }

// object is what a writer knows of one key, which is its own alone.
type object struct {
	acked digest
	size  int64
	// maybe are outcomes of writes that were never answered.
	maybe []outcome
}

type outcome struct {
	sum  digest
	size int64
}

// objects are the ledger of a kill test; they live in the test, which nobody kills.
type objects struct {
	mu struct {
		sync.Mutex
		keys map[string]*object
	}
}

func newObjects() *objects {
	o := &objects{}
	o.mu.keys = map[string]*object{}
	return o
}

// begun notes a write before it is sent, settled how it was answered.
func (o *objects) begun(key string, to outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.mu.keys[key]
	if k == nil {
		k = &object{}
		o.mu.keys[key] = k
	}
	k.maybe = append(k.maybe, to)
}

func (o *objects) settled(key string, to outcome, acked bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k := o.mu.keys[key]; acked {
		*k = object{acked: to.sum, size: to.size}
	}
}

// known returns what a key must hold, if that is certain.
func (o *objects) known(key string) (outcome, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.mu.keys[key]
	if k == nil {
		return outcome{}, true
	}
	return outcome{k.acked, k.size}, len(k.maybe) == 0
}

func (o *objects) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []string
	for key := range o.mu.keys {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// found holds what a key has after a restart against the ledger. What is there then is
// certain from then on: the process that might have done more is dead.
func (o *objects) found(key string, got outcome) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.mu.keys[key]
	if k == nil {
		return fmt.Errorf("%s is there and was never written", key)
	}
	if got.sum != k.acked && !slices.ContainsFunc(k.maybe, func(m outcome) bool { return m.sum == got.sum }) {
		return fmt.Errorf("%s holds %v, acknowledged %v, possible %v", key, got.sum, k.acked, k.maybe)
	}
	*k = object{acked: got.sum, size: got.size}
	return nil
}

// TestObjectLedgerBites: the ledger of the kill test reports what is lost, torn, older
// than acknowledged, or back from the dead.
func TestObjectLedgerBites(t *testing.T) {
	one, two, torn := digestOf([]byte("one")), digestOf([]byte("two")), digestOf([]byte("on"))
	write := func(o *objects, sum digest, acked bool) {
		o.begun("k", outcome{sum: sum})
		o.settled("k", outcome{sum: sum}, acked)
	}
	for _, c := range []struct {
		name  string
		steps func(*objects)
		got   digest
		fine  bool
	}{
		{"acknowledged and there", func(o *objects) { write(o, one, true) }, one, true},
		{"lost", func(o *objects) { write(o, one, true) }, digest{}, false},
		{"torn", func(o *objects) { write(o, one, true) }, torn, false},
		{"older", func(o *objects) { write(o, one, true); write(o, two, true) }, one, false},
		{"back from the dead", func(o *objects) { write(o, one, true); write(o, digest{}, true) }, one, false},
		{"not answered, not done", func(o *objects) { write(o, one, true); write(o, two, false) }, one, true},
		{"not answered, done", func(o *objects) { write(o, one, true); write(o, two, false) }, two, true},
		{"not answered, torn", func(o *objects) { write(o, one, true); write(o, two, false) }, torn, false},
		{"not answered, lost", func(o *objects) { write(o, one, true); write(o, two, false) }, digest{}, false},
		{"deletion not answered", func(o *objects) { write(o, one, true); write(o, digest{}, false) }, digest{}, true},
		{"two not answered", func(o *objects) { write(o, one, false); write(o, two, false) }, one, true},
		{"never written", func(*objects) {}, one, false},
	} {
		o := newObjects()
		c.steps(o)
		if err := o.found("k", outcome{sum: c.got}); (err == nil) != c.fine {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
