package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func create(t *testing.T, fs vfs.FS, name string) vfs.File {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeAt(t *testing.T, f vfs.File, p []byte, off int64) {
	t.Helper()
	_, err := f.WriteAt(p, off)
	must(t, err)
}

func syncDir(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	d, err := fs.OpenDir(dir)
	must(t, err)
	must(t, d.Sync())
}

func contents(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	must(t, err)
	info, err := f.Stat()
	must(t, err)
	p := make([]byte, info.Size())
	if len(p) > 0 {
		_, err = f.ReadAt(p, 0)
		must(t, err)
	}
	return p
}

func TestUnsyncedSectorsHaveTheirFormerContentsByChance(t *testing.T) {
	fs := New()
	f := create(t, fs, "/a")
	old, fresh := bytes.Repeat([]byte{1}, 64*Sector), bytes.Repeat([]byte{2}, 64*Sector)
	writeAt(t, f, old, 0)
	must(t, f.SyncData())
	syncDir(t, fs, "/")
	writeAt(t, f, fresh, 0)
	for percent, want := range map[int]func(n int) bool{
		0:   func(n int) bool { return n == 0 },
		50:  func(n int) bool { return n > 10 && n < 54 },
		100: func(n int) bool { return n == 64 },
	} {
		after := contents(t, fs.CrashClone(percent, 1), "/a")
		n := 0
		for s := range 64 {
			sector := after[s*Sector:][:Sector]
			if bytes.Equal(sector, fresh[:Sector]) {
				n++
			} else if !bytes.Equal(sector, old[:Sector]) {
				t.Fatal("a sector was torn")
			}
		}
		if !want(n) {
			t.Errorf("at %d percent %d sectors of 64 survived", percent, n)
		}
	}
	if !bytes.Equal(contents(t, fs.CrashClone(50, 7), "/a"), contents(t, fs.CrashClone(50, 7), "/a")) {
		t.Error("a seed does not repeat its crash")
	}
}

func TestNamesAreLostUntilTheirDirectoryIsSynced(t *testing.T) {
	fs := New()
	must(t, fs.MkdirAll("/d", 0o755))
	syncDir(t, fs, "/")
	must(t, create(t, fs, "/d/a").Sync())
	list := func(percent int) string {
		names, err := fs.CrashClone(percent, 1).List("/d")
		must(t, err)
		slices.Sort(names)
		return fmt.Sprint(names)
	}
	if list(0) != "[]" || list(100) != "[a]" {
		t.Errorf("before the sync: %s, %s", list(0), list(100))
	}
	syncDir(t, fs, "/d")
	must(t, fs.Rename("/d/a", "/d/b"))
	if list(0) != "[a]" || list(100) != "[b]" {
		t.Errorf("renamed: %s, %s", list(0), list(100))
	}
	syncDir(t, fs, "/d")
	must(t, fs.Remove("/d/b"))
	if list(0) != "[b]" || list(100) != "[]" {
		t.Errorf("removed: %s, %s", list(0), list(100))
	}
}

func TestADirectoryThatIsLostTakesAllWithIt(t *testing.T) {
	fs := New()
	must(t, fs.MkdirAll("/d/e", 0o755))
	must(t, create(t, fs, "/d/e/a").Sync())
	syncDir(t, fs, "/d/e")
	syncDir(t, fs, "/d")
	if _, err := fs.CrashClone(0, 1).Stat("/d/e/a"); err == nil {
		t.Error("the file outlived its directory")
	}
}

func TestAFailedSyncLosesWhatItWasToKeep(t *testing.T) {
	fs := New()
	f := create(t, fs, "/a")
	syncDir(t, fs, "/")
	writeAt(t, f, []byte("old"), 0)
	must(t, f.Sync())
	fs.FailSync(func(name string) bool { return name == "/a" }, 2, syscall.EIO)
	must(t, f.Sync())
	writeAt(t, f, []byte("new"), 0)
	if err := f.SyncData(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("the second sync: %v", err)
	}
	must(t, f.Sync())
	if got := contents(t, fs.CrashClone(0, 1), "/a"); string(got) != "old" {
		t.Errorf("after the crash: %q", got)
	}
	writeAt(t, f, []byte("new"), 0)
	must(t, f.Sync())
	if got := contents(t, fs.CrashClone(0, 1), "/a"); string(got) != "new" {
		t.Errorf("written and synced again: %q", got)
	}
}

func TestAFullDiskTakesWhatFits(t *testing.T) {
	fs := New()
	f := create(t, fs, "/a")
	fs.SetFree(10)
	if n, err := f.WriteAt(make([]byte, 20), 0); n != 10 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%d octets, %v", n, err)
	}
	if _, err := f.WriteAt(make([]byte, 10), 0); err != nil {
		t.Errorf("writing over: %v", err)
	}
	must(t, fs.Remove("/a"))
	if err := create(t, fs, "/b").Preallocate(0, 11); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fallocate: %v", err)
	}
	g := create(t, fs, "/c")
	must(t, g.Preallocate(0, 10))
	if _, err := g.WriteAt(make([]byte, 10), 0); err != nil {
		t.Errorf("what was preallocated: %v", err)
	}
}

