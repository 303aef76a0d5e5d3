package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// What is stored has one form: what parses is written again as the same octets.

func FuzzRow(f *testing.F) {
	r := row{
		bits: bitNull | bitCounts, flags: 7, size: 300, time: 1, amended: 2, tag: []byte("tag"),
		sealed: []byte("sealed"),
	}
	r.extents, r.n = appendExtentRef(nil, extentRef{id: ID{1}, length: 300, slot: 9}), 1
	f.Add(r.append(nil))
	f.Add((&row{}).append(nil))
	many := row{bits: bitNull, n: perList + 1, sealed: []byte("sealed")}
	for range many.n {
		many.extents = appendExtentRef(many.extents, extentRef{id: ID{1}, length: 300, slot: 9})
	}
	many.apart()
	f.Add(many.append(nil))
	f.Add([]byte{rowFormat, 0, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r row
		if err := r.parse(b); err != nil {
			if !errors.Is(err, errRow) {
				t.Fatal(err)
			}
			return
		}
		if again := r.append(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x was written as %x", b, again)
		}
		total := int64(0)
		for _, e := range r.refs(nil) {
			total += e.length
			if e.length < 0 || total < 0 {
				t.Fatalf("an extent of %d octets", e.length)
			}
		}
		far := r.far(appendVersion(appendKey(nil, tagRow, ID{1}, []byte("key")), 1))
		for i := range far {
			if total += far[i].length; far[i].length < 0 || total < 0 {
				t.Fatalf("a list of %d octets", far[i].length)
			}
		}
		p := r.public([]byte("key"), 1, r.refs(nil), far)
		if p.Size < 0 || p.Body.Len() != total || p.Body.count() != r.n {
			t.Fatalf("%+v", p)
		}
	})
}

// FuzzRecord: extents, epoch keys and usage, by the first octet.
func FuzzRecord(f *testing.F) {
	x := extent{length: 5, writer: 1, sequence: 300, hash: 9, inline: true, holds: []hold{
		{space: ID{1}, slot: 2, references: 3, epoch: 4, customer: true, name: "kms", wrapped: []byte("key")},
		{references: 1},
	}}
	f.Add(x.append([]byte{0}))
	f.Add((&epoch{holds: 3, keyVersion: 1, tenant: "acme", wrapped: []byte("key")}).append([]byte{1}))
	f.Add((&Usage{1, 2, 3}).append([]byte{2}))
	f.Add([]byte{0, recordFormat, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		records := []interface {
			parse([]byte) error
			append([]byte) []byte
		}{&extent{}, &epoch{}, &Usage{}}
		r := records[int(b[0])%len(records)]
		if err := r.parse(b[1:]); err != nil {
			if !errors.Is(err, errRecord) {
				t.Fatal(err)
			}
			return
		}
		if again := r.append(nil); !bytes.Equal(again, b[1:]) {
			t.Fatalf("%x was written as %x", b[1:], again)
		}
		if x, ok := r.(*extent); ok && (x.length < 0 || len(x.holds) > len(b)/minHold) {
			t.Fatalf("%+v", x)
		}
	})
}

// FuzzKeys: any key of a space comes back, in the order of its octets, and whatever lies in
// the database as a key is taken apart without going past its end.
func FuzzKeys(f *testing.F) {
	f.Add([]byte("a"), []byte("a\x00b"), uint64(1))
	f.Add([]byte("\x00\x01"), []byte("\x00\xff"), ^uint64(0))
	f.Add([]byte{}, []byte{0}, uint64(0))
	f.Fuzz(func(t *testing.T, a, b []byte, v uint64) {
		ka := appendVersion(appendKey(nil, tagRow, ID{1}, a), Version(v))
		kb := appendVersion(appendKey(nil, tagRow, ID{1}, b), Version(v))
		escaped, version, ok := rowKey(ka)
		if !ok || version != Version(v) || !bytes.Equal(unescape(nil, escaped), a) {
			t.Fatalf("%x came back as %x version %d", a, unescape(nil, escaped), version)
		}
		if bytes.Compare(ka, kb) != bytes.Compare(a, b) {
			t.Fatalf("%x and %x are in another order as %x and %x", a, b, ka, kb)
		}
		if split(ka) != len(ka)-versionLen {
			t.Fatalf("%x is split at %d", ka, split(ka))
		}
		next := immediateSuccessor(nil, ka[:split(ka)])
		if bytes.Compare(ka, next) >= 0 || bytes.Compare(a, b) < 0 && bytes.Compare(next, kb) > 0 {
			t.Fatalf("%x comes after %x, before %x", next, ka, kb)
		}
		anyKey(t, a)
		anyKey(t, append([]byte{tagRow}, a...))
		anyKey(t, append([]byte{tagEpoch}, a...))
	})
}

