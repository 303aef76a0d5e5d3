package store

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

const smallLog = "store/rows/000004.log" // the one that is written

// TestATornManifestBites: and so are the manifest, which names the tables, and the floor.
func TestATornManifestBites(t *testing.T) {
	m := newSmall(t)
	var y tallied
	for name, content := range m.files {
		if !strings.Contains(name, "MANIFEST-0") && !strings.HasSuffix(name, "/floor") {
			continue
		}
		each(thinned(upTo(len(content))), func(n int64) {
			v, why := m.opened(m.opt, name, content[:n:n])
			y.add(name, fmt.Sprintf("cut at %d of %d", n, len(content)), v, why)
		})
	}
	if n := y.total(t); n[refused] == 0 {
		t.Error("nothing was refused")
	}
	for _, err := range y.wrong[:min(len(y.wrong), 20)] {
		t.Error(err)
	}
}

// segment is the one with the extents, and how far it was written.
func (m *small) segment() (name string, end int64) {
	for each, content := range m.files {
		n := int64(len(bytes.TrimRight(content, "\x00")))
		if strings.HasSuffix(each, ".seg") && n > end {
			name, end = each, n
		}
	}
	return name, end
}

// TestATornLogBites: the log is cut at each octet. Where a command that was acknowledged is
// in what is lost, the store refuses to open and says so; it never begins with less. Without
// the floor (the control) it does.
func TestATornLogBites(t *testing.T) {
	m := newSmall(t)
	log := m.files[smallLog]
	cuts := thinned(upTo(len(log)))
	run := func(o Options, cuts []int64) (y *tallied) {
		y = &tallied{}
		each(cuts, func(n int64) {
			v, why := m.opened(o, smallLog, log[:n:n])
			y.add(smallLog, fmt.Sprintf("cut at %d of %d", n, len(log)), v, why)
		})
		return y
	}
	y := run(m.opt, cuts)
	n := y.total(t)
	t.Logf("every %dth octet: %d cuts, %d refused by name, %d lost nothing", flipStride(), len(cuts), n[refused],
		n[same])
	for _, err := range y.wrong[:min(len(y.wrong), 20)] {
		t.Error(err)
	}
	if n[refused] == 0 || n[same] > 32 { // what follows the last command in the log
		t.Errorf("%d refused, %d lost nothing", n[refused], n[same])
	}
	o := m.opt
	o.control.unchecked, o.control.unsealed = true, unauthenticated
	y = run(o, []int64{0, int64(len(log) / 3), int64(len(log) / 2), int64(len(log) - 40)})
	if n := y.total(t); n[other] == 0 {
		t.Error("control: without the floor, too, nothing is missing: the test does not bite")
	}
}

func upTo(n int) (all []int64) {
	for i := range n {
		all = append(all, int64(i))
	}
	return all
}

// TestATornLogAfterAPowerCutBites: what the power cut leaves of the floor is what was
// synced, at most a second old. Cut the log at any octet, too: whatever was acknowledged
// before that is there, or the store refuses to open.
func TestATornLogAfterAPowerCutBites(t *testing.T) {
	fs := storetest.New()
	o := testOptions(fs)
	o.SegmentSize = minSegment
	s := open(t, o)
	p := at(t, s, space1)
	put(t, p, "before", []byte("before"))
	if err := s.syncFloor(); err != nil {
		t.Fatal(err)
	}
	put(t, p, "after", []byte("after"))
	eventually(t, "the spare segment is there", func() bool { return s.files.Stats().Ready == 1 })
	after := fs.CrashClone(0, 1)
	m := &small{files: map[string][]byte{}, opt: o}
	for _, name := range filesOf(t, after, "store") {
		m.files[name] = contentOf(t, after, name)
	}
	log := "store/rows/000002.log"
	var there, gone, refusals atomic.Int64
	each(thinned(upTo(len(m.files[log])+1)), func(n int64) {
		disk, err := m.disk(log, m.files[log][:n:n])
		if err != nil {
			t.Error(err)
			return
		}
		o := m.opt
		o.FS = disk
		s, err := Open(o)
		if err != nil && names(err) {
			refusals.Add(1)
			return
		}
		if err != nil {
			t.Errorf("cut at %d: %v", n, err)
			return
		}
		defer s.Close()
		p, _ := s.At(space1)
		if got := askRow(p, "before", Current, true); got.err != nil || got.said == "not there" {
			t.Errorf("cut at %d: what the floor covers is gone: %+v", n, got)
		}
		if got := askRow(p, "after", Current, true); got.err == nil && got.said == "not there" {
			gone.Add(1)
		} else {
			there.Add(1)
		}
	})
	t.Logf("%d times refused by name; %d times all was there, %d times without what came after the floor's sync",
		refusals.Load(), there.Load(), gone.Load())
	if refusals.Load() == 0 {
		t.Error("nothing was refused")
	}
}

// TestATornSegmentBites: the segment is cut at each octet of the extent that was
// acknowledged last: its row says that it is damaged, by name, and so does the scrub; all
// others are read.
func TestATornSegmentBites(t *testing.T) {
	m := newSmall(t)
	name, end := m.segment()
	content := m.files[name]
	begin := (end - smallBody) / smallPage * smallPage
	var y tallied
	var group sync.WaitGroup
	for half := range int64(2) {
		disk, err := m.disk("", nil)
		if err != nil {
			t.Fatal(err)
		}
		cut := &cutFS{FS: disk, name: name}
		cut.at.Store(1 << 40)
		o := m.opt
		o.FS = cut
		s := open(t, o)
		group.Go(func() {
			for n := begin + half; n < end; n += 2 * int64(flipStride()) {
				cut.at.Store(n)
				v, why := m.askedAndScrubbed(s)
				if v == same {
					v, why = other, fmt.Errorf("nobody noticed")
				}
				y.add(name, fmt.Sprintf("cut at %d", n), v, why)
			}
			cut.at.Store(1 << 40)
		})
	}
	group.Wait()
	for n := begin; n < end; n += 211 { // and opened with it
		v, why := m.opened(m.opt, name, content[:n:n])
		if v == same {
			v, why = other, fmt.Errorf("nobody noticed")
		}
		y.add(name, fmt.Sprintf("opened, cut at %d", n), v, why)
	}
	n := y.total(t)
	t.Logf("every %dth octet: %d cuts refused by name", flipStride(), n[refused])
	for _, err := range y.wrong[:min(len(y.wrong), 20)] {
		t.Error(err)
	}
	if n[refused] == 0 {
		t.Error("nothing was refused")
	}
}

// cutFS ends a segment where it is told.
type cutFS struct {
	vfs.FS
	name string
	at   atomic.Int64
}

func (c *cutFS) OpenReadWrite(name string, how vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.OpenReadWrite(name, how, o...)
	if err != nil || name != c.name {
		return f, err
	}
	return &cutFile{f, c}, nil
}

type cutFile struct {
	vfs.File
	c *cutFS
}

func (f *cutFile) ReadAt(b []byte, off int64) (int, error) {
	rest := f.c.at.Load() - off
	if rest <= 0 {
		return 0, io.EOF
	}
	if rest >= int64(len(b)) {
		return f.File.ReadAt(b, off)
	}
	n, err := f.File.ReadAt(b[:rest], off)
	if err == nil {
		err = io.EOF
	}
	return n, err
}
