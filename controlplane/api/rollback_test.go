package api_test

import (
	"context"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// many makes record sets of a type, in transactions of 500.
func (i *installation) many(ctx context.Context, n int, format string) (revision uint64) {
	i.t.Helper()
	for from := 0; from < n; from += 500 {
		q := &resourcev1.ApplyRequest{Replace: true, Documents: make([]*structpb.Struct, 0, 500)}
		for k := from; k < min(from+500, n); k++ {
			q.Documents = append(q.Documents, doc(i.t, fmt.Sprintf(format, k)))
		}
		r, err := i.resources().Apply(ctx, q)
		if err != nil {
			i.t.Fatal(err)
		}
		revision = r.Revision
	}
	return revision
}

// TestRollbackInParts: 5,000 record sets go back in transactions of a bounded size. At each
// of them every name has its addresses or its CNAME. What others do meanwhile stays, and a
// part that is asked for again is not skipped.
func TestRollbackInParts(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx, c := as(t.Context(), i.admin, "acme"), i.resources()
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	good := i.many(ctx, 2500, `{"kind":"RecordSet","name":"example.com/n%d/A","spec":{"records":["192.0.2.1"]}}`)
	i.many(ctx, 2500, `{"kind":"RecordSet","name":"example.com/n%d/CNAME","spec":{"records":["there.example."]}}`)

	q := &resourcev1.RollbackRequest{ToRevision: good}
	if _, err := c.Rollback(ctx, q); status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("in one transaction: %v", err)
	}
	q.InParts, q.DryRun = true, true
	dry, err := c.Rollback(ctx, q)
	if err != nil || dry.Total != 5000 || dry.NextPageToken == "" {
		t.Fatalf("dry run: %d of %d, %v", len(dry.GetChanges()), dry.GetTotal(), err)
	}
	q.DryRun = false
	changed, parts := 0, 0
	for again := true; again; again = q.PageToken != "" {
		parts++
		q.RequestId = fmt.Sprint("part ", parts)
		r, err := c.Rollback(ctx, q)
		if err != nil || len(r.Changes) == 0 || len(r.Changes) > 2000 {
			t.Fatalf("part %d: %d changes, %v", parts, len(r.GetChanges()), err)
		}
		ends := 0
		for _, ch := range r.Changes {
			if ch.Action == resourcev1.Change_ACTION_DELETE {
				ends++
			}
		}
		if changed += len(r.Changes); 2*ends != len(r.Changes) {
			t.Errorf("part %d ends %d names and makes %d", parts, ends, len(r.Changes)-ends)
		}
		if parts == 1 { // its answer was lost
			if r, err = c.Rollback(ctx, q); err != nil || len(r.Changes) != 0 {
				t.Fatalf("repeated: %d changes, %v", len(r.GetChanges()), err)
			}
		}
		q.PageToken = r.NextPageToken
	}
	if d, err := c.Diff(ctx, &resourcev1.DiffRequest{FromRevision: good}); err != nil || len(d.Changes) != 0 ||
		changed != 5000 || parts < 3 {
		t.Fatalf("%d changes in %d parts, then %d differ: %v", changed, parts, len(d.GetChanges()), err)
	}
}

// TestRollbackInPartsEndsAZone: what came to be ends, record sets before their zone.
func TestRollbackInPartsEndsAZone(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx, c := as(t.Context(), i.admin, "acme"), i.resources()
	good := i.state.Revision()
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	i.many(ctx, 2100, `{"kind":"RecordSet","name":"example.com/n%d/A","spec":{"records":["192.0.2.1"]}}`)
	q := &resourcev1.RollbackRequest{ToRevision: good, InParts: true, NamePrefix: "zones/"}
	first, err := c.Rollback(ctx, q)
	if err != nil || first.NextPageToken == "" {
		t.Fatal(first, err)
	}
	q.PageToken = first.NextPageToken
	last, err := c.Rollback(ctx, q)
	if err != nil || last.NextPageToken != "" || last.Changes[len(last.Changes)-1].Name != "zones/example.com" {
		t.Fatal(last, err)
	}
	q.ToRevision++
	if _, err := c.Rollback(ctx, q); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a token of another rollback: %v", err)
	}
}
