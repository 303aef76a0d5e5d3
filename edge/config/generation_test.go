package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/crashmem"
)

func nilTLS() (*tls.Config, error) { return &tls.Config{}, nil }

func randV2(seed int64) *rand.Rand { return rand.New(rand.NewPCG(uint64(seed), 1)) }

// filled returns a file system with a configuration that was closed cleanly, which
// generation serves, and what it answers.
func filled(t testing.TB) (fs *crashmem.FS, live string, want map[string]string) {
	t.Helper()
	mem, p := crashmem.New(), newPublisher(t)
	c, a := reopen(t, mem, "org/a")
	for i := range 20 {
		next(t, c, a, p, item(fmt.Sprint("x", i%7), fmt.Sprint(i)))
	}
	next(t, c, a, p, denial("key:1"))
	settled(t, c)
	live = c.store.live.name
	closeConfig(t, c)
	return mem, live, p.now
}

// settled waits until there is a spare generation.
func settled(t testing.TB, c *Config) {
	t.Helper()
	until(t, "a spare generation", func() bool {
		c.store.mu.Lock()
		defer c.store.mu.Unlock()
		return c.store.mu.spare != nil
	})
}

// until waits until something is so, for a minute at most.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in a minute", what)
		}
		<-tick.C
	}
}

func copyFS(t testing.TB, fs *crashmem.FS) *crashmem.FS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: randV2(1)})
}

func files(t testing.TB, fs vfs.FS, generation string) []string {
	t.Helper()
	dir := "edge/config/" + generation
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = dir + "/" + names[i]
	}
	return names
}

func read(t testing.TB, fs vfs.FS, name string) []byte {
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

func write(t testing.TB, fs vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// destroy overwrites every file of a generation.
func destroy(t testing.TB, fs vfs.FS, generation string) {
	t.Helper()
	for _, name := range files(t, fs, generation) {
		write(t, fs, name, []byte("rubbish"))
	}
}

func TestACorruptGenerationGivesWayToTheOther(t *testing.T) {
	fs, live, want := filled(t)
	destroy(t, fs, live)
	c, a := reopen(t, fs)
	same(t, "from the other", a.now, want)
	if c.store.live.name == live || !c.Denied("key:1") {
		t.Fatalf("served from %s, denied %v", c.store.live.name, c.Denied("key:1"))
	}
	// A new spare is made, so that the next fault is met too.
	settled(t, c)
	second := c.store.live.name
	closeConfig(t, c)
	destroy(t, fs, second)
	c, a = reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "from the one made anew", a.now, want)
}

func TestAGenerationThatIsGoneIsNotAFirstStart(t *testing.T) {
	fs, live, want := filled(t)
	if err := fs.RemoveAll("edge/config/" + live); err != nil {
		t.Fatal(err)
	}
	c, a := reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "from the one that is left", a.now, want)
}

// Octets of the serving generation are flipped, one a run: the answers are the same,
// from this generation or the other, and never others.
func TestFlippedOctetsNeverChangeAnswers(t *testing.T) {
	fs, live, want := filled(t)
	flips, switched := 0, 0
	for _, name := range files(t, fs, live) {
		b := read(t, fs, name)
		step := max(1, len(b)/60)
		for i := 0; i < len(b); i += step {
			bad := copyFS(t, fs)
			changed := append([]byte(nil), b...)
			changed[i] ^= 0x55
			write(t, bad, name, changed)
			c, a, err := tryOpen(bad)
			if err != nil {
				t.Fatalf("%s octet %d: %v", name, i, err)
			}
			same(t, fmt.Sprintf("%s octet %d", name, i), a.now, want)
			if !c.Denied("key:1") {
				t.Fatalf("%s octet %d: the deny entry is lost", name, i)
			}
			flips++
			if c.store.live.name != live {
				switched++
			}
			closeConfig(t, c)
		}
	}
	t.Logf("%d flips, %d times the other generation served", flips, switched)
	if flips < 100 || switched == 0 {
		t.Errorf("%d flips and %d switches prove little", flips, switched)
	}
}

// A spare whose making was interrupted is never served.
func TestAnUnfinishedSpareIsNotServed(t *testing.T) {
	fs, live, want := filled(t)
	other := map[string]string{"a": "b", "b": "a"}[live]
	if err := fs.RemoveAll("edge/config/" + other); err != nil {
		t.Fatal(err)
	}
	s := &store{fs: fs, dir: "edge/config", log: quiet()}
	half, err := s.openGeneration(other, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := half.db.Set([]byte("xhalf"), []byte("1"), nil); err != nil {
		t.Fatal(err)
	}
	if err := half.close(); err != nil {
		t.Fatal(err)
	}
	c, a := reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "beside an unfinished one", a.now, want)
	if c.store.live.name != live {
		t.Fatalf("serves from %s, the unfinished one", c.store.live.name)
	}
}

func TestTheSpareKeepsUpWhileItIsMade(t *testing.T) {
	fs, p := vfs.NewMem(), newPublisher(t)
	c, a := reopen(t, fs, "org/a")
	for i := range 200 { // commits go on while the first spare is made
		next(t, c, a, p, item(fmt.Sprint("x", i), strings.Repeat("v", 100)))
	}
	settled(t, c)
	for i := range 200 {
		next(t, c, a, p, item(fmt.Sprint("y", i), "1"))
	}
	live := c.store.live.name
	closeConfig(t, c)
	destroy(t, fs, live)
	c, a = reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "from the spare", a.now, p.now)
	if c.Revision() != p.revision {
		t.Fatalf("revision %d, want %d", c.Revision(), p.revision)
	}
}
