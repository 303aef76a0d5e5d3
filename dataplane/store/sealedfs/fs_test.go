package sealedfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

var key = [32]byte{1, 2, 3}

func create(t *testing.T, fs vfs.FS, name string, parts ...string) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := f.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFilesReadAsWrittenAndLieEncrypted(t *testing.T) {
	inner := vfs.NewMem()
	fs := New(inner, key)
	text := strings.Repeat("a name of an object, ", 1000)
	create(t, fs, "f", text[:7], text[7:5000], text[5000:])
	if got := content(t, fs, "f"); string(got) != text {
		t.Fatalf("read %d octets that differ", len(got))
	}
	if bytes.Contains(content(t, inner, "f"), []byte("name")) {
		t.Fatal("the file holds its text in the clear")
	}
	info, err := fs.Stat("f")
	if err != nil || info.Size() != int64(len(text)) {
		t.Fatalf("size %d, %v", info.Size(), err)
	}
}

func TestReadAtAndWriteAtAnyOffset(t *testing.T) {
	fs := New(vfs.NewMem(), key)
	f, err := fs.OpenReadWrite("f", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 300<<10)
	if _, err := f.WriteAt(bytes.Clone(want), 0); err != nil {
		t.Fatal(err)
	}
	for range 300 {
		at, n := r.IntN(len(want)), r.IntN(200<<10)
		p := want[at:min(len(want), at+n)]
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		given := bytes.Clone(p)
		if _, err := f.WriteAt(given, int64(at)); err != nil {
			t.Fatal(err)
		}
		from, m := r.IntN(len(want)), r.IntN(1000)
		got := make([]byte, min(m, len(want)-from))
		if _, err := f.ReadAt(got, int64(from)); err != nil || !bytes.Equal(got, want[from:from+len(got)]) {
			t.Fatalf("at %d: differs, %v", from, err)
		}
	}
}

func TestCounterCarries(t *testing.T) {
	iv := [16]byte{8: 0xff, 9: 0xff, 10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff}
	if got := counter(iv, 32); got != [16]byte{7: 1, 15: 1} {
		t.Fatalf("%x", got)
	}
}

func TestWrongKeyAndDamagedHeaderAreNamed(t *testing.T) {
	inner := vfs.NewMem()
	create(t, New(inner, key), "f", "text")
	if _, err := New(inner, [32]byte{9}).Open("f"); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "f") {
		t.Fatalf("wrong key: %v", err)
	}
	raw := content(t, inner, "f")
	for i := range checkEnd {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		create(t, inner, "g", string(bad))
		if _, err := New(inner, key).Open("g"); !errors.Is(err, ErrKey) {
			t.Fatalf("octet %d flipped: %v", i, err)
		}
	}
}

func TestFileWithoutHeaderIsEmpty(t *testing.T) {
	inner := vfs.NewMem()
	for i, raw := range []string{"", "darkfs", strings.Repeat("\x00", 5000)} {
		name := fmt.Sprint(i)
		create(t, inner, name, raw)
		if got := content(t, New(inner, key), name); len(got) != 0 {
			t.Fatalf("%d: %d octets", i, len(got))
		}
	}
}

// reusing counts logs that are written over others.
type reusing struct {
	vfs.FS
	n int
}

func (fs *reusing) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	fs.n++
	return fs.FS.ReuseForWrite(oldname, newname, c)
}

// TestPebbleSurvivesCrashes: acknowledged rows are there after every crash, whatever the
// disk kept of the rest, in logs that lie over older logs, too.
func TestPebbleSurvivesCrashes(t *testing.T) {
	reused := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		disk := storetest.New()
		rows := map[string]string{}
		for round := range 3 {
			counted := &reusing{FS: disk}
			db, err := pebble.Open("db", &pebble.Options{
				FS: New(counted, key), MemTableSize: 64 << 10,
				Logger: quiet{},
			})
			if err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			for k, v := range rows {
				got, c, err := db.Get([]byte(k))
				if err != nil || string(got) != v {
					t.Fatalf("seed %d, round %d: %s is %q, %v", seed, round, k, got, err)
				}
				c.Close()
			}
			for range 100 + r.IntN(200) {
				k, v := fmt.Sprint("key ", r.IntN(500)), strings.Repeat("v", r.IntN(2000))
				if err := db.Set([]byte(k), []byte(v), pebble.Sync); err != nil {
					t.Fatal(err)
				}
				rows[k] = v
			}
			for i := range r.IntN(20) { // nobody was told of these
				if err := db.Set(fmt.Append(nil, "unsynced ", i), make([]byte, r.IntN(2000)),
					pebble.NoSync); err != nil {
					t.Fatal(err)
				}
			}
			next := disk.CrashClone([]int{0, 50, 100}[r.IntN(3)], seed)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			disk, reused = next, reused+counted.n
		}
	}
	if reused < 100 {
		t.Errorf("%d logs lay over others", reused)
	}
	t.Logf("%d logs lay over others", reused)
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
