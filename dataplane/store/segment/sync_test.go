package segment

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

func TestWhoComesWhileASyncRunsSharesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := storetest.New()
		f := open(t, Options{FS: fs})
		first := put(t, f, 0, 100)
		var syncs atomic.Int64
		gate := make(chan struct{})
		fs.OnSync(func(string) {
			syncs.Add(1)
			<-gate
		})
		var all sync.WaitGroup
		all.Go(func() { must(t, f.Sync(t.Context(), first)) })
		synctest.Wait() // the first sync runs
		for i := range 20 {
			r := put(t, f, 1+i, 100)
			all.Go(func() {
				must(t, f.Sync(t.Context(), r))
				if h, err := reopened(fs.CrashClone(0, 1)).Verify(r); err != nil || h.ID != idOf(1+i) {
					t.Errorf("extent %d was acknowledged and is not durable: %v", 1+i, err)
				}
			})
		}
		synctest.Wait() // they all wait
		close(gate)
		all.Wait()
		if n := syncs.Load(); n != 2 {
			t.Errorf("%d syncs for one and then 20 extents", n)
		}
	})
}

// reopened are the Files of a disk, without their background work.
func reopened(fs vfs.FS) *Files {
	f := &Files{opt: Options{FS: fs, Dir: "/data/segments"}.withDefaults()}
	if err := f.load(); err != nil {
		panic(err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func TestAWaiterEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := storetest.New()
		f := open(t, Options{FS: fs})
		r := put(t, f, 0, 100)
		gate := make(chan struct{})
		fs.OnSync(func(string) { <-gate })
		var all sync.WaitGroup
		for range 2 { // one runs, one leads the next round
			all.Go(func() { must(t, f.Sync(context.Background(), r)) })
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(context.Background())
		all.Go(func() {
			if err := f.Sync(ctx, r); !errors.Is(err, context.Canceled) {
				t.Errorf("a waiter whose context ended: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(gate)
		all.Wait()
	})
}

func TestAFailedSyncIsNeverTriedAgain(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs})
	good := put(t, f, 1, 5000)
	must(t, f.Sync(t.Context(), good))
	w, err := f.Create(100)
	must(t, err)
	fs.FailSync(storetest.Bodies, 1, syscall.EIO)
	bad := put(t, f, 2, 5000)
	if err := f.Sync(t.Context(), bad); !errors.Is(err, ErrReadOnly) || !errors.Is(err, syscall.EIO) {
		t.Fatalf("the sync that failed: %v", err)
	}
	fs.OnSync(func(name string) { t.Errorf("%s was synced again", name) })
	for what, err := range map[string]error{
		"sync of another":  f.Sync(t.Context(), good),
		"sync of the same": f.Sync(t.Context(), bad),
		"create":           creating(f),
		"finish":           finishing(w),
		"Err":              f.Err(),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check(t, f, good, 1, 5000)
	f.Free(good)
	if _, err := reopened(fs.CrashClone(0, 1)).Verify(bad); err == nil {
		t.Error("what was not acknowledged is durable: the test is none")
	}
}

func creating(f *Files) error {
	_, err := f.Create(100)
	return err
}

func finishing(w *Writer) error {
	_, err := w.Finish(Header{})
	return err
}

func TestAFailedSyncOfTheDirectoryIsOne(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs})
	fs.FailSync(storetest.Directories, 1, syscall.EIO)
	if err := creating(f); !errors.Is(err, ErrReadOnly) {
		t.Errorf("create: %v", err)
	}
}

func TestAFullDiskPasses(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs})
	at := map[int]Ref{0: put(t, f, 0, 400_000), 1: put(t, f, 1, 400_000)}
	fs.SetFree(1 << 20)
	for i := 2; ; i++ {
		r, err := write(f, i, 400_000, 400_000)
		if err == nil {
			at[i] = r
			continue
		}
		if !errors.Is(err, syscall.ENOSPC) || errors.Is(err, ErrReadOnly) {
			t.Fatalf("extent %d: %v", i, err)
		}
		break
	}
	if len(at) != 4 {
		t.Errorf("%d extents fit", len(at))
	}
	if _, err := write(f, 50, 1000, 1000); err != nil {
		t.Errorf("a small extent fits: %v", err)
	}
	names, err := fs.List("/data/segments")
	if err != nil || len(names) != 2 {
		t.Errorf("left on the full disk: %v, %v", names, err)
	}
	for i, r := range at {
		must(t, f.Sync(t.Context(), r))
		check(t, f, r, i, 400_000)
	}
	fs.SetFree(1 << 20)
	r := put(t, f, 9, 400_000)
	must(t, f.Sync(t.Context(), r))
	check(t, f, r, 9, 400_000)
}

