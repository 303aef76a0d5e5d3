package store

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// noSync takes the disk out of what is measured.
type noSync struct{ vfs.FS }

func (f noSync) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return quietFile{file}, err
}

func (f noSync) ReuseForWrite(a, b string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(a, b, c)
	return quietFile{file}, err
}

type quietFile struct{ vfs.File }

func (quietFile) Sync() error                { return nil }
func (quietFile) SyncData() error            { return nil }
func (quietFile) SyncTo(int64) (bool, error) { return false, nil }

func benchSpace(b *testing.B, fs vfs.FS) *Space {
	o := testOptions(fs)
	o.Dir, o.SegmentSize = b.TempDir(), 0
	return at(b, open(b, o), space1)
}

func BenchmarkPut4K(b *testing.B) {
	for name, fs := range map[string]vfs.FS{"synced": vfs.Default, "unsynced": noSync{vfs.Default}} {
		b.Run(name, func(b *testing.B) {
			p := benchSpace(b, fs)
			content := pattern(4096, 1)
			var n atomic.Int64
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					w, err := p.Write(context.Background(), Sealing{}, 4096)
					if err != nil {
						b.Fatal(err)
					}
					_, _ = w.Write(content)
					bd, err := w.Finish()
					if err != nil {
						b.Fatal(err)
					}
					op := putOp(fmt.Sprintf("bench/%012d", n.Add(1)), bd)
					if _, err := p.Commit(context.Background(), op); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkGet4K(b *testing.B) {
	p := benchSpace(b, noSync{vfs.Default})
	for i := range 10_000 {
		put(b, p, fmt.Sprintf("bench/%012d", i), pattern(4096, 1))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		row, err := p.Get(context.Background(), fmt.Appendf(nil, "bench/%012d", i*7919%10_000), Current)
		if err != nil {
			b.Fatal(err)
		}
		r, err := p.Read(context.Background(), row.Body, Sealing{}, 0, row.Size)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkHead(b *testing.B) {
	p := benchSpace(b, noSync{vfs.Default})
	for i := range 10_000 {
		put(b, p, fmt.Sprintf("bench/%012d", i), nil)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := p.Get(context.Background(), fmt.Appendf(nil, "bench/%012d", i*7919%10_000), Current); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList1000(b *testing.B) {
	p := benchSpace(b, noSync{vfs.Default})
	for i := range 20_000 {
		put(b, p, fmt.Sprintf("bench/%012d", i), pattern(100, 1))
	}
	_ = p.s.db.Flush()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c, err := p.Scan(ScanOptions{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for ok := c.Seek(fmt.Appendf(nil, "bench/%012d", i%19*1000)); ok && n < 1000; ok = c.Next() {
			if len(c.Row().Key) > 0 {
				n++
			}
		}
		if n != 1000 {
			b.Fatal(n)
		}
		c.Close()
	}
}

func BenchmarkWrite16M(b *testing.B) {
	p := benchSpace(b, noSync{vfs.Default})
	content := pattern(16<<20, 1)
	b.SetBytes(16 << 20)
	b.ReportAllocs()
	for b.Loop() {
		put(b, p, "k", content)
	}
}

func BenchmarkRead16M(b *testing.B) {
	p := benchSpace(b, noSync{vfs.Default})
	put(b, p, "k", pattern(16<<20, 1))
	row := get1(b, p, "k")
	b.SetBytes(16 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r, err := p.Read(context.Background(), row.Body, Sealing{}, 0, row.Size)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// BenchmarkFloor is what noting the floor adds to each command.
func BenchmarkFloor(b *testing.B) {
	s := benchSpace(b, vfs.Default).s
	for i := range b.N {
		s.noteFloor(uint64(i) + 1<<20)
	}
}
