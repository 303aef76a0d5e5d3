package config

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// denyGrace is how long an entry is kept past its expiry, should this node's clock be fast.
const denyGrace = 24 * time.Hour

// denySet is the set of what is refused for ever, or until an entry expires. It only
// grows: no snapshot, deletion, rollback or change of subscription takes from it.
// Readers take no lock; one goroutine adds. Additions go to a small map that is copied
// each time, and from there to the large one.
type denySet struct{ now atomic.Pointer[denied] }

type denied struct {
	base, recent map[string]int64 // expiry, Unix seconds; never: math.MaxInt64
}

const maxRecent = 256

// has reports whether a subject is denied.
func (d *denySet) has(subject string) bool {
	now := d.now.Load()
	if now == nil {
		return false
	}
	if _, ok := now.recent[subject]; ok {
		return true
	}
	_, ok := now.base[subject]
	return ok
}

// expiry of a subject's entry; 0 when it has none.
func (d *denySet) expiry(subject string) int64 {
	now := d.now.Load()
	if now == nil {
		return 0
	}
	return max(now.recent[subject], now.base[subject])
}

func (d *denySet) len() int {
	now := d.now.Load()
	if now == nil {
		return 0
	}
	n := len(now.base)
	for s := range now.recent {
		if _, both := now.base[s]; !both {
			n++
		}
	}
	return n
}

// add publishes the set with entries added; each keeps its later expiry.
func (d *denySet) add(entries map[string]int64) {
	if len(entries) == 0 {
		return
	}
	old := d.now.Load()
	if old == nil {
		old = &denied{}
	}
	next := &denied{base: old.base, recent: merge(old.recent, entries)}
	if len(next.recent) > maxRecent {
		next = &denied{base: merge(next.base, next.recent)}
	}
	d.now.Store(next)
}

func merge(a, b map[string]int64) map[string]int64 {
	m := make(map[string]int64, len(a)+len(b))
	for k, v := range a {
		m[k] = v
	}
	for k, v := range b {
		m[k] = max(m[k], v)
	}
	return m
}

// all is every entry, in no order.
func (d *denySet) all() map[string]int64 {
	cur := d.now.Load()
	if cur == nil {
		return nil
	}
	return merge(cur.base, cur.recent)
}

// expired lists what may be forgotten at a time.
func (d *denySet) expired(now time.Time) []string {
	cur := d.now.Load()
	if cur == nil {
		return nil
	}
	limit := now.Add(-denyGrace).Unix()
	var list []string
	for s := range merge(cur.base, cur.recent) {
		if d.expiry(s) < limit {
			list = append(list, s)
		}
	}
	return list
}

// forget publishes the set without subjects that have expired.
func (d *denySet) forget(subjects []string) {
	cur := d.now.Load()
	all := merge(cur.base, cur.recent)
	for _, s := range subjects {
		delete(all, s)
	}
	d.now.Store(&denied{base: all})
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

func readDeny(key, value []byte) (subject string, expires int64, err error) {
	if len(value) != 8 {
		return "", 0, fmt.Errorf("%w: deny entry %q", errDamaged, key)
	}
	return string(key[1:]), int64(binary.BigEndian.Uint64(value)), nil
}