func TestAFullDiskLivesOnWhatIsFreed(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs})
	r := put(t, f, 0, 900_000)
	keep := put(t, f, 1, 900_000)
	fs.SetFree(0)
	for i := range 20 {
		if _, err := write(f, 2+i, 900_000, 900_000); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("extent %d on a full disk: %v", 2+i, err)
		}
		f.Free(r)
		deadline := time.Now().Add(time.Minute)
		for { // the preparer may be at it, and then there is nothing to take yet
			var err error
			if r, err = write(f, 2+i, 900_000, 900_000); err == nil {
				break
			}
			if !errors.Is(err, syscall.ENOSPC) || time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		must(t, f.Sync(t.Context(), r))
		check(t, f, r, 2+i, 900_000)
	}
	check(t, f, keep, 1, 900_000)
}

// Where fallocate does nothing, writing the last page takes the space.
func TestAnExtentThatDoesNotFitIsGivenUp(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: noReservation{fs}})
	r := put(t, f, 0, 1000)
	fs.SetFree(0)
	// The last page of a segment is there, what is before it is a hole and has no blocks
	// of its own on such a disk; here it has, so only a new segment fails.
	if _, err := write(f, 1, 900_000, 900_000); err != nil {
		t.Fatal(err)
	}
	if _, err := write(f, 2, 900_000, 900_000); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a second segment: %v", err)
	}
	check(t, f, r, 0, 1000)
}

type noReservation struct{ *storetest.FS }

func (n noReservation) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := n.FS.Create(name, c)
	return reservesNothing{file}, err
}

type reservesNothing struct{ vfs.File }

func (reservesNothing) Preallocate(int64, int64) error { return syscall.EOPNOTSUPP }

func TestAWriteErrorEndsOneExtentOnly(t *testing.T) {
	fs := &flaky{FS: storetest.New()}
	f := open(t, Options{FS: fs})
	a := put(t, f, 1, 5000)
	fs.err.Store(&[]error{syscall.ENOSPC}[0])
	w, err := f.Create(600_000)
	must(t, err)
	_, err = w.Write(octets(2, 600_000))
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v", err)
	}
	if _, again := w.Write(octets(2, 1)); !errors.Is(again, syscall.ENOSPC) {
		t.Errorf("and again: %v", again)
	}
	w.Abort()
	w.Abort()
	if _, err := write(f, 3, 100, 100); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("finish: %v", err)
	}
	fs.err.Store(nil)
	b := put(t, f, 4, 600_000)
	must(t, f.Sync(t.Context(), a, b))
	check(t, f, a, 1, 5000)
	check(t, f, b, 4, 600_000)
	if st := f.Stats(); len(st.Segments) != 1 || st.Extents != 2 {
		t.Errorf("the room of aborted extents is lost: %+v", st)
	}
}

// flaky fails writes.
type flaky struct {
	*storetest.FS
	err atomic.Pointer[error]
}

func (y *flaky) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := y.FS.Create(name, c)
	return flakyFile{file, y}, err
}

type flakyFile struct {
	vfs.File
	fs *flaky
}

func (f flakyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.err.Load(); err != nil {
		return 0, fmt.Errorf("write: %w", *err)
	}
	return f.File.WriteAt(p, off)
}
