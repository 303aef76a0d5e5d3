package zones_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// pages stands in for the publisher: whenever an import has stored more of a generation,
// it asks for the pages that are there, and notes when all are out.
type pages struct {
	*statetest.State
	w    *world
	room kind.Room
	sent []kind.Record
	fail string // why no page can be made; "" while they can
}

func (p *pages) Propose(ctx context.Context, tx *statev1.Transaction) (admit.Outcome, error) {
	out, err := p.State.Propose(ctx, tx)
	if err != nil {
		return out, err
	}
	for _, op := range tx.Ops {
		if key := op.GetPutMeta().GetKey(); strings.HasPrefix(key, "fill/") {
			return out, p.bulk("bulk/dark.dns.v1.Zone/" + strings.TrimPrefix(key, "fill/"))
		}
	}
	return out, nil
}

func (p *pages) note(key string) (*statev1.Bulk, error) {
	value, _, err := p.State.Meta(key)
	if err != nil || value == nil {
		return nil, err
	}
	b := &statev1.Bulk{}
	return b, proto.Unmarshal(value, b)
}

func (p *pages) bulk(key string) error {
	b, err := p.note(key)
	if b != nil && p.fail != "" {
		b.Failed = p.fail
		return p.put(key, b)
	}
	for err == nil && b != nil && !b.Done {
		var next kind.Paged
		if next, err = p.page(b); err != nil || next.After == b.After && !next.Done {
			return err
		}
		if next.Gone {
			return fmt.Errorf("%s is gone", key)
		}
		b.After, b.Done = next.After, next.Done
		err = p.put(key, b)
	}
	return err
}

func (p *pages) put(key string, b *statev1.Bulk) error {
	value, err := proto.Marshal(b)
	if err != nil {
		return err
	}
	_, err = p.State.Propose(context.Background(), &statev1.Transaction{Ops: []*statev1.Op{
		{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: key, Value: value}}},
	}})
	return err
}

func (p *pages) page(b *statev1.Bulk) (kind.Paged, error) {
	r, err := p.State.At(0)
	if err != nil {
		return kind.Paged{}, err
	}
	n := 0
	next, err := p.w.z.Zone().Page(context.Background(), kind.Page{
		Now: admit.NewView(r, p.State.Published), Meta: p.State.Meta, Room: p.room,
		Organization: b.Ref.Organization, Stored: b.Ref.Name, Generation: b.Generation, After: b.After,
		List: func(k, org, prefix, after string, yield func(string, proto.Message) bool) error {
			return r.Scan(k, org, prefix, after, func(v admit.Version) bool {
				m, err := admit.Decode(k, v.Value)
				return err == nil && yield(v.Name, m)
			})
		},
	}, func(rec kind.Record) error {
		if n++; n > p.room.Records {
			return fmt.Errorf("a page of more than %d records", p.room.Records)
		}
		p.sent = append(p.sent, rec)
		return nil
	})
	return next, err
}

// TestAnImportThatCannotBePublishedEndsWithTheReason, and the zone is as it was.
func TestAnImportThatCannotBePublishedEndsWithTheReason(t *testing.T) {
	w := newWorld(t)
	first := &dnsv1.ImportZoneRequest{Name: "a.example", Create: true}
	if _, err := w.imports("acme", first, hosts(3000, "192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	was := w.exports("acme", "a.example")
	publisher := w.w.Proposer.(*pages)
	publisher.fail = "its record does not compile"
	_, err := w.imports("acme", first, hosts(3000, "192.0.2.2"))
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), publisher.fail) {
		t.Fatalf("it ended with %v", err)
	}
	if now := w.exports("acme", "a.example"); now != was {
		t.Error("the zone is another one")
	}
	for _, key := range w.state.MetaKeys() {
		if strings.HasPrefix(key, "import/") || strings.HasPrefix(key, "fill/") {
			t.Errorf("%s is left", key)
		}
	}
	publisher.fail = ""
	if _, err := w.imports("acme", first, hosts(3000, "192.0.2.2")); err != nil {
		t.Fatal(err)
	}
}
