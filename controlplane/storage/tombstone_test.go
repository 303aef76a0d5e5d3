package storage

import (
	"context"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// tombs keeps the tombstones of what is proposed.
type tombs struct {
	admit.Proposer
	all []*statev1.Tombstone
}

func (p *tombs) Propose(ctx context.Context, tx *statev1.Transaction) (admit.Outcome, error) {
	for _, op := range tx.Ops {
		if t := op.GetTombstone(); t != nil {
			p.all = append(p.all, t)
		}
	}
	return p.Proposer.Propose(ctx, tx)
}

// What begins reserves room for the very record by which edges are told of its end, and
// the end dates it.
func TestWhatBeginsReservesItsEnd(t *testing.T) {
	w, _, _ := stocked(t)
	p := &tombs{Proposer: w.w.Proposer}
	w.w.Proposer = p
	for _, c := range []struct {
		k    *kind.Kind
		name string
		make func()
		life time.Duration
	}{
		{w.s.Bucket(), "buckets/tomb", func() {
			w.must("acme", w.s.Bucket(), bucket("tomb", nil))
		}, 60 * 24 * time.Hour},
		{w.s.AccessKey(), "accesskeys/tomb", func() {
			w.must("acme", w.s.AccessKey(), &storagev1.AccessKey{Name: "accesskeys/tomb"})
		}, 24 * 24 * time.Hour},
	} {
		p.all = nil
		c.make()
		since := w.state.Revision()
		if err := w.delete("acme", c.k, c.name); err != nil {
			t.Fatal(err)
		}
		if len(p.all) != 2 || p.all[0].Expires != 0 || p.all[0].Organization != "acme" {
			t.Fatalf("%s: %v", c.name, p.all)
		}
		w.publish("acme", c.k, c.name, since)
		for _, end := range p.all {
			r, told := w.published[[3]string{end.Stream, end.Kind, end.Name}]
			if !told || r.Expires != w.now.Add(c.life).Unix() || end.Expires != 0 && end.Expires != r.Expires {
				t.Errorf("%s: %v, published %v until %d", c.name, end, told, r.Expires)
			}
		}
	}
}
