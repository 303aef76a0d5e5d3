package seal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func sealAll(key *Key, id [16]byte, plain []byte) (sealed []byte) {
	s := NewSealer(key, id)
	for {
		n := min(len(plain), ChunkSize)
		sealed = s.Append(sealed, plain[:n], n == len(plain))
		if plain = plain[n:]; len(plain) == 0 {
			return sealed
		}
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

func TestARangeOpensFromItsOwnChunks(t *testing.T) {
	key, id := NewKey(), [16]byte{1}
	for _, size := range []int{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3*ChunkSize + 17} {
		plain := pattern(size)
		sealed := sealAll(&key, id, plain)
		if int64(len(sealed)) != SealedLen(int64(size)) {
			t.Fatalf("%d octets sealed to %d", size, len(sealed))
		}
		for _, off := range []int{0, 1, size / 2, size - 1, size} {
			for _, n := range []int{0, 1, ChunkSize, size} {
				if off < 0 || off+n > size {
					continue
				}
				if got := openRange(t, &key, id, sealed, size, off, n); !bytes.Equal(got, plain[off:off+n]) {
					t.Errorf("size %d, range %d+%d differs", size, off, n)
				}
			}
		}
	}
}

func openRange(t *testing.T, key *Key, id [16]byte, sealed []byte, size, off, n int) (all []byte) {
	t.Helper()
	span := SpanOf(int64(size), int64(off), int64(n))
	part := sealed[span.Off : span.Off+span.Len]
	o := NewOpener(key, id)
	for c := span.First; c < span.End; c++ {
		k := span.Size(c)
		var err error
		if all, err = o.Open(all, part[:k], c, span.Last(c)); err != nil {
			t.Fatal(err)
		}
		part = part[k:]
	}
	if len(part) != 0 {
		t.Fatalf("%d octets of the span are no chunk's", len(part))
	}
	return all[span.Skip:][:n]
}

func TestNoLengthSealsTwice(t *testing.T) {
	seen := map[int64]bool{}
	for clear := range int64(3 * ChunkSize) {
		if seen[SealedLen(clear)] {
			t.Fatalf("%d octets seal to the length of another", clear)
		}
		seen[SealedLen(clear)] = true
	}
}

func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	key, id := NewKey(), [16]byte{1}
	plain := pattern(2*ChunkSize + 100)
	sealed := sealAll(&key, id, plain)
	first := sealed[:ChunkSize+Overhead]
	flipped := bytes.Clone(first)
	flipped[ChunkSize/2] ^= 1
	other := NewKey()
	for name, open := range map[string]func() ([]byte, error){
		"flipped bit":   func() ([]byte, error) { return NewOpener(&key, id).Open(nil, flipped, 0, false) },
		"another chunk": func() ([]byte, error) { return NewOpener(&key, id).Open(nil, first, 1, false) },
		"cut tail":      func() ([]byte, error) { return NewOpener(&key, id).Open(nil, first, 0, true) },
		"another id":    func() ([]byte, error) { return NewOpener(&key, [16]byte{2}).Open(nil, first, 0, false) },
		"another key":   func() ([]byte, error) { return NewOpener(&other, id).Open(nil, first, 0, false) },
		"short":         func() ([]byte, error) { return NewOpener(&key, id).Open(nil, first[:10], 0, false) },
	} {
		if got, err := open(); !errors.Is(err, ErrOpen) || len(got) != 0 {
			t.Errorf("%s: %d octets, %v", name, len(got), err)
		}
	}
}

func TestASealerRefusesWhatBreaksTheSeal(t *testing.T) {
	key := NewKey()
	for name, misuse := range map[string]func(*Sealer){
		"after the last":    func(s *Sealer) { s.Append(nil, nil, true); s.Append(nil, nil, true) },
		"short in between":  func(s *Sealer) { s.Append(nil, make([]byte, 5), false) },
		"longer than a one": func(s *Sealer) { s.Append(nil, make([]byte, ChunkSize+1), true) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was sealed")
				}
			}()
			misuse(NewSealer(&key, [16]byte{}))
		})
	}
}

