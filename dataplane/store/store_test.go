package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/clock"
)

// testKeys gives keys that follow from their names, up to a version that tests raise.
type testKeys struct {
	mu     sync.Mutex
	newest uint32
	none   map[string]bool
}

func (k *testKeys) Key(space ID, name string, version uint32) (key [32]byte, v uint32, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	newest := max(k.newest, 1)
	if version == 0 {
		version = newest
	}
	if version > newest || k.none[name] {
		return key, 0, ErrKey
	}
	return sha256.Sum256(fmt.Appendf(nil, "%x %s %d", space, name, version)), version, nil
}

func (k *testKeys) rotate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.newest = max(k.newest, 1) + 1
}

// testClock is a clock that tests move.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) clock() clock.Clock {
	return clock.At(func() time.Time {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.now
	})
}

func (c *testClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var space1 = Placement{Tenant: "acme", Space: ID{1}, Cell: "here"}

func testOptions(fs vfs.FS) Options {
	return Options{
		FS: fs, Dir: "store", Cell: "here", Keys: &testKeys{}, SegmentSize: 17 << 20, Reserve: -1,
		Quiet: true,
	}
}

func open(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openMem(t testing.TB) (*Store, *Space) {
	t.Helper()
	s := open(t, testOptions(vfs.NewMem()))
	return s, at(t, s, space1)
}

func at(t testing.TB, s *Store, p Placement) *Space {
	t.Helper()
	space, err := s.At(p)
	if err != nil {
		t.Fatal(err)
	}
	return space
}

func body(t testing.TB, p *Space, how Sealing, content []byte) Body {
	t.Helper()
	b, err := write(p, how, content, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(p *Space, how Sealing, content []byte, size int64) (Body, error) {
	w, err := p.Write(context.Background(), how, size)
	if err != nil {
		return Body{}, err
	}
	if _, err := w.ReadFrom(bytes.NewReader(content)); err != nil {
		w.Abort()
		return Body{}, err
	}
	return w.Finish()
}

func put(t testing.TB, p *Space, key string, content []byte) Result {
	t.Helper()
	return commit(t, p, putOp(key, body(t, p, Sealing{}, content)))[0]
}

func putOp(key string, b Body) Op {
	return Op{
		Kind: Put, Key: []byte(key), Tag: []byte("tag of " + key)[:min(7+len(key), MaxTag)], Size: b.Len(),
		Value: []byte("value of " + key), Body: b, Counts: true,
	}
}

func commit(t testing.TB, p *Space, ops ...Op) []Result {
	t.Helper()
	r, err := p.Commit(context.Background(), ops...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get1(t testing.TB, p *Space, key string) Row {
	t.Helper()
	r, err := p.Get(context.Background(), []byte(key), Current)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(p *Space, b Body, how Sealing) ([]byte, error) {
	r, err := p.Read(context.Background(), b, how, 0, b.Len())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func wantBody(t testing.TB, p *Space, key string, want []byte) {
	t.Helper()
	got, err := read(p, get1(t, p, key).Body, Sealing{})
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: %d octets differ from the %d that were written", key, len(got), len(want))
	}
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8) ^ seed
	}
	return b
}

var sizes = []int{
	0, 1, 4096, InlineSize - 1, InlineSize, InlineSize + 1, ChunkSize - 1, ChunkSize, ChunkSize + 1,
	3*ChunkSize + 7, ExtentSize, ExtentSize + 1,
}

func TestBodiesComeBackAsTheyWereWritten(t *testing.T) {
	s, p := openMem(t)
	for _, n := range sizes {
		for _, said := range []int64{int64(n), -1} {
			key := fmt.Sprintf("%d %d", n, said)
			b, err := write(p, Sealing{}, pattern(n, 1), said)
			if err != nil {
				t.Fatal(key, err)
			}
			commit(t, p, putOp(key, b))
			wantBody(t, p, key, pattern(n, 1))
		}
	}
	fs := s.fs
	s.Close()
	s = open(t, testOptions(fs))
	p = at(t, s, space1)
	for _, n := range sizes {
		wantBody(t, p, fmt.Sprintf("%d -1", n), pattern(n, 1))
	}
	u, err := p.Usage()
	if err != nil || u.Rows != uint64(2*len(sizes)) {
		t.Fatalf("usage %+v %v", u, err)
	}
}

func TestRangesAreReadFromTheirOwnChunks(t *testing.T) {
	_, p := openMem(t)
	content := pattern(ExtentSize+3*ChunkSize, 2)
	b := Join(body(t, p, Sealing{}, content), body(t, p, Sealing{}, []byte("tail")))
	content = append(content, "tail"...)
	commit(t, p, putOp("k", b))
	b = get1(t, p, "k").Body
	for _, from := range []int{0, 1, ChunkSize, ExtentSize - 1, ExtentSize, len(content) - 5, len(content)} {
		for _, n := range []int{0, 1, 10, ChunkSize + 1, len(content)} {
			to := min(from+n, len(content))
			r, err := p.Read(context.Background(), b, Sealing{}, int64(from), int64(to))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), content[from:to]) {
				t.Fatalf("%d to %d: %d octets, %v", from, to, got.Len(), err)
			}
			r.Close()
		}
	}
}

func refusedFor(err error) Reason {
	var r *Refused
	if errors.As(err, &r) {
		return r.Reason
	}
	return 99
}