func anyKey(t *testing.T, k []byte) {
	if n := split(k); n < 0 || n > len(k) {
		t.Fatalf("%x is split at %d", k, n)
	}
	if escaped, _, ok := rowKey(k); ok {
		unescape(nil, escaped)
	}
	if space, name, number, ok := parseEpochKey(k); ok && !bytes.Equal(epochKey(space, name, number), k) {
		t.Fatalf("%x was written as %x", k, epochKey(space, name, number))
	}
	if end := after(k); end != nil && bytes.Compare(k, end) >= 0 {
		t.Fatalf("%x is after %x", k, end)
	}
}

func FuzzFloor(f *testing.F) {
	slot := func(n uint64) []byte { return append(appendFloor(nil, n), make([]byte, floorSlot-floorRecord)...) }
	f.Add(append(slot(7), slot(8)...), true)
	f.Add(append(slot(9), slot(8)[:100]...), false)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, b []byte, sound bool) {
		if sound && len(b) >= floorRecord { // the mutator does not find checksums
			b = bytes.Clone(b)
			binary.BigEndian.PutUint64(b[8:], xxhash.Sum64(b[:8]))
		}
		fs := vfs.NewMem()
		file, err := fs.Create("floor", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(bytes.Clone(b)); err != nil {
			t.Fatal(err)
		}
		index, next, err := readFloor(fs, "floor")
		if err != nil {
			if d := (*Damaged)(nil); !errors.As(err, &d) || sound && len(b) >= floorRecord {
				t.Fatal(err)
			}
			return
		}
		if len(b) > 0 && !bytes.Contains(b, appendFloor(nil, index)) || next != 0 && next != 1 {
			t.Fatalf("%x says %d, and the next slot is %d", b, index, next)
		}
	})
}

// FuzzManifest: chunks are found where a whole one stands, and nowhere past the end.
func FuzzManifest(f *testing.F) {
	f.Add(manifestChunk(nil, []byte("one")), 3)
	f.Add(append(manifestChunk(nil, []byte("one")), manifestChunk(nil, nil)...), 12)
	f.Add([]byte("torn"), 0)
	f.Fuzz(func(t *testing.T, b []byte, flip int) {
		b = b[:min(len(b), 2*manifestBlock)]
		if end := chunksEnd(b); end < 0 || end > len(b)+chunkHeader {
			t.Fatalf("%d of %d", end, len(b))
		}
		for at := range b {
			if n := chunkAt(b, at); n < 0 || at+n > len(b) || n > 0 && n < chunkHeader {
				t.Fatalf("a chunk of %d at %d of %d", n, at, len(b))
			}
		}
		whole := manifestChunk(nil, b[:min(len(b), 1000)])
		if chunkAt(whole, 0) != len(whole) || chunksEnd(whole) != len(whole) {
			t.Fatalf("%x is not whole", whole)
		}
		at := int(uint(flip) % uint(len(whole)))
		if whole[at] ^= 1; chunkAt(whole, 0) != 0 {
			t.Fatalf("%x flipped at %d is whole", whole, at)
		}
	})
}

