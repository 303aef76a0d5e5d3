package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestTheBodyOfACommandThatFailsIsSwept has commands fail while they are applied, with
// another error than a refusal.
func TestTheBodyOfACommandThatFailsIsSwept(t *testing.T) {
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, vfs.NewMem(), c)
	put(t, p, "there", pattern(100_000, 1))
	before := s.files.Stats()
	record := epochKey(p.id, "", epochAt(c.now))
	if err := s.db.Set(record, []byte("rotten"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w, err := p.Write(context.Background(), Sealing{}, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(pattern(200_000, 2)); err != nil {
			t.Fatal(err)
		}
		b, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		var r *Refused
		if _, err := p.Commit(context.Background(), putOp("a", b)); err == nil || errors.As(err, &r) {
			t.Fatalf("the command gave %v", err)
		}
		w.Abort()
		w.Abort() // changes nothing
	}
	c.add(2 * time.Hour)
	maintain(t, s)
	if now := s.files.Stats(); now.Extents != before.Extents || now.Live != before.Live {
		t.Errorf("%d extents and %d octets, of %d and %d", now.Extents, now.Live, before.Extents, before.Live)
	}
}

func TestABodyThatWasFinishedWhileTheClockWasAheadIsSwept(t *testing.T) {
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, vfs.NewMem(), c)
	before := s.files.Stats()
	c.add(3650 * day)
	body(t, p, Sealing{}, pattern(100_000, 1))
	c.add(-3650 * day)
	maintain(t, s)
	if s.files.Stats().Live == before.Live {
		t.Fatal("the body went before its hour")
	}
	c.add(2 * time.Hour)
	maintain(t, s)
	if now := s.files.Stats(); now.Live != before.Live {
		t.Errorf("%d octets are live, of %d", now.Live, before.Live)
	}
}
