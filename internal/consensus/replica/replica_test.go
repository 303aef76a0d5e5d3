package replica_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus/replica"
	"github.com/dark-ecosystem/dark/internal/crashmem"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, fsys vfs.FS) *replica.Replica {
	t.Helper()
	r, err := replica.Open(fsys, "/m", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func set(t *testing.T, r *replica.Replica, k, v string) {
	t.Helper()
	if err := r.DB().Set([]byte(k), []byte(v), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, r *replica.Replica, k string) (out string) {
	t.Helper()
	err := r.With(func(db *pebble.DB) error {
		v, closer, err := db.Get([]byte(k))
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		out = string(v)
		return closer.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func closeIt(t *testing.T, r *replica.Replica) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestCheckpointAndRestore(t *testing.T) {
	mem := crashmem.New()
	r := open(t, mem)
	set(t, r, "k", "old")
	if err := r.Checkpoint(mem, "/cp"); err != nil {
		t.Fatal(err)
	}
	set(t, r, "k", "new")
	if err := r.Restore(mem, "/cp"); err != nil {
		t.Fatal(err)
	}
	if v := get(t, r, "k"); v != "old" {
		t.Errorf("restored to %q", v)
	}
	clone := mem.CrashClone(vfs.CrashCloneCfg{}) // what Restore returned is durable
	closeIt(t, r)
	r = open(t, clone)
	defer closeIt(t, r)
	if v := get(t, r, "k"); v != "old" {
		t.Errorf("after power loss it is %q", v)
	}
}

// Condition (c): power lost at any sync of Restore leaves the old state or the new.
func TestConditionC_RestoreIsAllOrNothing(t *testing.T) {
	olds, news := 0, 0
	for _, percent := range []int{0, 50, 100} {
		for at := 0; ; at++ {
			mem := crashmem.New()
			hook := &syncHook{FS: mem}
			r := open(t, hook)
			set(t, r, "k", "new")
			if err := r.Checkpoint(hook, "/cp"); err != nil {
				t.Fatal(err)
			}
			set(t, r, "k", "old")
			if err := r.Checkpoint(hook, "/ignored"); err != nil { // flushed: the old state is durable
				t.Fatal(err)
			}
			if err := makeDurable(hook); err != nil {
				t.Fatal(err)
			}
			var clone *crashmem.FS
			hook.arm(at, func() {
				clone = mem.CrashClone(vfs.CrashCloneCfg{
					UnsyncedDataPercent: percent,
					RNG:                 rand.New(rand.NewPCG(uint64(at), 3)),
				})
			})
			if err := r.Restore(hook, "/cp"); err != nil {
				t.Fatal(err)
			}
			hook.arm(-1, nil)
			closeIt(t, r)
			if clone == nil {
				break // Restore makes no more syncs than that
			}
			r = open(t, clone)
			switch v := get(t, r, "k"); v {
			case "old":
				olds++
			case "new":
				news++
			default:
				t.Errorf("%d%% kept, crash at sync %d: %q", percent, at, v)
			}
			left, err := clone.List("/m")
			if err != nil || len(left) > 3 { // CURRENT, perhaps CURRENT.tmp, one directory
				t.Errorf("left over: %v, %v", left, err)
			}
			closeIt(t, r)
		}
	}
	if olds == 0 { // that the new one is durable afterwards, TestCheckpointAndRestore shows
		t.Error("no crash came before the switch")
	}
	t.Logf("%d crashes kept the old state, %d the new", olds, news)
}

func makeDurable(fsys vfs.FS) error {
	d, err := fsys.OpenDir("/")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncHook calls a function before the n-th sync.
type syncHook struct {
	vfs.FS
	mu   sync.Mutex
	left int
	f    func()
}

func (h *syncHook) arm(n int, f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left, h.f = n, f
}

func (h *syncHook) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.f == nil {
		return
	}
	if h.left == 0 {
		h.f()
		h.f = nil
	}
	h.left--
}

type hookedFile struct {
	vfs.File
	h *syncHook
}

func (f hookedFile) Sync() error {
	f.h.tick()
	return f.File.Sync()
}

func (f hookedFile) SyncData() error {
	f.h.tick()
	return f.File.SyncData()
}

func (h *syncHook) hooked(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return hookedFile{f, h}, nil
}

func (h *syncHook) Create(n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return h.hooked(h.FS.Create(n, c))
}

func (h *syncHook) OpenDir(n string) (vfs.File, error) { return h.hooked(h.FS.OpenDir(n)) }

func (h *syncHook) OpenReadWrite(n string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return h.hooked(h.FS.OpenReadWrite(n, c, o...))
}

func (h *syncHook) ReuseForWrite(o, n string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return h.hooked(h.FS.ReuseForWrite(o, n, c))
}

func TestReadersOutliveARestore(t *testing.T) {
	mem := vfs.NewMem()
	r := open(t, mem)
	set(t, r, "k", "0")
	if err := r.Checkpoint(mem, "/cp"); err != nil {
		t.Fatal(err)
	}
	set(t, r, "k", "held")
	db, release, err := r.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = r.With(func(db *pebble.DB) error {
						v, closer, err := db.Get([]byte("k"))
						if err != nil || len(v) == 0 {
							t.Errorf("%q, %v", v, err)
							return err
						}
						return closer.Close()
					})
				}
			}
		})
	}
	for i := range 10 {
		if err := r.Restore(mem, "/cp"); err != nil {
			t.Fatal(err)
		}
		if v := get(t, r, "k"); v != "0" {
			t.Errorf("after restore %d: %q", i, v)
		}
	}
	close(stop)
	readers.Wait()
	v, closer, err := db.Get([]byte("k"))
	if err != nil || string(v) != "held" {
		t.Errorf("the handle held shows %q, %v", v, err)
	}
	if err == nil {
		_ = closer.Close()
	}
	release()
	closeIt(t, r)
	if err := r.With(func(*pebble.DB) error { return nil }); !errors.Is(err, replica.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestAFailedRestoreKeepsTheState(t *testing.T) {
	mem := vfs.NewMem()
	r := open(t, mem)
	set(t, r, "k", "v")
	if err := r.Restore(mem, "/nowhere"); err == nil {
		t.Error("restored from nowhere")
	}
	if v := get(t, r, "k"); v != "v" {
		t.Errorf("it is %q", v)
	}
	closeIt(t, r)
	r = open(t, mem)
	defer closeIt(t, r)
	if v := get(t, r, "k"); v != "v" {
		t.Errorf("after reopening it is %q", v)
	}
}

// What power loss leaves of the unsynced WAL is a prefix of what was written, and the
// Pebble opens.
func TestPowerLossLeavesAPrefix(t *testing.T) {
	for seed := range uint64(30) {
		mem := crashmem.New()
		r, err := replica.Open(mem, "/m", &pebble.Options{MemTableSize: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3000 {
			set(t, r, fmt.Sprintf("%06d", i), fmt.Sprintf("%0100d", i))
		}
		clone := mem.CrashClone(vfs.CrashCloneCfg{
			UnsyncedDataPercent: int(seed*17) % 100,
			RNG:                 rand.New(rand.NewPCG(seed, 4)),
		})
		closeIt(t, r)
		r = open(t, clone)
		n := 0
		for i := range 3000 {
			if get(t, r, fmt.Sprintf("%06d", i)) == "" {
				break
			}
			n++
		}
		for i := n; i < 3000; i++ {
			if get(t, r, fmt.Sprintf("%06d", i)) != "" {
				t.Fatalf("seed %d: %d is missing and %d is there", seed, n, i)
			}
		}
		closeIt(t, r)
	}
}
