package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/crashmem"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// tabled returns a configuration whose two generations are tables of several blocks.
func tabled(t testing.TB) (*crashmem.FS, *publisher) {
	t.Helper()
	fs, p := crashmem.New(), newPublisher(t)
	c, a := reopen(t, fs, "org/a")
	settled(t, c)
	var items []*feedv1.Item
	for i := range 400 {
		items = append(items, item(fmt.Sprint("x", i/10, "/", i%10), fmt.Sprintf("%0300d", i*7919)))
	}
	next(t, c, a, p, items...)
	next(t, c, a, p, denial("key:1"))
	closeConfig(t, c)
	c, _ = reopen(t, fs) // makes tables of what is in the logs
	settled(t, c)
	closeConfig(t, c)
	return fs, p
}

// ruin changes 64 octets in the middle of a file; false when there are none.
func ruin(t testing.TB, fs vfs.FS, name string, change func(byte) byte) bool {
	t.Helper()
	b := read(t, fs, name)
	if len(b) == 0 {
		return false
	}
	from := max(0, len(b)/2-32)
	for i := from; i < min(from+64, len(b)); i++ {
		b[i] = change(b[i])
	}
	write(t, fs, name, b)
	return true
}

var ruins = map[string]func(byte) byte{
	"flipped": func(b byte) byte { return b ^ 0x55 },
	"zeroed":  func(byte) byte { return 0 },
}

// Each file of each generation has 64 octets damaged, one a run: the edge serves the same,
// from this generation or the other, now and after the next start, which finds two whole
// ones again.
func TestDamageInAnyFileOfAGenerationIsOutlived(t *testing.T) {
	fs, p := tabled(t)
	want := p.now
	runs, met := 0, uint64(0)
	for how, change := range ruins {
		for _, name := range append(files(t, fs, "a"), files(t, fs, "b")...) {
			bad := copyFS(t, fs)
			if !ruin(t, bad, name, change) {
				continue
			}
			what := how + " " + name
			c, a := reopen(t, bad)
			same(t, what, a.now, want)
			settled(t, c)
			c.store.work.Wait() // the spare was verified, and made anew where it had to be
			met += c.Damages()
			if !c.Denied("key:1") || c.Lost() {
				t.Errorf("%s: denied %v, lost %v", what, c.Denied("key:1"), c.Lost())
			}
			live := c.store.live.name
			closeConfig(t, c)
			destroy(t, bad, live)
			c, a = reopen(t, bad)
			same(t, what+", from the spare", a.now, want)
			closeConfig(t, c)
			runs++
		}
	}
	t.Logf("%d files damaged, %d generations found damaged", runs, met)
	if met < 4 {
		t.Errorf("%d generations were found damaged: the test proves little", met)
	}
}

// Each file of each generation is lost or emptied, one a run, of an edge that was closed and
// of one that was killed. The first serves the same. The second may serve from a spare that
// is up to spareCommits behind, and then misses none in between.
func TestALostFileOfAGenerationIsOutlived(t *testing.T) {
	closed, p := tabled(t)
	killed := copyFS(t, closed)
	c, a := reopen(t, killed)
	settled(t, c)
	for i := range 30 {
		next(t, c, a, p, item(fmt.Sprint("late", i), fmt.Sprint(i)))
	}
	for _, c := range []struct {
		fs   *crashmem.FS
		late int
	}{{closed, 0}, {copyFS(t, killed), 30}} {
		for _, name := range append(files(t, c.fs, "a"), files(t, c.fs, "b")...) {
			for how, change := range map[string]func(fs vfs.FS) error{
				"lost":    func(fs vfs.FS) error { return fs.Remove(name) },
				"emptied": func(fs vfs.FS) error { write(t, fs, name, nil); return nil },
			} {
				bad := copyFS(t, c.fs)
				if err := change(bad); err != nil {
					t.Fatal(err)
				}
				again, a := reopen(t, bad)
				late := 0
				for ; a.now[fmt.Sprint("org/a test.Record late", late)] != ""; late++ {
				}
				if len(a.now) != 400+late || late > c.late {
					t.Errorf("%s %s: %d records, %d of them late, want 400 and at most %d", how, name, len(a.now), late,
						c.late)
				}
				if !again.Denied("key:1") || again.Lost() {
					t.Errorf("%s %s: denied %v, lost %v", how, name, again.Denied("key:1"), again.Lost())
				}
				closeConfig(t, again)
			}
		}
	}
	closeConfig(t, c)
}