// manifestChunk writes what chunkAt reads.
func manifestChunk(dst, content []byte) []byte {
	c := append([]byte{0, 0, 0, 0, 0, 0, 1}, content...)
	binary.LittleEndian.PutUint16(c[4:], uint16(len(content)))
	sum := crc32.Checksum(c[6:], crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(c, (sum>>15|sum<<17)+0xa282ead8)
	return append(dst, c...)
}

// FuzzCommand applies whatever decodes, as a log would hand it out: it is done or refused,
// and then done again with all that the first left.
func FuzzCommand(f *testing.F) {
	space, id := ID{1}, ID{2}
	fresh := &storev1.NewExtent{
		Id: id[:], Length: 1, Writer: 5, Sequence: 9, Inline: []byte("sealed"),
		Hold: &storev1.Hold{Epoch: 1},
	}
	refs := []*storev1.ExtentRef{{Id: id[:], Length: 1}}
	for _, ops := range [][]*storev1.Op{
		{
			{Space: space[:], Op: &storev1.Op_Epoch{Epoch: &storev1.Epoch{
				Epoch: 1, KeyVersion: 1,
				Wrapped: []byte("w"),
			}}},
			{Space: space[:], Key: []byte("k"), Op: &storev1.Op_Put{Put: &storev1.Put{
				Stack: true,
				Fresh: []*storev1.NewExtent{fresh}, Extents: refs,
			}}},
		},
		{{Space: space[:], Key: []byte("k"), Op: &storev1.Op_Delete{Delete: &storev1.Delete{Version: 1}}}},
		{{
			Space: space[:],
			Op:    &storev1.Op_Rewrap{Rewrap: &storev1.Rewrap{Extents: []*storev1.NewExtent{{Id: id[:]}}}},
		}},
		{{
			Space: space[:], Key: []byte("k"),
			Op: &storev1.Op_Put{Put: &storev1.Put{Fresh: []*storev1.NewExtent{{Id: []byte("short")}}}},
		}},
		{{Op: &storev1.Op_Horizon{Horizon: &storev1.Horizon{Writer: 1, Sequence: 1}}}},
		{{Space: space[:], Op: &storev1.Op_Erase{Erase: true}}, {Space: space[:], Op: &storev1.Op_Empty{Empty: 1}}},
	} {
		b, err := proto.Marshal(&storev1.Command{Ops: ops})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	m, n := openMachine(f), 0
	f.Cleanup(func() { m.db.Close() })
	f.Fuzz(func(t *testing.T, b []byte) {
		var cmd storev1.Command
		if proto.Unmarshal(b, &cmd) != nil || len(cmd.Ops) > 100 {
			return
		}
		for range 2 {
			if err := applied(m, &cmd); err != nil && pebble.IsCorruptionError(err) {
				t.Fatal(err)
			}
		}
		if bad := judgeAll(m.db); bad != nil {
			t.Fatal(bad)
		}
		if n++; n%100 == 0 { // what was written stays for a while
			m.db.Close()
			m = openMachine(t)
		}
	})
}

func openMachine(t testing.TB) *machine {
	db, err := openRows(vfs.NewMem(), "rows", pebbleLog{&Store{}}, false)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMachine(db, &damageLedger{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func applied(m *machine, cmd *storev1.Command) error {
	batch := m.db.NewIndexedBatch()
	defer batch.Close()
	out, err := m.Apply(batch, m.applied+1, cmd)
	if err != nil {
		return err
	}
	if err := batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	m.done(&out)
	return nil
}

// judgeAll says which record that Apply wrote is not one.
func judgeAll(db *pebble.DB) error {
	return eachKey(db, nil, func(k, v []byte) error {
		switch k[0] {
		case tagRow:
			return (&row{}).parse(v)
		case tagExtent:
			return (&extent{}).parse(v)
		case tagEpoch:
			_, _, err := readEpoch(k, v)
			return err
		case tagUsage:
			return (&Usage{}).parse(v)
		}
		return nil
	})
}
