package config

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/crashmem"
	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// noTables is a file system on which no table can be made until it is released, so that
// what was committed stays in more than one log.
type noTables struct {
	vfs.FS
	hold    *atomic.Bool
	release chan struct{}
}

func (f noTables) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") && f.hold.Load() {
		<-f.release
	}
	return f.FS.Create(name, c)
}

func onlyStore(fs vfs.FS) *store {
	return &store{
		fs: fs, disk: diskroom.New(fs, "config", -1), dir: "config", log: slog.New(slog.DiscardHandler),
		cache: pebble.NewCache(1 << 20), stop: make(chan struct{}),
	}
}

// numbered makes commits of about the given octets, and returns the number of the last.
func numbered(t *testing.T, g *generation, first, n uint64, octets int) uint64 {
	t.Helper()
	for seq := first; seq < first+n; seq++ {
		if wait := g.busy(0); wait != nil {
			<-wait
		}
		b := g.db.NewBatch()
		err := errors.Join(b.Set(spaced(spaceItem, string(rune(seq))), bytes.Repeat([]byte{byte(seq)}, octets), nil),
			g.number(b, seq), b.Commit(pebble.Sync), g.committed())
		if err != nil {
			t.Fatal(err)
		}
	}
	return first + n - 1
}

// Of the logs of a database that was killed each is lost, emptied or cut, one a run. What
// opens then has all commits up to its last one.
func TestALostLogIsNoticed(t *testing.T) {
	mem := crashmem.New()
	held := noTables{FS: mem, hold: new(atomic.Bool), release: make(chan struct{})}
	s := onlyStore(held)
	defer s.cache.Unref()
	if err := mem.MkdirAll("config", 0o700); err != nil {
		t.Fatal(err)
	}
	g, err := s.openGeneration("a", true)
	if err != nil {
		t.Fatal(err)
	}
	held.hold.Store(true)
	numbered(t, g, 1, 20, 600<<10) // more than a log of 8 MiB
	bad := copyFS(t, mem)
	close(held.release)
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filesLike(bad, "config/a", ".log")
	if err != nil || len(logs) < 2 {
		t.Fatalf("logs: %v, %v: the test proves nothing with one", logs, err)
	}
	noticed := 0
	for _, name := range logs {
		for how, change := range map[string]func(fs vfs.FS) error{
			"lost":    func(fs vfs.FS) error { return fs.Remove(name) },
			"emptied": func(fs vfs.FS) error { write(t, fs, name, nil); return nil },
			"cut": func(fs vfs.FS) error {
				b := read(t, fs, name)
				write(t, fs, name, b[:len(b)/2])
				return nil
			},
		} {
			one := copyFS(t, bad)
			if err := change(one); err != nil {
				t.Fatal(err)
			}
			s := onlyStore(one)
			g, err := s.openGeneration("a", false)
			if err != nil {
				noticed++
				s.cache.Unref()
				continue
			}
			for seq := uint64(1); seq <= g.seq; seq++ {
				if _, closer, err := g.db.Get(spaced(spaceItem, string(rune(seq)))); err != nil {
					t.Errorf("%s %s: commit %d of %d: %v", name, how, seq, g.seq, err)
				} else {
					closer.Close()
				}
			}
			if err := g.close(); err != nil {
				t.Error(err)
			}
			s.cache.Unref()
		}
	}
	if noticed == 0 {
		t.Error("no loss was noticed: the test proves nothing")
	}
}

func filesLike(fs vfs.FS, dir, suffix string) ([]string, error) {
	all, err := fs.List(dir)
	var out []string
	for _, name := range all {
		if strings.HasSuffix(name, suffix) {
			out = append(out, filepath.Join(dir, name))
		}
	}
	return out, err
}

// The ring goes round, the logs become tables meanwhile, and a start finds every mark.
func TestMarksGoRound(t *testing.T) {
	mem := crashmem.New()
	s := onlyStore(mem)
	defer s.cache.Unref()
	g, err := s.openGeneration("a", true)
	if err != nil {
		t.Fatal(err)
	}
	last := numbered(t, g, 1, 2*markRing+7, 1)
	if tables, err := filesLike(mem, "config/a", ".sst"); err != nil || len(tables) == 0 {
		t.Errorf("no table was made of the logs: %v", err)
	}
	killed := onlyStore(copyFS(t, mem))
	defer killed.cache.Unref()
	again, err := killed.openGeneration("a", false)
	if err != nil {
		t.Fatal(err)
	}
	if again.seq != last || again.marked != 1 {
		t.Errorf("it ends at %d, marked from %d, want %d and 1", again.seq, again.marked, last)
	}
	if err := errors.Join(again.close(), g.close()); err != nil {
		t.Error(err)
	}
}