// told sends an edge its stream as a snapshot, as a control node does to one without a
// position, and cuts.
func told(t *testing.T, c *Config, a *answers, p *publisher) {
	t.Helper()
	var items []*feedv1.Item
	for key, value := range p.now {
		items = append(items, item(key[strings.LastIndexByte(key, ' ')+1:], value))
	}
	feed(t, c, a, p.revision, p.snapshot("org/a", items)...)
}

// With both generations damaged the edge starts, says so, answers nothing, keeps what it
// can of the deny set, and serves when it was told everything, which a restart keeps.
func TestWithBothGenerationsDamagedTheEdgeIsToldAnew(t *testing.T) {
	fs, p := tabled(t)
	for _, g := range []string{"a", "b"} {
		for _, name := range files(t, fs, g) {
			if strings.HasSuffix(name, ".sst") {
				ruin(t, fs, name, ruins["zeroed"])
			}
		}
	}
	var said bytes.Buffer
	c, a, err := tryOpenLogging(fs, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c.store.work.Wait() // it logs, too
	if n := strings.Count(said.String(), "both generations are damaged"); n != 1 || !c.Lost() || c.Damages() != 2 ||
		len(a.now) != 0 {
		t.Fatalf("said %d times, lost %v, damages %d, %d records\n%s", n, c.Lost(), c.Damages(), len(a.now),
			said.String())
	}
	if !c.Denied("key:1") || c.epoch != 1 {
		t.Errorf("denied %v, epoch %d", c.Denied("key:1"), c.epoch)
	}
	closeConfig(t, c)
	c, a = reopen(t, fs, "org/a") // a restart in between
	if !c.Lost() || len(a.now) != 0 {
		t.Fatalf("after a restart: lost %v, %d records", c.Lost(), len(a.now))
	}
	told(t, c, a, p)
	same(t, "told", a.now, p.now)
	if c.Lost() || c.store.hasAside() {
		t.Errorf("lost %v, set aside %v", c.Lost(), c.store.hasAside())
	}
	closeConfig(t, c)
	c, a = reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "after a restart", a.now, p.now)
	if c.Lost() || !c.Denied("key:1") || c.Damages() != 0 {
		t.Errorf("lost %v, denied %v, damages %d", c.Lost(), c.Denied("key:1"), c.Damages())
	}
}

// rotting is a file system on which reads of tables below some directories come back
// damaged from some time on.
type rotting struct {
	vfs.FS
	below atomic.Pointer[string]
}

type rottingFile struct {
	vfs.File
	fs   *rotting
	name string
}

func (r *rotting) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := r.FS.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return rottingFile{f, r, name}, nil
}

func (f rottingFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if below := f.fs.below.Load(); below != nil && strings.HasPrefix(f.name, *below) && n > 0 {
		p[n/2] ^= 0x55
	}
	return n, err
}

func (r *rotting) from(below string) { r.below.Store(&below) }

// running opens an edge on a disk that may rot, with everything in tables that were never
// read, so that no block of them is cached.
func running(t *testing.T) (*rotting, *publisher, *Config, *answers) {
	t.Helper()
	fs, p := &rotting{FS: crashmem.New()}, newPublisher(t)
	c, a := reopen(t, fs, "org/a")
	settled(t, c)
	next(t, c, a, p, item("x", "1"), item("gone", "1"))
	next(t, c, a, p, denial("key:1"))
	if err := errors.Join(c.store.live.db.Flush(), c.store.mu.spare.db.Flush()); err != nil {
		t.Fatal(err)
	}
	return fs, p, c, a
}

// mended takes in a snapshot over a generation that cannot be read, and mends.
func mended(t *testing.T, c *Config, p *publisher) {
	t.Helper()
	before := len(c.pending.changes)
	_, _, err := c.take(p.snapshot("org/a", []*feedv1.Item{item("x", "2")})[0])
	if err == nil || !c.damaged(err) {
		t.Fatalf("the damage was not met: %v", err)
	}
	if len(c.pending.changes) != before {
		t.Error("half of a difference stayed")
	}
	if err := c.mend(); err != nil {
		t.Fatal(err)
	}
	for _, st := range c.streams {
		st.snapshot.Part = 0 // as a new session does
	}
}

