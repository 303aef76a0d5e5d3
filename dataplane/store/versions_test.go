package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// TestAKeyHasSoManyVersionsAndNoMore: each row counts, however it goes; deleting one makes
// room for one.
func TestAKeyHasSoManyVersionsAndNoMore(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, testOptions(fs))
	s.machine.most = 3
	p := at(t, s, space1)
	try := func(kind OpKind) (Version, error) {
		r, err := p.Commit(context.Background(), Op{Kind: kind, Key: []byte("k"), Value: []byte("v")})
		if err != nil {
			return 0, err
		}
		return r[0].Version, nil
	}
	must := func(kind OpKind) Version {
		t.Helper()
		v, err := try(kind)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	full := func() {
		t.Helper()
		if _, err := try(Stack); !errors.Is(err, ErrTooLarge) {
			t.Fatalf("a version too many: %v", err)
		}
	}
	remove := func(v Version) { t.Helper(); commit(t, p, Op{Kind: Delete, Key: []byte("k"), Version: v}) }
	first := must(Stack)
	must(Stack)
	must(Put)
	full()
	must(Put) // in place of the null version
	full()
	remove(first) // not the current one
	last := must(Stack)
	full()
	remove(last) // the current one
	must(Put)
	must(Stack)
	full()
	commit(t, p, Op{Kind: DropPrefix, Key: []byte("k")})
	for range 3 {
		must(Stack)
	}
	full()
	s.Close()
	s = open(t, testOptions(fs)) // the count outlives the process
	s.machine.most = 3
	p = at(t, s, space1)
	full()
	wantClean(t, s)
}

// TestOneCommandLeavesOneNullVersion also where it stacks and puts the same key.
func TestOneCommandLeavesOneNullVersion(t *testing.T) {
	s, p := openMem(t)
	commit(t, p, Op{Kind: Put, Key: []byte("k"), Value: []byte("null")})
	commit(t, p, Op{Kind: Stack, Key: []byte("k"), Value: []byte("stacked")}, Op{
		Kind: Put, Key: []byte("k"),
		Value: []byte("new null"),
	})
	c, err := p.Scan(ScanOptions{Versions: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n := 0
	for c.Next() {
		n++
		if v, err := c.Value(); err != nil || string(v) != "new null" || !c.Row().Null {
			t.Errorf("%+v %q %v", c.Row(), v, err)
		}
	}
	if n != 1 || c.Err() != nil {
		t.Errorf("%d rows, %v", n, c.Err())
	}
	_ = c.Close()
	wantClean(t, s)
}

// TestTheFirstEpochKeyOfADayStays: a second proposer's, wrapped by a newer version of the
// space's key since that was rotated in between, must not take its place: what the first
// sealed could not be opened any more. Wrapping the first again may.
func TestTheFirstEpochKeyOfADayStays(t *testing.T) {
	r := newReplica(t)
	space := ID{1}
	send := func(e *storev1.Epoch) string {
		t.Helper()
		op := &storev1.Op{Space: space[:], Op: &storev1.Op_Epoch{Epoch: e}}
		if err := applied(r.m, &storev1.Command{Ops: []*storev1.Op{op}}); err != nil {
			t.Fatal(err)
		}
		v, err := get(r.m.db, epochKey(space, "", e.Epoch))
		if err != nil {
			t.Fatal(err)
		}
		var got epoch
		if v != nil && got.parse(v) != nil {
			t.Fatalf("%x", v)
		}
		return fmt.Sprintf("%s %d", got.wrapped, got.keyVersion)
	}
	for _, step := range []struct {
		e    *storev1.Epoch
		want string
	}{
		{&storev1.Epoch{Epoch: 1, KeyVersion: 1, Wrapped: []byte("first")}, "first 1"},
		{&storev1.Epoch{Epoch: 1, KeyVersion: 2, Wrapped: []byte("second")}, "first 1"},
		{&storev1.Epoch{Epoch: 1, KeyVersion: 2, Wrapped: []byte("again"), Replaces: []byte("other")}, "first 1"},
		{&storev1.Epoch{Epoch: 1, KeyVersion: 2, Wrapped: []byte("again"), Replaces: []byte("first")}, "again 2"},
		{&storev1.Epoch{Epoch: 1, KeyVersion: 2, Wrapped: []byte("twice"), Replaces: []byte("again")}, "again 2"},
		{&storev1.Epoch{Epoch: 2, KeyVersion: 2, Wrapped: []byte("gone"), Replaces: []byte("was")}, " 0"},
	} {
		if got := send(step.e); got != step.want {
			t.Errorf("%v: %s, want %s", step.e, got, step.want)
		}
	}
}