// A configuration of an earlier version has no marks; they begin with its next commit.
func TestMarksBeginWithTheNextCommit(t *testing.T) {
	s := onlyStore(crashmem.New())
	defer s.cache.Unref()
	g, err := s.openGeneration("a", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.db.Set(keySeq, number(900), pebble.Sync), g.close()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ seq, marked uint64 }{{900, 0}, {903, 901}} {
		if g, err = s.openGeneration("a", false); err != nil {
			t.Fatal(err)
		}
		if g.seq != want.seq || g.marked != want.marked {
			t.Errorf("it ends at %d, marked from %d, want %+v", g.seq, g.marked, want)
		}
		if want.marked == 0 {
			numbered(t, g, 901, 3, 1)
		}
		if err := g.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A copy of which a log is lost, be it the last with commits after it, is noticed or whole.
func TestALostLogOfACopyIsNoticed(t *testing.T) {
	mem := crashmem.New()
	held := noTables{FS: mem, hold: new(atomic.Bool), release: make(chan struct{})}
	s := onlyStore(held)
	defer s.cache.Unref()
	if err := mem.MkdirAll("config", 0o700); err != nil {
		t.Fatal(err)
	}
	live, err := s.openGeneration("a", true)
	if err != nil {
		t.Fatal(err)
	}
	last := numbered(t, live, 1, 11, 600<<10)
	if err := live.db.Set(spaced(spacePosition, "last"), nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	held.hold.Store(true)
	copied, err := s.makeSpare("b", live.db.NewSnapshot(), last)
	if err != nil {
		t.Fatal(err)
	}
	b := live.db.NewBatch()
	large := errors.Join(b.Set(spaced(spaceItem, "large"), make([]byte, 3<<20), nil), live.number(b, last+1))
	if err := errors.Join(large, copied.apply(b.Repr(), pebble.Sync)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	bad := copyFS(t, mem)
	close(held.release)
	if err := errors.Join(copied.close(), live.close()); err != nil {
		t.Fatal(err)
	}
	logs, err := filesLike(bad, "config/b", ".log")
	if err != nil || len(logs) < 2 {
		t.Fatalf("logs: %v, %v: the test proves nothing with one", logs, err)
	}
	for _, name := range logs {
		one := copyFS(t, bad)
		if err := one.Remove(name); err != nil {
			t.Fatal(err)
		}
		s := onlyStore(one)
		if g, err := s.openGeneration("b", false); err == nil {
			_, closer, gerr := g.db.Get(spaced(spacePosition, "last"))
			if g.seq != 0 && gerr != nil {
				t.Errorf("%s lost: it opens at %d without a row of the copy", name, g.seq)
			}
			if gerr == nil {
				closer.Close()
			}
			if err := g.close(); err != nil {
				t.Error(err)
			}
		}
		s.cache.Unref()
	}
}

// A disk on which no table can be made lets no mark be overwritten of a commit that is in a log
// alone: whichever log is lost then, the start notices it. The follower waits meanwhile.
func TestNoMarkIsOverwrittenWhileTablesAreStuck(t *testing.T) {
	mem := crashmem.New()
	held := noTables{FS: mem, hold: new(atomic.Bool), release: make(chan struct{})}
	s := onlyStore(held)
	defer s.cache.Unref()
	if err := mem.MkdirAll("config", 0o700); err != nil {
		t.Fatal(err)
	}
	g, err := s.openGeneration("a", true)
	if err != nil {
		t.Fatal(err)
	}
	s.live = g
	c := &Config{store: s, o: Options{Log: slog.New(slog.DiscardHandler)}}
	held.hold.Store(true)
	seq, waits := uint64(0), uint64(0) // the last commit, and the first one for which the follower waits
	for ; seq < 2*markRing && err == nil; seq++ {
		if waits == 0 && s.busy() != nil {
			waits = seq + 1
		}
		b := g.db.NewBatch()
		err = errors.Join(b.Set(spaced(spaceItem, string(rune(seq))), nil, nil), g.number(b, seq+1))
		if err == nil {
			err = errors.Join(b.Commit(pebble.NoSync), g.committed())
		}
		b.Close()
	}
	if seq--; !errors.Is(err, errNoMark) || waits == 0 || waits > seq-markSpare/2 {
		t.Errorf("%d commits, then %v; the follower waits before commit %d", seq, err, waits)
	}
	if err := g.db.LogData(nil, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	bad := copyFS(t, mem)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c.waitMarks(ended) // it returns
	close(held.release)
	c.waitMarks(t.Context())
	if wait := s.busy(); wait != nil {
		t.Error("the follower waits though tables were made")
	}
	if err := g.close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filesLike(bad, "config/a", ".log")
	if err != nil || len(logs) < 2 {
		t.Fatalf("logs: %v, %v: the test proves nothing with one", logs, err)
	}
	slices.Sort(logs)
	for _, name := range logs[:len(logs)-1] { // the commits of the last are the last
		one := copyFS(t, bad)
		if err := one.Remove(name); err != nil {
			t.Fatal(err)
		}
		s := onlyStore(one)
		if g, err := s.openGeneration("a", false); err == nil {
			t.Errorf("%s of %v is lost, and the generation opens at commit %d", name, logs, g.seq)
			_ = g.close()
		}
		s.cache.Unref()
	}
}
