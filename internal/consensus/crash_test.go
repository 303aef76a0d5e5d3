package consensus_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
	"github.com/dark-ecosystem/dark/internal/crashmem"
)

// alone elects a single member at once.
var alone = consensus.Timing{
	Heartbeat: 20 * time.Millisecond, Election: 20 * time.Millisecond, Lease: 20 * time.Millisecond,
	Commit: 5 * time.Millisecond, RPC: 2 * time.Second,
}

// crashRun is one member that loses its power twice while four writers write and
// snapshots are taken. Each time it comes back it must show everything that was
// acknowledged before the moment of the loss, exactly once.
type crashRun struct {
	ca      *ct.CA
	rng     *rand.Rand
	percent int // of unsynced data that survives
	lossy   func(name string, dir bool) bool
	mem     *crashmem.FS
	// loseMachine removes the machine's own directory before the last start.
	loseMachine bool

	mu    sync.Mutex
	acked map[string]bool
	next  atomic.Int64
}

func newCrashRun(ca *ct.CA, seed uint64, percent int) *crashRun {
	return &crashRun{
		ca: ca, rng: rand.New(rand.NewPCG(seed, 1)), percent: percent,
		mem: crashmem.New(), acked: map[string]bool{}, loseMachine: seed%2 == 1,
	}
}

func (r *crashRun) open() (*ct.Member, error) {
	drop := r.lossy
	if drop == nil {
		drop = func(string, bool) bool { return false }
	}
	fsys := &ct.Lossy{FS: r.mem, Drop: drop}
	return r.ca.Open(ct.Setup{
		FS: fsys, ID: "a", Timing: alone, Bootstrap: []consensus.Server{{ID: "a", Addr: "127.0.0.1:1"}},
		Fatal:  func(error) {},
		Change: func(c *consensus.GroupConfig) { c.TrailingLogs = 1 },
	})
}

func (r *crashRun) run() error {
	for round := range 2 {
		m, err := r.open()
		if err != nil {
			return fmt.Errorf("round %d: open: %w", round, err)
		}
		err = r.check(m)
		if err == nil {
			r.mem, err = r.work(m)
		}
		if cerr := m.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	if r.loseMachine { // snapshot and log alone must bring everything back
		if err := r.mem.RemoveAll("/data/machine"); err != nil {
			return err
		}
	}
	m, err := r.open()
	if err != nil {
		return fmt.Errorf("last open: %w", err)
	}
	defer func() { _ = m.Close() }()
	return r.check(m)
}

// work writes until a random number of commands is acknowledged and returns what the
// disk holds at that moment, with the writers still at it.
func (r *crashRun) work(m *ct.Member) (*crashmem.FS, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	acked := r.acked
	var writers sync.WaitGroup
	defer writers.Wait()
	defer cancel()
	enough := make(chan struct{})
	var left atomic.Int64
	left.Store(10 + r.rng.Int64N(60))
	snapAt := 1 + r.rng.Int64N(left.Load()-1)
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				cmd := fmt.Sprintf("c%d", r.next.Add(1))
				res, err := m.Group.Propose(ctx, []byte(cmd))
				if err != nil || res.Value != uint64(1) {
					continue
				}
				r.mu.Lock()
				acked[cmd] = true
				r.mu.Unlock()
				switch n := left.Add(-1); n {
				case snapAt:
					_ = m.Group.Snapshot(ctx)
				case 0:
					close(enough)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("no progress")
	}
	r.mu.Lock() // what is acknowledged from here on need not be in the clone
	defer r.mu.Unlock()
	r.acked = maps.Clone(acked)
	return r.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.percent, RNG: r.rng}), nil
}

func (r *crashRun) check(m *ct.Member) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for m.Group.Read(ctx) != nil {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no leader")
		case <-time.After(2 * time.Millisecond):
		}
	}
	all := m.Ledger.All()
	for cmd := range r.acked {
		if all[cmd] != 1 {
			return fmt.Errorf("%s was acknowledged and is there %d times", cmd, all[cmd])
		}
	}
	for cmd, n := range all {
		if n != 1 {
			return fmt.Errorf("%s is there %d times", cmd, n)
		}
	}
	return nil
}

func TestPowerLossKeepsWhatWasAcknowledged(t *testing.T) {
	ca := ct.NewCA(t)
	for seed := range uint64(100) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			r := newCrashRun(ca, seed, []int{0, 50, 100}[seed%3])
			if err := r.run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Each sync that matters on one member, left out alone, must be noticed by the same run.
func TestPowerLossWithASyncLeftOutIsCaught(t *testing.T) {
	ca := ct.NewCA(t)
	in := strings.Contains
	for name, drop := range map[string]func(name string, dir bool) bool{
		"log WAL": func(n string, dir bool) bool {
			return !dir && in(n, "/data/log/") && strings.HasSuffix(n, ".log")
		},
		"log directory":     func(n string, dir bool) bool { return dir && n == "/data/log" },
		"data directory":    func(n string, dir bool) bool { return dir && n == "/data" },
		"side file":         func(n string, dir bool) bool { return !dir && in(n, "/data/side/") },
		"side directory":    func(n string, dir bool) bool { return dir && n == "/data/side" },
		"snapshot manifest": func(n string, dir bool) bool { return !dir && strings.HasSuffix(n, "/MANIFEST") },
		"snapshot directory": func(n string, dir bool) bool {
			return dir && in(n, "/snapshots/test/tmp-") && !in(n, "/data/snapshots/test/tmp-1/data")
		},
		"snapshots directory": func(n string, dir bool) bool { return dir && n == "/data/snapshots/test" },
		"checkpoint files": func(n string, dir bool) bool {
			return !dir && in(n, "/machine/") && strings.HasSuffix(n, ".sst")
		},
		"checkpoint directory": func(n string, dir bool) bool {
			return dir && in(n, "/snapshots/test/tmp-") && strings.HasSuffix(n, "/data")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(8) {
				r := newCrashRun(ca, seed, 0)
				r.lossy = drop
				if err := r.run(); err != nil {
					t.Logf("caught with seed %d: %v", seed, err)
					return
				}
			}
			t.Error("no run noticed that the sync is left out")
		})
	}
}