func TestARunningEdgeGoesOnFromTheSpare(t *testing.T) {
	fs, p, c, a := running(t)
	live := c.store.live.name
	fs.from("edge/config/" + live)
	mended(t, c, p)
	if c.store.live.name == live || c.Lost() || c.Damages() != 1 {
		t.Fatalf("serves from %s, lost %v, damages %d", c.store.live.name, c.Lost(), c.Damages())
	}
	same(t, "meanwhile", a.now, p.now)
	fs.from("nothing")
	next(t, c, a, p, item("y", "1"))
	settled(t, c)
	closeConfig(t, c)
	c, a = reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "after a restart", a.now, p.now)
	if !c.Denied("key:1") {
		t.Error("a deny entry was lost")
	}
}

// With neither generation readable a running edge serves what it has in memory until it
// was told everything again; what ended meanwhile is gone then.
func TestARunningEdgeWithoutAGenerationIsToldAnew(t *testing.T) {
	fs, p, c, a := running(t)
	fs.from("edge/config/")
	mended(t, c, p)
	if c.Lost() {
		t.Fatal("the spare was not tried")
	}
	mended(t, c, p)
	if !c.Lost() || c.Damages() != 2 || c.streams["org/a"].position.Revision != 0 {
		t.Fatalf("lost %v, at %v", c.Lost(), c.streams["org/a"].position)
	}
	same(t, "meanwhile", a.now, p.now)
	fs.from("nothing")
	p.frame("org/a", &feedv1.Item{Kind: "test.Record", Name: "gone", Lane: 1, Deleted: true})
	told(t, c, a, p)
	same(t, "told", a.now, p.now)
	if c.Lost() || !c.Denied("key:1") {
		t.Errorf("lost %v, denied %v", c.Lost(), c.Denied("key:1"))
	}
	settled(t, c)
	closeConfig(t, c)
	c, a = reopen(t, fs)
	defer closeConfig(t, c)
	same(t, "after a restart", a.now, p.now)
	if !c.Denied("key:1") || c.epoch != 1 {
		t.Errorf("denied %v, epoch %d", c.Denied("key:1"), c.epoch)
	}
}

// What Pebble finds in the background of a run, with no control node in reach, is mended
// too.
func TestDamageFoundInTheBackgroundIsMended(t *testing.T) {
	_, p, c, a := running(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	live := c.store.live
	live.damaged(errors.New("a test says so"))
	go func() { done <- c.Run(ctx, a) }()
	until(t, "the damage is met", func() bool { return c.Damages() == 1 })
	settled(t, c)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	same(t, "after", a.now, p.now)
	closeConfig(t, c)
}

// A spare that is found damaged is made anew with the next commit.
func TestADamagedSpareIsMadeAnew(t *testing.T) {
	_, p, c, a := running(t)
	defer closeConfig(t, c)
	c.store.mu.spare.damaged(errors.New("a test says so"))
	next(t, c, a, p, item("y", "1"))
	c.store.work.Wait()
	if c.store.mu.restored != 2 || c.store.mu.spare.fault() != nil || c.Damages() != 1 {
		t.Errorf("%d spares were made, damages %d", c.store.mu.restored, c.Damages())
	}
}

// forbidden refuses to open tables.
type forbidden struct{ vfs.FS }

func (f forbidden) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrPermission}
	}
	return f.FS.Open(name, opts...)
}

// Files that cannot be read for another reason than damage stay where they are.
func TestWhatMayBeWholeIsNotSetAside(t *testing.T) {
	fs, _ := tabled(t)
	_, _, err := tryOpen(forbidden{fs})
	if err == nil || !errors.Is(err, os.ErrPermission) {
		t.Fatalf("opened: %v", err)
	}
	c, a := reopen(t, fs)
	defer closeConfig(t, c)
	if len(a.now) == 0 || c.Lost() {
		t.Errorf("%d records, lost %v", len(a.now), c.Lost())
	}
}
