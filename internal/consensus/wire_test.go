package consensus

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/hashicorp/raft"
)

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, 7, frameRequest, requestHead(time.Second, "m"), []byte("body")))
	f.Add([]byte{0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again := appendFrame(nil, fr.id, fr.kind, fr.payload); !bytes.HasPrefix(b, again) {
			t.Fatalf("%x became %x", b, again)
		}
		_, _, _, _ = parseRequest(fr.payload)
	})
}

func FuzzFailure(f *testing.F) {
	f.Add(encodeFailure(errs.Bad(errs.Field{Name: "a", Text: "b"})))
	f.Add(encodeFailure(&NotLeaderError{Leader: "x", Addr: "y:1"}))
	f.Add(encodeFailure(unknown(errors.New("z"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := parseFailure(b); err == nil {
			t.Fatal("a failure that is none")
		}
	})
}

func FuzzPreamble(f *testing.F) {
	f.Add(preamble(kindRaft, "cell-1"))
	f.Add(preamble(kindCalls, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, group, err := readPreamble(bytes.NewReader(b))
		if err == nil && !bytes.HasPrefix(b, preamble(kind, group)) {
			t.Fatalf("%x read as %c %q", b, kind, group)
		}
	})
}

func FuzzLogEntry(f *testing.F) {
	f.Add(encodeEntry(&raft.Log{
		Index: 3, Term: 2, Type: raft.LogCommand, Data: []byte("d"), Extensions: []byte("e"),
		AppendedAt: time.Unix(5, 6),
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e raft.Log
		if decodeEntry(b, 3, &e) != nil {
			return
		}
		if again := encodeEntry(&e); !bytes.Equal(b, again) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func FuzzSideSlot(f *testing.F) {
	f.Add(appendSlot(nil, "test", 9, sideClaim{3, 2, 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		seq, c, ok := parseSlot(b, "test")
		if ok && !bytes.Equal(b, appendSlot(nil, "test", seq, c)) {
			t.Fatalf("%x read as %d %v", b, seq, c)
		}
	})
}

func FuzzSnapshotStream(f *testing.F) {
	m := &manifest{Index: 5, Term: 2, Files: []manifestFile{{
		Name: "x", Size: 1,
		SHA256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
	}}}
	b, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(streamHead(b), 'x'))
	f.Add(append(streamHead(b), 'y'))
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := vfs.NewMem()
		if err := fsys.MkdirAll("d", 0o700); err != nil {
			t.Fatal(err)
		}
		m, err := unpackStream(fsys, "d", bytes.NewReader(b))
		if err != nil {
			return
		}
		names, _ := fsys.List("d")
		if len(names) != len(m.Files) {
			t.Fatalf("%d files of %d", len(names), len(m.Files))
		}
	})
}

func TestASnapshotStreamIsRefusedAtEachFlipAndCut(t *testing.T) {
	m := &manifest{Index: 5, Term: 2, Files: []manifestFile{{
		Name: "x", Size: 1,
		SHA256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
	}}}
	enc, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	good := append(streamHead(enc), 'x')
	unpack := func(b []byte) error {
		fsys := vfs.NewMem()
		if err := fsys.MkdirAll("d", 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := unpackStream(fsys, "d", bytes.NewReader(b))
		return err
	}
	if err := unpack(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if unpack(bad) == nil {
			t.Errorf("byte %d flipped and taken", i)
		}
		if unpack(good[:i]) == nil {
			t.Errorf("cut at %d and taken", i)
		}
	}
	if unpack(append(bytes.Clone(good), 0)) == nil {
		t.Error("something follows and it is taken")
	}
}

func TestManifestNamesStayInTheirDirectory(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "/a", `a\b`, "a\x00"} {
		m := &manifest{Files: []manifestFile{{
			Name:   name,
			SHA256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		}}}
		b, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(b); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

// A torn write of one slot leaves the other, which claims less.
func TestSideFileSurvivesATornSlot(t *testing.T) {
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("s", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := openSide(fsys, "s", "g", true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(5) {
		if err := s.write(sideClaim{index: i + 1, term: 1}); err != nil {
			t.Fatal(err)
		}
	}
	newest := int64(s.seq%2) * sideStride
	if _, err := s.f.WriteAt([]byte("torn"), newest+20); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if s, err = openSide(fsys, "s", "g", false); err != nil || s.claim.index != 4 {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := s.f.WriteAt([]byte("torn"), sideStride-newest+20); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	var c *CorruptError
	if _, err = openSide(fsys, "s", "g", false); !errors.As(err, &c) {
		t.Errorf("both slots torn: %v", err)
	}
	if err := fsys.Remove("s/g"); err != nil {
		t.Fatal(err)
	}
	if _, err = openSide(fsys, "s", "g", false); !errors.As(err, &c) {
		t.Errorf("no side file: %v", err)
	}
}