func TestAWrappedKeyOpensOnlyInItsPlace(t *testing.T) {
	wrapping, key := NewKey(), NewKey()
	w := NewWrapper(&wrapping)
	hold := Hold{Tenant: "acme", Space: [16]byte{1}, Extent: [16]byte{2}, Slot: 3, Name: "k", Epoch: 4}
	wrapped := w.Wrap(nil, &key, hold.Bind())
	if len(wrapped) != WrappedSize {
		t.Fatalf("wrapped to %d octets", len(wrapped))
	}
	if got, err := NewWrapper(&wrapping).Unwrap(wrapped, hold.Bind()); err != nil || got != key {
		t.Fatalf("unwrap: %v", err)
	}
	for i := range 6 {
		h := hold
		[]func(){
			func() { h.Tenant = "acm" }, func() { h.Space[0]++ }, func() { h.Extent[0]++ },
			func() { h.Slot++ }, func() { h.Name = "ek" }, func() { h.Epoch++ },
		}[i]()
		if _, err := w.Unwrap(wrapped, h.Bind()); !errors.Is(err, ErrOpen) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 0x80
		if got, err := w.Unwrap(bad, hold.Bind()); !errors.Is(err, ErrOpen) || got != (Key{}) {
			t.Errorf("octet %d flipped: %v", i, err)
		}
	}
}

func TestAValueOpensOnlyInItsRow(t *testing.T) {
	key := NewKey()
	v := NewValues(&key, [16]byte{1})
	row := Bind("row", []byte("a"), Number(7))
	for _, size := range []int{0, 1, 1000} {
		sealed := v.Seal([]byte("before"), pattern(size), row)[6:]
		if len(sealed) != size+ValueOverhead {
			t.Fatalf("%d octets sealed to %d", size, len(sealed))
		}
		got, err := NewValues(&key, [16]byte{1}).Open(nil, sealed, row)
		if err != nil || !bytes.Equal(got, pattern(size)) {
			t.Fatalf("open: %v", err)
		}
		if _, err := v.Open(nil, sealed, Bind("row", []byte("a"), Number(8))); !errors.Is(err, ErrOpen) {
			t.Errorf("another row: %v", err)
		}
		if _, err := NewValues(&key, [16]byte{2}).Open(nil, sealed, row); !errors.Is(err, ErrOpen) {
			t.Errorf("another space: %v", err)
		}
		if _, err := v.Open(nil, sealed[:len(sealed)-1], row); !errors.Is(err, ErrOpen) {
			t.Errorf("cut: %v", err)
		}
	}
}

func TestPartsDoNotRunTogether(t *testing.T) {
	if bytes.Equal(Bind("l", []byte("ab"), []byte("c")), Bind("l", []byte("a"), []byte("bc"))) {
		t.Error("two lists of parts give the same octets")
	}
}

func TestKeysStayOutOfLogs(t *testing.T) {
	key := NewKey()
	for _, verb := range []string{"%v", "%s", "%+v", "%#v"} {
		if got := fmt.Sprintf(verb, key); got != "(key)" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

func TestAChunkCostsNoAllocation(t *testing.T) {
	key := NewKey()
	plain, buf := pattern(ChunkSize), make([]byte, 0, ChunkSize+Overhead)
	s, o := NewSealer(&key, [16]byte{}), NewOpener(&key, [16]byte{})
	sealed := bytes.Clone(s.Append(nil, plain, false))
	if n := testing.AllocsPerRun(100, func() { s.Append(buf, plain, false) }); n != 0 {
		t.Errorf("sealing allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = o.Open(buf, sealed, 0, false) }); n != 0 {
		t.Errorf("opening allocates %v times", n)
	}
}

func BenchmarkSeal(b *testing.B) {
	key := NewKey()
	plain, buf := pattern(ChunkSize), make([]byte, 0, ChunkSize+Overhead)
	s := NewSealer(&key, [16]byte{})
	b.SetBytes(ChunkSize)
	b.ReportAllocs()
	for b.Loop() {
		s.Append(buf, plain, false)
	}
}

func BenchmarkOpen(b *testing.B) {
	key := NewKey()
	buf := make([]byte, 0, ChunkSize+Overhead)
	sealed := NewSealer(&key, [16]byte{}).Append(nil, pattern(ChunkSize), false)
	o := NewOpener(&key, [16]byte{})
	b.SetBytes(ChunkSize)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = o.Open(buf, sealed, 0, false)
	}
}

func BenchmarkNewOpener(b *testing.B) {
	key := NewKey()
	b.ReportAllocs()
	for b.Loop() {
		NewOpener(&key, [16]byte{})
	}
}

func BenchmarkUnwrap(b *testing.B) {
	wrapping, key := NewKey(), NewKey()
	w := NewWrapper(&wrapping)
	ad := Hold{Tenant: "acme", Name: "k"}.Bind()
	wrapped := w.Wrap(nil, &key, ad)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = w.Unwrap(wrapped, ad)
	}
}
