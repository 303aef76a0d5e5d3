package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestWhatGoesOnKeepsNoDestroyedKeyOnTheDisk destroys a key while a run is at its first row
// or extent, and looks for it in all files when the run is some records further.
func TestWhatGoesOnKeepsNoDestroyedKeyOnTheDisk(t *testing.T) {
	for _, over := range []string{"rows", "extents"} {
		t.Run(over, func(t *testing.T) {
			fs := vfs.NewMem()
			c := &testClock{now: time.Unix(1_700_000_000, 0)}
			s, p, _ := openAt(t, fs, c)
			put(t, p, "secret", []byte("secret"))
			first := epochID{p.id, "", epochAt(c.now)}
			destroyed := epochsOf(t, s)[first].wrapped
			commit(t, p, Op{Kind: Delete, Key: []byte("secret")})
			c.add(day)
			for i := range 2 * stepKeys {
				put(t, p, fmt.Sprint(i), []byte("kept"))
			}
			if err := s.guarded(s.db.Flush); err != nil {
				t.Fatal(err)
			}
			n := 0
			look := func() {
				if n++; n == 1 {
					if err := s.shred(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				if n == stepKeys+1 {
					eventually(t, "no file has the key", func() bool { return grep(t, fs, "store", destroyed) == "" })
				}
			}
			run := &scrub{s: s, ctx: context.Background()}
			if over == "rows" {
				run.each = func([]byte, []byte, *row) { look() }
			} else {
				run.held = func(ID, *extent) { look() }
			}
			if err := run.all(); err != nil {
				t.Fatal(err)
			}
			if _, there := epochsOf(t, s)[first]; there || n != 2*stepKeys {
				t.Errorf("the key is there: %t; %d records", there, n)
			}
		})
	}
}
