package config

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/clock"
)

// million is a set of a million entries.
func million() *denySet {
	entries := make([]denied, 1_000_000)
	for i := range entries {
		entries[i] = denied{fmt.Sprintf("accesskey:DK%018d", i), int64(i)}
	}
	d := &denySet{}
	d.load(entries)
	return d
}

// addOne adds one entry, in the middle of the others and new each time.
func addOne(d *denySet, i int) {
	d.add(map[string]int64{fmt.Sprintf("accesskey:DK%018d-%d", i*7919%1_000_000, i): int64(i)})
}

func BenchmarkDenyAddAtAMillion(b *testing.B) {
	d := million()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		addOne(d, i)
	}
}

func BenchmarkDenyHasAtAMillion(b *testing.B) {
	d := million()
	for i := 0; b.Loop(); i++ {
		d.has("accesskey:DK000000000000777777")
	}
}

// An addition to a million entries promises to take 50 us.
func TestAnAdditionToAMillionDenyEntriesIsCheap(t *testing.T) {
	const additions, promise = 1000, 50 * time.Microsecond
	d := million()
	before := *d.now.Load()
	began := time.Now()
	for i := range additions {
		addOne(d, i)
	}
	each := time.Since(began) / additions
	t.Logf("%v an addition", each)
	if each > 10*promise {
		t.Errorf("an addition took %v, ten times the promise is %v", each, 10*promise)
	}
	if d.len() != 1_000_000+additions || before.Len() != 1_000_000 {
		t.Errorf("%d entries, and %d in the set before", d.len(), before.Len())
	}
}

// The set agrees with a plain map through additions and expiries in any order.
func TestTheDenySetAgreesWithAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	d, model := &denySet{}, map[string]int64{}
	now := time.Unix(10_000_000, 0)
	for range 200 {
		batch := map[string]int64{}
		for range rng.IntN(20) {
			batch[fmt.Sprint("key:", rng.IntN(500))] = now.Unix() + rng.Int64N(400_000) - 100_000
		}
		d.add(batch)
		for s, e := range batch {
			model[s] = max(model[s], e)
		}
		now = now.Add(time.Hour)
		d.forget(d.expired(now))
		maps.DeleteFunc(model, func(_ string, e int64) bool { return e < now.Add(-denyGrace).Unix() })
		if !maps.Equal(maps.Collect(d.all()), model) || d.len() != len(model) {
			t.Fatalf("%d entries, want %d", d.len(), len(model))
		}
	}
	if len(model) == 0 {
		t.Error("nothing was left to compare")
	}
}

// What expired while the edge was stopped is forgotten with no control node in reach.
func TestEntriesThatExpireWhileStoppedAreForgotten(t *testing.T) {
	fs, p := vfs.NewMem(), newPublisher(t)
	c, a := reopen(t, fs, "org/a")
	short, long := denial("short"), denial("long")
	short.Expires, long.Expires = time.Now().Add(time.Hour).Unix(), time.Now().Add(100*24*time.Hour).Unix()
	feed(t, c, a, 1, p.frame("org/a", short, long))
	closeConfig(t, c)
	c, _ = reopen(t, fs)
	c.o.Clock = clock.At(func() time.Time { return time.Now().Add(48 * time.Hour) })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, a) }()
	until(t, "the entry is forgotten", func() bool { return !c.Denied("short") })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	closeConfig(t, c)
	c, _ = reopen(t, fs)
	defer closeConfig(t, c)
	if c.Denied("short") || !c.Denied("long") {
		t.Errorf("short %v, long %v", c.Denied("short"), c.Denied("long"))
	}
}
