package consensus

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/hashicorp/raft"
)

func testLog(t *testing.T, fsys vfs.FS, fatal func(error)) *groupLog {
	t.Helper()
	for _, d := range []string{"log", "side"} {
		if err := makeDir(fsys, d); err != nil {
			t.Fatal(err)
		}
	}
	db, err := openLogDB(fsys, "log", slog.New(slog.DiscardHandler), fatal)
	if err != nil {
		t.Fatal(err)
	}
	l, err := openGroupLog(db, fsys, "side", "g")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(l.close(), db.close()) })
	return l
}

func store(t *testing.T, l *groupLog, term, from, to uint64) {
	t.Helper()
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: term})
	}
	if err := l.StoreLogs(logs); err != nil {
		t.Fatal(err)
	}
}

func wantRange(t *testing.T, l *groupLog, first, last uint64) {
	t.Helper()
	f, _ := l.FirstIndex()
	e, _ := l.LastIndex()
	if f != first || e != last {
		t.Fatalf("log is %d to %d, want %d to %d", f, e, first, last)
	}
}

func TestLogKeepsItsEndsThroughDeletions(t *testing.T) {
	l := testLog(t, vfs.NewMem(), func(err error) { t.Error(err) })
	store(t, l, 1, 1, 20)
	if err := l.DeleteRange(1, 5); err != nil { // compaction
		t.Fatal(err)
	}
	wantRange(t, l, 6, 20)
	if err := l.DeleteRange(16, 20); err != nil { // conflict
		t.Fatal(err)
	}
	wantRange(t, l, 6, 15)
	if c := l.mu.side.claim; c.index != 15 {
		t.Errorf("the side file claims %d after the tail was cut on purpose", c.index)
	}
	if err := l.DeleteRange(8, 9); err == nil {
		t.Error("a hole was made")
	}
	if err := l.StoreLogs([]*raft.Log{{Index: 17, Term: 1}}); err == nil {
		t.Error("a gap was made")
	}
	store(t, l, 2, 16, 18)
	if err := l.DeleteRange(6, 18); err != nil {
		t.Fatal(err)
	}
	wantRange(t, l, 0, 0)
	store(t, l, 3, 40, 41) // after a snapshot
	wantRange(t, l, 40, 41)
	if err := l.load(); err != nil {
		t.Fatal(err)
	}
	if err := l.check(); err != nil {
		t.Fatal(err)
	}
}

// A snapshot was installed over a longer log: raft removes the whole of it and goes
// on from its old last index.
func TestLogAboveAnInstalledSnapshotStays(t *testing.T) {
	l := testLog(t, vfs.NewMem(), func(err error) { t.Error(err) })
	store(t, l, 1, 1, 20)
	l.setSnapshot(15, 2)
	if err := l.DeleteRange(1, 20); err != nil {
		t.Fatal(err)
	}
	wantRange(t, l, 16, 20)
	var e raft.Log
	if err := l.GetLog(15, &e); err != nil || e.Term != 2 {
		t.Errorf("the snapshot's entry is %+v, %v", e, err)
	}
	if err := l.GetLog(14, &e); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("an entry that is gone: %v", err)
	}
}

// After the first failed write or sync nothing is written, and nothing is acknowledged.
func TestAFailedSyncIsFatalAndNotTriedAgain(t *testing.T) {
	for _, where := range []string{".log", "side/g"} {
		boom := errors.New("boom")
		armed := false
		fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if armed && strings.HasSuffix(op.Path, where) && (op.Kind == errorfs.OpFileSync ||
				op.Kind == errorfs.OpFileSyncData) {
				armed = false // the second try would succeed
				return boom
			}
			return nil
		}))
		var fatals []error
		l := testLog(t, fsys, func(err error) { fatals = append(fatals, err) })
		store(t, l, 1, 1, 3)
		armed = true
		if err := l.StoreLog(&raft.Log{Index: 4, Term: 1}); !errors.Is(err, boom) && !strings.Contains(err.Error(),
			"boom") {
			t.Fatalf("%s: acknowledged, or failed with %v", where, err)
		}
		if err := l.StoreLog(&raft.Log{Index: 4, Term: 1}); err == nil {
			t.Errorf("%s: written after a failure", where)
		}
		if err := l.Set([]byte("k"), nil); err == nil {
			t.Errorf("%s: a vote was written after a failure", where)
		}
		if len(fatals) != 1 {
			t.Errorf("%s: told of %d failures: %v", where, len(fatals), fatals)
		}
	}
}
