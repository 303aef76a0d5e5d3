package config

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/internal/tree"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// denyGrace is how long an entry is kept past its expiry, should this node's clock be fast.
const denyGrace = 24 * time.Hour

// denySet is the set of credentials that are refused, each until its entry expires. It
// only grows until then: no snapshot, deletion, rollback or change of subscription takes
// from it. Readers take no lock; one goroutine changes it. An addition copies one path of
// the tree, whatever its size.
type denySet struct {
	now atomic.Pointer[tree.Tree[denied]]
}

// denied is one entry.
type denied struct {
	subject string
	expires int64 // Unix seconds; never: math.MaxInt64
}

// TreeKey implements tree.Keyed.
func (d denied) TreeKey() string { return d.subject }

func (d *denySet) tree() tree.Tree[denied] {
	if t := d.now.Load(); t != nil {
		return *t
	}
	return tree.Tree[denied]{}
}

// has reports whether a subject is denied.
func (d *denySet) has(subject string) bool {
	_, ok := d.tree().Get(subject)
	return ok
}

// expiry of a subject's entry; 0 when it has none.
func (d *denySet) expiry(subject string) int64 {
	e, _ := d.tree().Get(subject)
	return e.expires
}

func (d *denySet) len() int { return d.tree().Len() }

// all yields every entry, by subject.
func (d *denySet) all() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		d.tree().Ascend("", func(e denied) bool { return yield(e.subject, e.expires) })
	}
}

// load adds what was read, by rising subject, to an empty set at once.
func (d *denySet) load(entries []denied) {
	if d.len() > 0 {
		for _, e := range entries {
			d.add(map[string]int64{e.subject: e.expires})
		}
		return
	}
	t := tree.Build(entries)
	d.now.Store(&t)
}

// add publishes the set with entries added; each keeps its later expiry.
func (d *denySet) add(entries map[string]int64) {
	if len(entries) == 0 {
		return
	}
	t, edit := d.tree(), new(tree.Edit)
	for subject, expires := range entries {
		old, _ := t.Get(subject)
		t = t.Put(edit, denied{subject, max(expires, old.expires)})
	}
	d.now.Store(&t)
}

// expired lists what may be forgotten at a time.
func (d *denySet) expired(now time.Time) []string {
	var list []string
	for subject, expires := range d.all() {
		if outlived(expires, now) {
			list = append(list, subject)
		}
	}
	return list
}

// outlived reports whether an entry may be forgotten at a time.
func outlived(expires int64, now time.Time) bool { return expires < now.Add(-denyGrace).Unix() }

// forget publishes the set without subjects that have expired.
func (d *denySet) forget(subjects []string) {
	t, edit := d.tree(), new(tree.Edit)
	for _, subject := range subjects {
		t, _ = t.Delete(edit, subject)
	}
	d.now.Store(&t)
}

// denyEntry is an item of the deny lane as the set keeps it. Its name is the subject.
func denyEntry(item *feedv1.Item) (subject string, expires int64) {
	if expires = item.GetExpires(); expires == 0 {
		expires = math.MaxInt64
	}
	return item.GetName(), expires
}

func writeDeny(b *pebble.Batch, subject string, expires int64) error {
	return b.Set(spaced(spaceDeny, subject), number(uint64(expires)), nil)
}

func readDeny(key, value []byte) (e denied, err error) {
	if len(value) != 8 {
		return e, fmt.Errorf("%w: deny entry %q", errDamaged, key)
	}
	return denied{string(key[1:]), int64(binary.BigEndian.Uint64(value))}, nil
}

// purge forgets deny entries long past their expiry, once an hour.
func (c *Config) purge() error {
	now := c.o.Clock.Now()
	if since := now.Sub(c.purged); since >= 0 && since < time.Hour {
		return nil
	}
	c.purged = now
	for old := range slices.Chunk(c.deny.expired(now), purgeStep) {
		b := c.open()
		for _, subject := range old {
			if err := b.Delete(spaced(spaceDeny, subject), nil); err != nil {
				return err
			}
		}
		if err := c.flush(); err != nil {
			return err
		}
		c.deny.forget(old)
	}
	return nil
}

// purgeStep is how many entries are forgotten in one write.
const purgeStep = 10_000
