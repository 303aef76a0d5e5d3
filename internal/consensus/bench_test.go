package consensus_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
)

// BenchmarkPropose is proposals on one member with a real disk, from many callers at once.
func BenchmarkPropose(b *testing.B) {
	m, err := ct.NewCA(b).Open(ct.Setup{
		FS: vfs.Default, Dir: b.TempDir(), ID: "a", Timing: alone,
		Bootstrap: []consensus.Server{{ID: "a", Addr: "127.0.0.1:1"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	ct.WaitLeader(b, m)
	var failed atomic.Int64
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := m.Group.Propose(context.Background(), []byte("command")); err != nil {
				failed.Add(1)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proposals/s")
	if failed.Load() > 0 {
		b.Errorf("%d proposals failed", failed.Load())
	}
}
