package segment

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// BenchmarkSync writes 16 KiB and syncs, one after the other: at the end of a file that
// grows, into space that was only reserved, and over blocks that were written before.
func BenchmarkSync(b *testing.B) {
	const size, step = 256 << 20, 16 << 10
	for _, way := range []string{"append", "fallocate", "recycled"} {
		b.Run(way, func(b *testing.B) {
			file := benchFile(b, way, size)
			p := octets(1, step)
			b.SetBytes(step)
			i := int64(0)
			for b.Loop() {
				if _, err := file.WriteAt(p, i*step%size); err != nil {
					b.Fatal(err)
				}
				if err := file.SyncData(); err != nil {
					b.Fatal(err)
				}
				if i++; i*step%size == 0 && way != "recycled" {
					b.StopTimer()
					file = benchFile(b, way, size)
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
		})
	}
}

func benchFile(b *testing.B, way string, size int64) vfs.File {
	b.Helper()
	file, err := vfs.Default.Create(b.TempDir()+"/file", vfs.WriteCategoryUnspecified)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = file.Close() })
	if way != "append" {
		f := &Files{opt: Options{}.withDefaults(), ctx: context.Background()}
		f.opt.FillRate = 0
		if err := f.initFile(file, identity{number: 1, size: size, filled: way == "recycled"}); err != nil {
			b.Fatal(err)
		}
	}
	return file
}

// BenchmarkPut is the way of an extent to the disk, shared by many writers.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{20 << 10, 1 << 20, 16 << 20} {
		for _, writers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%dKiB/writers=%d", size>>10, writers), func(b *testing.B) { benchPut(b, size, writers) })
		}
	}
}

func benchPut(b *testing.B, size, writers int) {
	f, err := Open(Options{Dir: b.TempDir(), Spare: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	// One round over four segments, so that those that are measured were written before.
	for i := range 4 * (DefaultSize / (16 << 20)) {
		benchExtent(b, f, i, 16<<20)
	}
	var syncs atomic.Int64
	b.SetBytes(int64(size))
	b.SetParallelism((writers + 1) / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			benchExtent(b, f, int(syncs.Add(1)), size)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func benchExtent(b *testing.B, f *Files, i, size int) {
	w, err := f.Create(int64(size))
	if err != nil {
		b.Error(err)
		return
	}
	defer w.Abort()
	for n := 0; n < size; n += 64 << 10 {
		k := min(64<<10, size-n)
		if _, err := w.Write(append(w.Room(k), octets(i, k)...)); err != nil {
			b.Error(err)
			return
		}
	}
	r, err := w.Finish(Header{ID: idOf(i), Sequence: uint64(i), Clear: int64(size)})
	if err == nil {
		err = f.Sync(b.Context(), r)
	}
	if err != nil {
		b.Error(err)
	}
	f.Free(r)
}

// BenchmarkVerify is the speed of a scrub's first half, from the page cache.
func BenchmarkVerify(b *testing.B) {
	f, err := Open(Options{Dir: b.TempDir(), Spare: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	const size = 16 << 20
	w, err := f.Create(size)
	if err != nil {
		b.Fatal(err)
	}
	for range 16 {
		if _, err := w.Write(octets(1, 1<<20)); err != nil {
			b.Fatal(err)
		}
	}
	r, err := w.Finish(Header{ID: idOf(1), Sequence: 1, Clear: size})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		if _, err := f.Verify(r); err != nil {
			b.Fatal(err)
		}
	}
}
