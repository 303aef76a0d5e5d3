package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// trial is one way in which a store is damaged, and what follows.
type trial struct {
	name   string
	damage func(*testing.T, *damaged)
	// refusal is what a start says, where it refuses; mend is what that names.
	refusal string
	mend    func(*testing.T, *damaged)
	// lost are the objects that are lost, each of which is named. all are: the store begins empty. any may
	// be, and are named then.
	lost     []string
	all, any bool
}

// damaged is a store on a disk, between two processes.
type damaged struct {
	fs  vfs.FS
	o   Options
	ref map[string]string // the segment file of a body
	old vfs.FS            // the disk as it was before the last object was written

	tables []string // of the rows, in the order of their keys
	told   heard    // what was named
}

const last = "zz last"

// build makes a store with a large and a small body, and each alone in its segment or table as far as the
// trials need it.
func buildDamaged(t *testing.T) *damaged {
	t.Helper()
	d := &damaged{fs: vfs.NewMem(), ref: map[string]string{}, old: vfs.NewMem()}
	d.o = testOptions(d.fs)
	d.o.SegmentSize, d.o.DiskKey = 1<<20, &[32]byte{5}
	s := open(t, d.o)
	p := at(t, s, space1)
	for _, name := range []string{"large a", "large b", "large c"} {
		put(t, p, name, pattern(700<<10, name[6]))
		ref, ok, err := s.place(get1(t, p, name).Body.extents[0].id)
		if err != nil || !ok {
			t.Fatal(err)
		}
		d.ref[name] = fmt.Sprintf("store/segments/%08d.seg", ref.Segment)
	}
	put(t, p, "small", pattern(300, 'l'))
	if err := errors.Join(s.Close(), cloneFS(d.fs, d.old, "store")); err != nil {
		t.Fatal(err)
	}
	s = open(t, d.o)
	p = at(t, s, space1)
	put(t, p, last, pattern(300, 'l'))
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	levels, err := s.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, tables := range levels {
		for _, table := range tables {
			d.tables = append(d.tables, fmt.Sprintf("store/rows/%s.sst", table.BackingSSTNum))
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return d
}

func cloneFS(from, to vfs.FS, dir string) error {
	_, err := vfs.Clone(from, to, dir, dir)
	return err
}

// objects are all that was written, with the octet that their patterns begin with.
var objects = map[string]byte{"large a": 'a', "large b": 'b', "large c": 'c', "small": 'l', last: 'l'}

// rewrite changes what a file holds.
func rewrite(t *testing.T, fs vfs.FS, name string, change func([]byte) []byte) {
	t.Helper()
	content := change(contentOf(t, fs, name))
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// without deletes records as they would be gone with their table.
func without(prefix ...byte) func(*testing.T, *damaged) {
	return func(t *testing.T, d *damaged) {
		t.Helper()
		s := open(t, d.o)
		err := s.db.DeleteRange(prefix, after(prefix), pebble.Sync)
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(names ...string) func(*testing.T, *damaged) {
	return func(t *testing.T, d *damaged) {
		t.Helper()
		for _, name := range names {
			if err := d.fs.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func dropAll(t *testing.T, d *damaged) {
	t.Helper()
	if _, err := Drop(t.Context(), d.o, d.told.hear); err != nil {
		t.Fatal(err)
	}
}

func moveAway(t *testing.T, d *damaged) {
	t.Helper()
	if err := d.fs.Rename("store", "away"); err != nil {
		t.Fatal(err)
	}
}

func trials() []trial {
	return []trial{
		{name: "healthy", damage: func(*testing.T, *damaged) {}},
		{name: "a segment is deleted", lost: []string{"large a"}, damage: func(t *testing.T, d *damaged) {
			remove(d.ref["large a"])(t, d)
		}},
		{name: "a segment is cut", lost: []string{"large a"}, damage: func(t *testing.T, d *damaged) {
			rewrite(t, d.fs, d.ref["large a"], func(b []byte) []byte { return b[:200_000] })
		}},
		{name: "a segment is flipped", lost: []string{"large b"}, damage: func(t *testing.T, d *damaged) {
			flip(t, d.fs, d.ref["large b"], 400_000)
		}},
		{name: "the places of bodies are lost", damage: without(tagLocal, localExtent)},
		{name: "small bodies are lost", lost: []string{"small", last}, damage: without(tagInline)},
		{name: "the floor is lost", damage: remove("store/floor")},
		{
			name: "the rows are lost", all: true, damage: remove("store/rows"), refusal: "moving store away",
			mend: moveAway,
		},
		{
			name: "the floor and the rows are lost", all: true, damage: remove("store/rows", "store/floor"),
			refusal: "moving store away", mend: moveAway,
		},
		{
			name: "the rows are old", lost: []string{last}, refusal: "remove", mend: remove("store/floor"),
			damage: func(t *testing.T, d *damaged) {
				remove("store/rows")(t, d)
				if err := cloneFS(d.old, d.fs, "store/rows"); err != nil {
					t.Fatal(err)
				}
			},
		},
		{
			name: "the disk key is another", refusal: "key",
			damage: func(_ *testing.T, d *damaged) { d.o.DiskKey = &[32]byte{6} },
			mend:   func(_ *testing.T, d *damaged) { d.o.DiskKey = &[32]byte{5} },
		},
	}
}

// tableTrials are those of one table of the rows.
func tableTrials(n int) []trial {
	half := func(b []byte) []byte { return b[:len(b)/2] }
	flipped := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	header := func(b []byte) []byte { b[30] ^= 1; return b }
	footer := func(b []byte) []byte { b[len(b)-20] ^= 1; return b }
	change := func(how func([]byte) []byte) func(*testing.T, *damaged) {
		return func(t *testing.T, d *damaged) { rewrite(t, d.fs, d.tables[n], how) }
	}
	const drop = "darkd fsck --drop"
	return []trial{
		{name: "deleted", any: true, refusal: drop, mend: dropAll, damage: func(t *testing.T, d *damaged) {
			remove(d.tables[n])(t, d)
		}},
		{name: "cut", any: true, refusal: drop, mend: dropAll, damage: change(half)},
		{name: "flipped", any: true, damage: change(flipped)},
		{name: "flipped in its header", any: true, damage: change(header)},
		{name: "flipped in its footer", any: true, damage: change(footer)},
	}
}

// TestEveryDamageEndsInService: each row of the table in docs/operations/disks.md. Whatever is damaged, a
// start goes on, or says what to do, after which it does; what is lost is named; all else is whole; and
// writes are taken.
func TestEveryDamageEndsInService(t *testing.T) {
	all := trials()
	for n := range buildDamaged(t).tables {
		for _, c := range tableTrials(n) {
			c.name = fmt.Sprintf("table %d is %s", n, c.name)
			all = append(all, c)
		}
	}
	lost := 0
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			d := buildDamaged(t)
			c.damage(t, d)
			s, err := Open(d.o)
			switch {
			case c.refusal == "" && err != nil:
				t.Fatal(err)
			case c.refusal != "":
				if err == nil || !strings.Contains(err.Error(), c.refusal) {
					t.Fatalf("a start says %v", err)
				}
				c.mend(t, d)
				s = open(t, d.o)
			}
			d.inService(t, s, &c)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			dropAll(t, d) // what is damaged can be given up
			s = open(t, d.o)
			unread := d.inService(t, s, &c)
			if c.any {
				c.lost = unread
				lost += len(unread)
			}
			d.named(t, &c)
			wantClean(t, s)
		})
	}
	if lost == 0 {
		t.Error("no table held anything")
	}
}

// inService looks whether what is whole is read, nothing else is, and writes are taken; it gives what is
// not read.
func (d *damaged) inService(t *testing.T, s *Store, c *trial) (unread []string) {
	t.Helper()
	p := at(t, s, space1)
	for name, first := range objects {
		n := 300
		if strings.HasPrefix(name, "large") {
			n = 700 << 10
		}
		row, err := p.Get(t.Context(), []byte(name), Current)
		var got []byte
		if err == nil {
			got, err = read(p, row.Body, Sealing{})
		}
		lost := c.all || slices.Contains(c.lost, name)
		switch {
		case err == nil && string(got) != string(pattern(n, first)):
			t.Errorf("%s is read wrongly", name)
		case err != nil:
			if unread = append(unread, name); !lost && !c.any {
				t.Errorf("%s: %v", name, err)
			}
		case lost:
			t.Errorf("%s is read", name)
		}
	}
	put(t, p, "new", pattern(500_000, 1))
	wantBody(t, p, "new", pattern(500_000, 1))
	if _, err := s.Scrub(t.Context(), d.told.hear); err != nil {
		t.Error(err)
	}
	return unread
}

// named says whether what is lost was named, by its key or as one of a range.
func (d *damaged) named(t *testing.T, c *trial) {
	t.Helper()
	for _, name := range c.lost {
		k := string(appendKey(nil, tagRow, space1.Space, []byte(name)))
		if !slices.ContainsFunc(d.told, func(one *Damaged) bool {
			of := one.Kind == DamagedRange && string(one.From) <= k+strings.Repeat("\xff", versionLen) &&
				k < string(one.To)
			return of || string(one.Key) == name
		}) && (c.any || c.mend == nil) {
			t.Errorf("%s is lost and not named: %v", name, d.told)
		}
	}
}
