package seal

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzUnwrap(f *testing.F) {
	wrapping, key := Key{1}, Key{2}
	w := NewWrapper(&wrapping)
	good := w.Wrap(nil, &key, nil)
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte{format})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := w.Unwrap(b, nil)
		switch {
		case err == nil && got != key:
			t.Fatal("a forged key")
		case err != nil && (!errors.Is(err, ErrOpen) || got != Key{}):
			t.Fatalf("%v with %x", err, got[:])
		}
	})
}

func FuzzOpenValue(f *testing.F) {
	v := NewValues(&Key{1}, [16]byte{2})
	f.Add(v.Seal(nil, []byte("value"), nil))
	f.Add(v.Seal(nil, nil, nil))
	f.Add([]byte{format, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := v.Open([]byte("before"), b, nil)
		if !bytes.HasPrefix(got, []byte("before")) {
			t.Fatal("what stood before was lost")
		}
		if err != nil && (!errors.Is(err, ErrOpen) || len(got) != 6) {
			t.Fatalf("%v with %q", err, got)
		}
	})
}

// FuzzSpan: any range of any length opens from the chunks that its span names.
func FuzzSpan(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0))
	f.Add(int64(ChunkSize), int64(ChunkSize), int64(0))
	f.Add(int64(5<<30), int64(ChunkSize-1), int64(2))
	f.Fuzz(func(t *testing.T, clear, off, n int64) {
		if clear < 0 || off < 0 || n < 0 || clear > 1<<50 || off > clear || n > clear-off {
			return
		}
		s := SpanOf(clear, off, n)
		if s.First < 0 || s.First >= s.End || s.End > Chunks(clear) || s.Off+s.Len > SealedLen(clear) {
			t.Fatalf("%d+%d of %d: %+v", off, n, clear, s)
		}
		begins := s.First * ChunkSize
		ends := min(clear, s.End*ChunkSize)
		if begins+s.Skip != off || off+n > ends || s.Skip > ChunkSize {
			t.Fatalf("%d+%d of %d: %+v", off, n, clear, s)
		}
		if n > 0 && (off+n <= (s.End-1)*ChunkSize || s.Skip == ChunkSize) {
			t.Fatalf("%d+%d of %d has a chunk too many: %+v", off, n, clear, s)
		}
		if got := (s.End-s.First-1)*(ChunkSize+Overhead) + int64(s.Size(s.End-1)); got != s.Len {
			t.Fatalf("%d+%d of %d: the chunks have %d octets: %+v", off, n, clear, got, s)
		}
	})
}