func TestSyncsThatLieDoNothing(t *testing.T) {
	fs := New()
	fs.Lie(Bodies)
	f, g := create(t, fs, "/00000001.seg"), create(t, fs, "/other")
	syncDir(t, fs, "/")
	writeAt(t, f, []byte("x"), 0)
	writeAt(t, g, []byte("x"), 0)
	must(t, f.Sync())
	must(t, g.Sync())
	after := fs.CrashClone(0, 1)
	if len(contents(t, after, "/00000001.seg")) != 0 || len(contents(t, after, "/other")) != 1 {
		t.Error("the wrong sync lied")
	}
}

func TestASyncKeepsNothingThatCameAfterItBegan(t *testing.T) {
	fs := New()
	f := create(t, fs, "/a")
	syncDir(t, fs, "/")
	writeAt(t, f, []byte("before"), 0)
	fs.OnSync(func(string) {
		if got := contents(t, fs.CrashClone(0, 1), "/a"); len(got) != 0 {
			t.Errorf("before the sync ended: %q", got)
		}
		writeAt(t, f, []byte("behind"), 0)
		writeAt(t, f, []byte("longer"), Sector)
	})
	must(t, f.Sync())
	if got := contents(t, fs.CrashClone(0, 1), "/a"); string(got) != "before" {
		t.Errorf("after it: %q", got)
	}
	fs.OnSync(nil)
	must(t, f.Sync())
	if got := contents(t, fs.CrashClone(0, 1), "/a"); len(got) != Sector+6 || string(got[:6]) != "behind" {
		t.Errorf("after the next: %q", got)
	}
}

// TestPebbleKeepsWhatItSynced: the disk is good enough for a database, and its lies are
// seen by one.
func TestPebbleKeepsWhatItSynced(t *testing.T) {
	lies := map[string]func(string) bool{"": nil, "logs": Logs, "directories": Directories}
	for _, lie := range slices.Sorted(maps.Keys(lies)) {
		lost := 0
		for seed := range uint64(30) {
			lost += pebbleRound(t, seed, lies[lie])
		}
		if (lost > 0) != (lie != "") {
			t.Errorf("lying about %q: %d synced rows lost", lie, lost)
		}
	}
}

func pebbleRound(t *testing.T, seed uint64, lie func(string) bool) (lost int) {
	fs := New()
	if lie != nil {
		fs.Lie(lie)
	}
	opt := func(fs vfs.FS) *pebble.Options {
		return &pebble.Options{FS: fs, MemTableSize: 64 << 10, Logger: silent{}}
	}
	db, err := pebble.Open("/db", opt(fs))
	must(t, err)
	for i := range 200 {
		must(t, db.Set(fmt.Appendf(nil, "%04d", i), bytes.Repeat([]byte{byte(i)}, 1000), pebble.Sync))
	}
	after := fs.CrashClone(int(seed%3)*50, seed)
	must(t, db.Close())
	db, err = pebble.Open("/db", opt(after))
	if err != nil {
		if lie == nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return 200
	}
	defer db.Close()
	for i := range 200 {
		v, closer, err := db.Get(fmt.Appendf(nil, "%04d", i))
		if err != nil || !bytes.Equal(v, bytes.Repeat([]byte{byte(i)}, 1000)) {
			lost++
			continue
		}
		must(t, closer.Close())
	}
	return lost
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
