package zones_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// sink takes transactions and forgets what the model need not keep.
type sink struct {
	*statetest.State
	ops atomic.Int64
}

func (s *sink) Propose(ctx context.Context, tx *statev1.Transaction) (admit.Outcome, error) {
	if len(tx.Ops) > 10 {
		s.ops.Add(int64(len(tx.Ops)))
		_, err := proto.Marshal(tx)
		return admit.Outcome{}, err
	}
	return s.State.Propose(ctx, tx)
}

// generated is a stream with a file of n records, made as it is read.
type generated struct {
	pipe
	n, at int
}

func (g *generated) RecvMsg(m any) error {
	q := m.(*dnsv1.ImportZoneRequest)
	if len(g.in) > 0 {
		return g.pipe.RecvMsg(m)
	}
	if g.at == g.n {
		return io.EOF
	}
	var b []byte
	for ; g.at < g.n && len(b) < 256<<10; g.at++ {
		b = fmt.Appendf(b, "host-%d 300 IN A 10.%d.%d.%d\n", g.at*7919%g.n, g.at>>16&255, g.at>>8&255, g.at&255)
	}
	q.Data = b
	return nil
}

// BenchmarkImport reads, sorts, compiles and proposes a zone of a million records; what
// the state machine does with it is measured in bench/.
func BenchmarkImport(b *testing.B) {
	const records = 1_000_000
	for b.Loop() {
		w := &world{state: statetest.New()}
		w.state.Told = true
		s := &sink{State: w.state}
		z := newZones(b.TempDir())
		tr := z.Transfers(&admit.Writer{State: s, Proposer: s, Validate: noViolations})
		ctx := identity.With(b.Context(), identity.Caller{
			Who: "test", Organization: "acme",
			Permissions: []string{"dns:*", "dns:trust"},
		})
		g := &generated{pipe: pipe{ctx: ctx, in: []proto.Message{&dnsv1.ImportZoneRequest{
			Name:   "example.com",
			Create: true,
		}}}, n: records}
		if err := tr.Import(g); err != nil {
			b.Fatal(err)
		}
		if s.ops.Load() != records {
			b.Fatalf("%d sets proposed", s.ops.Load())
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapSys)/(1<<20), "MiB-heap")
	if peak, err := os.ReadFile("/proc/self/status"); err == nil {
		for _, l := range splitLines(peak) {
			var kb float64
			if n, _ := fmt.Sscanf(l, "VmHWM: %f kB", &kb); n == 1 {
				b.ReportMetric(kb/1024, "MiB-peak")
			}
		}
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
