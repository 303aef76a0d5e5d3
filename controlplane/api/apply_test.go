package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

func doc(t *testing.T, s string) *structpb.Struct {
	t.Helper()
	d := &structpb.Struct{}
	if err := protojson.Unmarshal([]byte(s), d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (i *installation) resources() resourcegrpc.ResourceServiceClient {
	return resourcegrpc.NewResourceServiceClient(i.conn)
}

func TestApplyNeedsNoOrder(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx := as(t.Context(), i.admin, "acme")
	docs := []*structpb.Struct{
		doc(t, `{"kind":"RecordSet","name":"example.com/www/A","spec":{"records":["192.0.2.1"]}}`),
		doc(t, `{"kind":"Zone","name":"example.com"}`),
		doc(t, `{"kind":"recordsets","name":"zones/example.com/records/@/NS","spec":{"records":["ns1.example.com."]}}`),
	}
	dry, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: docs, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	before := i.state.Revision()
	got, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: docs})
	if err != nil {
		t.Fatal(err)
	}
	if got.Revision != before+1 {
		t.Fatalf("%d transactions", got.Revision-before)
	}
	for n := range dry.Changes {
		got.Changes[n].Revision = 0
		if !proto.Equal(dry.Changes[n], got.Changes[n]) {
			t.Errorf("dry run said %v, apply did %v", dry.Changes[n], got.Changes[n])
		}
	}
	again, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: docs})
	if err != nil || again.Revision != got.Revision {
		t.Fatalf("unchanged documents: %v %v", again, err)
	}
	for _, c := range again.Changes {
		if c.Action != resourcev1.Change_ACTION_UNCHANGED {
			t.Errorf("%v", c)
		}
	}
}

func TestApplyNamesEveryBadDocument(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	_, err := i.resources().Apply(as(t.Context(), i.admin, "acme"),
		&resourcev1.ApplyRequest{Documents: []*structpb.Struct{
			doc(t, `{"kind":"Zone","name":"example.com"}`),
			doc(t, `{"kind":"RecordSet","name":"example.com/www/A","spec":{"records":["nonsense"]}}`),
			doc(t, `{"kind":"RecordSet","name":"example.com/www/MX","spec":{"records":["nonsense"],"ttl":4294967295}}`),
		}})
	got := fmt.Sprint(status.Convert(err).Details())
	for _, want := range []string{
		"documents[1].spec.records[0]", "documents[2].spec.records[0]",
		"documents[2].spec.ttl",
	} {
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(got, want) {
			t.Errorf("%s is not named: %v %s", want, err, got)
		}
	}
	_, err = i.resources().Apply(as(t.Context(), i.admin, "acme"),
		&resourcev1.ApplyRequest{Documents: []*structpb.Struct{doc(t, `{"kind":"Zoen","name":"x"}`)}})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("unknown kind: %v", err)
	}
}

// TestDryRunIsExact makes random states and documents: the diff that a dry run shows,
// applied to the state before, is the state after, byte for byte (PROOF.md).
func TestDryRunIsExact(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx := as(t.Context(), i.admin, "acme")
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	if _, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: []*structpb.Struct{doc(t,
		`{"kind":"Zone","name":"example.com"}`)}}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		var docs []*structpb.Struct
		for _, o := range r.Perm(6)[:1+r.IntN(5)] {
			docs = append(docs,
				doc(t,
					fmt.Sprintf(`{"kind":"RecordSet","name":"example.com/h%d/A","labels":{"x":"%d"},"spec":{"ttl":%d,"records":["192.0.2.%d"]}}`,
						o, r.IntN(2), r.IntN(3), r.IntN(3))))
		}
		model := i.documents(ctx)
		dry, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: docs, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range dry.Changes {
			if !proto.Equal(model[c.Name], c.Before) {
				t.Fatalf("%s: before is %v, was %v", c.Name, c.Before, model[c.Name])
			}
			model[c.Name] = c.After
		}
		if _, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{
			Documents:        docs,
			IfUnchangedSince: dry.Revision,
		}); err != nil {
			t.Fatal(err)
		}
		after := i.documents(ctx)
		for n, d := range model {
			if !proto.Equal(d, after[n]) || len(model) != len(after) {
				t.Fatalf("%s: the dry run says %v, it is %v", n, d, after[n])
			}
		}
	}
}

// documents are all record sets, as people decide them.
func (i *installation) documents(ctx context.Context) map[string]*structpb.Struct {
	i.t.Helper()
	l, err := i.resources().ListResources(ctx, &resourcev1.ListResourcesRequest{
		Kind:   "RecordSet",
		Parent: "example.com",
	})
	if err != nil {
		i.t.Fatal(err)
	}
	out := map[string]*structpb.Struct{}
	for _, d := range l.Documents {
		for _, f := range []string{"etag", "revision", "createTime", "updateTime"} {
			delete(d.Fields, f)
		}
		out[d.Fields["name"].GetStringValue()] = d
	}
	return out
}

func TestConcurrentChangeConflicts(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx := as(t.Context(), i.admin, "acme")
	zone := doc(t, `{"kind":"Zone","name":"example.com"}`)
	first, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: []*structpb.Struct{zone}})
	if err != nil {
		t.Fatal(err)
	}
	i.must(200, i.admin, "acme", "PATCH", "/v1/zones/example.com", `{"spec":{"refresh":1}}`)
	_, err = i.resources().Apply(ctx, &resourcev1.ApplyRequest{
		IfUnchangedSince: first.Revision,
		Documents:        []*structpb.Struct{doc(t, `{"kind":"Zone","name":"example.com","spec":{"refresh":2}}`)},
	})
	if status.Code(err) != codes.Aborted {
		t.Fatalf("changed before: %v", err)
	}
	// The same between admission and commit.
	once := true
	i.state.Before = func(tx *statev1.Transaction) {
		if once && tx.GetOrigin().GetReason() == "race" {
			once = false
			i.must(200, i.admin, "acme", "PATCH", "/v1/zones/example.com", `{"spec":{"refresh":9}}`)
		}
	}
	_, err = i.resources().Apply(ctx, &resourcev1.ApplyRequest{
		IfUnchangedSince: i.state.Revision(), Reason: "race",
		Documents: []*structpb.Struct{doc(t, `{"kind":"Zone","name":"example.com","spec":{"refresh":2}}`)},
	})
	if status.Code(err) != codes.Aborted {
		t.Fatalf("changed meanwhile: %v", err)
	}
	// Whoever did not ask is not troubled: the write is admitted again.
	once = true
	if _, err = i.resources().Apply(ctx, &resourcev1.ApplyRequest{
		Reason: "race",
		Documents: []*structpb.Struct{doc(t,
			`{"kind":"Zone","name":"example.com","spec":{"refresh":3}}`)},
	}); err != nil {
		t.Fatal(err)
	}
}

func TestHistoryDiffRollback(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx := as(t.Context(), i.admin, "acme")
	c := i.resources()
	apply := func(reason string, docs ...string) uint64 {
		q := &resourcev1.ApplyRequest{Reason: reason}
		for _, d := range docs {
			q.Documents = append(q.Documents, doc(t, d))
		}
		r, err := c.Apply(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		return r.Revision
	}
	a := func(n, ip string) string {
		return fmt.Sprintf(`{"kind":"RecordSet","name":"example.com/%s/A","spec":{"records":[%q]}}`, n, ip)
	}
	good := apply("first", `{"kind":"Zone","name":"example.com"}`, a("www", "192.0.2.1"), a("old", "192.0.2.9"))
	apply("second", a("www", "192.0.2.2"), a("new", "192.0.2.3"))
	i.must(200, i.admin, "acme", "DELETE", "/v1/zones/example.com/records/old/A?reason=gone", "")

	h, err := c.GetHistory(ctx, &resourcev1.GetHistoryRequest{Kind: "RecordSet", Name: "example.com/www/A"})
	if err != nil || len(h.Entries) != 2 || h.Entries[0].Audit.Reason != "second" ||
		h.Entries[1].Change.Action != resourcev1.Change_ACTION_CREATE {
		t.Fatalf("history: %v %v", h, err)
	}
	d, err := c.Diff(ctx, &resourcev1.DiffRequest{FromRevision: good})
	if err != nil || len(d.Changes) != 3 {
		t.Fatalf("diff: %v %v", d, err)
	}
	dry, err := c.Rollback(ctx, &resourcev1.RollbackRequest{ToRevision: good, DryRun: true})
	if err != nil || len(dry.Changes) != 3 {
		t.Fatalf("dry rollback: %v %v", dry, err)
	}
	back, err := c.Rollback(ctx, &resourcev1.RollbackRequest{ToRevision: good, Reason: "back"})
	if err != nil {
		t.Fatal(err)
	}
	d, err = c.Diff(ctx, &resourcev1.DiffRequest{FromRevision: good, ToRevision: back.Revision})
	if err != nil || len(d.Changes) != 0 {
		t.Fatalf("after rollback: %v %v", d, err)
	}
	// A zone that ended comes back with what it had.
	i.must(200, i.admin, "acme", "DELETE", "/v1/zones/example.com", "")
	if _, err = c.Rollback(ctx, &resourcev1.RollbackRequest{ToRevision: back.Revision}); err != nil {
		t.Fatal(err)
	}
	if d, err = c.Diff(ctx, &resourcev1.DiffRequest{FromRevision: good}); err != nil || len(d.Changes) != 0 {
		t.Fatalf("after the zone came back: %v %v", d, err)
	}
	// A revoked key stays revoked.
	for _, k := range []string{"ApiKey", "AccessKey"} {
		if _, err = c.Rollback(ctx, &resourcev1.RollbackRequest{
			ToRevision: good,
			Kind:       k,
		}); status.Code(err) != codes.InvalidArgument {
			t.Fatalf("rollback of %s: %v", k, err)
		}
	}
	i.state.Compact(back.Revision)
	if _, err = c.Rollback(ctx, &resourcev1.RollbackRequest{ToRevision: good}); status.Code(err) != codes.OutOfRange {
		t.Fatalf("rollback beyond history: %v", err)
	}
}

func TestWatchHasNoGaps(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	i.organization("other", "dns:write")
	ctx, cancel := context.WithCancel(as(t.Context(), i.admin, "acme"))
	defer cancel()
	from := i.state.Revision()
	w, err := i.resources().Watch(ctx, &resourcev1.WatchRequest{AfterRevision: from, Kind: "Zone"})
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	written := make(chan struct{})
	defer func() { <-written }()
	go func() {
		defer close(written)
		for k := range n {
			i.rest(i.admin, "other", "POST", "/v1/zones", fmt.Sprintf(`{"name":"zones/other%d.test"}`, k))
			i.rest(i.admin, "acme", "POST", "/v1/zones", fmt.Sprintf(`{"name":"zones/z%d.test"}`, k))
		}
	}()
	last := uint64(0)
	for k := 0; k < n; {
		m, err := w.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.Change == nil {
			continue
		}
		if want := fmt.Sprintf("zones/z%d.test", k); m.Change.Name != want || m.Change.Revision <= last {
			t.Fatalf("got %v, want %s", m.Change, want)
		}
		last = m.Change.Revision
		k++
	}
	i.state.Compact(from + 20)
	w, err = i.resources().Watch(ctx, &resourcev1.WatchRequest{AfterRevision: from, Kind: "Zone"})
	if err == nil {
		_, err = w.Recv()
	}
	if status.Code(err) != codes.OutOfRange {
		t.Fatalf("below what is kept: %v", err)
	}
}

// TestWatchSeesAFlip: an import that turns a zone to another generation changes its
// record sets without writing them in that transaction; a watch tells each all the same,
// and nothing of what was written before the flip.
func TestWatchSeesAFlip(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx, cancel := context.WithCancel(as(t.Context(), i.admin, "acme"))
	defer cancel()
	i.importHosts(ctx, "192.0.2.1", 2100)
	w, err := i.resources().Watch(ctx, &resourcev1.WatchRequest{Kind: "RecordSet", NamePrefix: "zones/example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Recv(); err != nil { // says where it begins
		t.Fatal(err)
	}
	from := i.state.Revision()
	i.importHosts(ctx, "192.0.2.2", 2000)
	count := map[resourcev1.Change_Action]int{}
	for {
		m, err := w.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.Change == nil && m.Revision > from && len(count) > 0 {
			break
		}
		if m.Change != nil {
			count[m.Change.Action]++
			if m.Change.Revision != i.state.Revision() {
				t.Fatalf("%v before the flip", m.Change)
			}
		}
	}
	if count[resourcev1.Change_ACTION_UPDATE] != 2000 || count[resourcev1.Change_ACTION_DELETE] != 100 ||
		len(count) != 2 {
		t.Fatalf("%v", count)
	}
	d, err := i.resources().Diff(ctx, &resourcev1.DiffRequest{
		FromRevision: from, Kind: "RecordSet",
		NamePrefix: "zones/example.com/records/h20",
	})
	if err != nil || len(d.Changes) != 111 {
		t.Fatalf("diff: %d %v", len(d.GetChanges()), err)
	}
}

// importHosts imports hosts h0 to hn into example.com.
func (i *installation) importHosts(ctx context.Context, ip string, n int) {
	i.t.Helper()
	s, err := dnsgrpc.NewZoneServiceClient(i.conn).ImportZone(ctx)
	if err != nil {
		i.t.Fatal(err)
	}
	var b strings.Builder
	for k := range n {
		fmt.Fprintf(&b, "h%d 60 IN A %s\n", k, ip)
	}
	if err := s.Send(&dnsv1.ImportZoneRequest{
		Name: "zones/example.com", Create: true,
		Data: []byte(b.String()),
	}); err != nil {
		i.t.Fatal(err)
	}
	if err := s.CloseSend(); err != nil {
		i.t.Fatal(err)
	}
	for {
		m, err := s.Recv()
		if err != nil {
			i.t.Fatal(err)
		}
		if m.Done {
			return
		}
	}
}

func TestWatchLimitNamesItself(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.must(200, i.admin, "", "PATCH", "/v1/organizations/acme", `{"spec":{"limits":{"watches":1}}}`)
	ctx, cancel := context.WithCancel(as(t.Context(), i.admin, "acme"))
	defer cancel()
	a, err := i.resources().Watch(ctx, &resourcev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Recv(); err != nil {
		t.Fatal(err)
	}
	b, err := i.resources().Watch(ctx, &resourcev1.WatchRequest{})
	if err == nil {
		_, err = b.Recv()
	}
	if status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "watches") ||
		errors.Is(err, io.EOF) {
		t.Fatalf("second watch: %v", err)
	}
}

// TestApplyReplaces: what cannot stand beside a document ends in its transaction where that
// is asked for, and what the request names ends before the documents are written.
func TestApplyReplaces(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx := as(t.Context(), i.admin, "acme")
	apply := func(q *resourcev1.ApplyRequest, docs ...string) (*resourcev1.ApplyResponse, error) {
		for _, d := range docs {
			q.Documents = append(q.Documents, doc(t, d))
		}
		return i.resources().Apply(ctx, q)
	}
	const cname = `{"kind":"RecordSet","name":"example.com/www/CNAME","spec":{"records":["www.example.net."]}}`
	const a = `{"kind":"RecordSet","name":"example.com/www/A","spec":{"records":["192.0.2.1"]}}`
	if _, err := apply(&resourcev1.ApplyRequest{}, `{"kind":"Zone","name":"example.com"}`, a,
		`{"kind":"RecordSet","name":"example.com/www/TXT","spec":{"records":["x"]}}`,
		`{"kind":"RecordSet","name":"example.com/ftp/A","spec":{"records":["192.0.2.1"]}}`); err != nil {
		t.Fatal(err)
	}
	if _, err := apply(&resourcev1.ApplyRequest{}, cname); status.Code(err) != codes.InvalidArgument {
		t.Fatalf("a CNAME beside an address: %v", err)
	}
	dry, err := apply(&resourcev1.ApplyRequest{Replace: true, DryRun: true}, cname)
	if err != nil || len(dry.Changes) != 3 {
		t.Fatalf("dry run: %v %v", dry, err)
	}
	before := i.state.Revision()
	got, err := apply(&resourcev1.ApplyRequest{Replace: true}, cname)
	if err != nil || got.Revision != before+1 || len(got.Changes) != 3 {
		t.Fatalf("%v %v", got, err)
	}
	for n, want := range []string{
		"zones/example.com/records/www/CNAME", "zones/example.com/records/www/A",
		"zones/example.com/records/www/TXT",
	} {
		if got.Changes[n].Name != want || (got.Changes[n].Action == resourcev1.Change_ACTION_DELETE) != (n > 0) {
			t.Errorf("change %d: %v", n, got.Changes[n])
		}
	}
	if _, err := apply(&resourcev1.ApplyRequest{Replace: true}, a); err != nil {
		t.Fatalf("back to an address: %v", err)
	}
	ftp := &resourcev1.ResourceReference{Kind: "recordsets", Name: "example.com/ftp/A"}
	if _, err := apply(&resourcev1.ApplyRequest{Deletions: []*resourcev1.ResourceReference{ftp}},
		`{"kind":"RecordSet","name":"example.com/ftp/CNAME","spec":{"records":["www"]}}`); err != nil {
		t.Fatalf("a deletion and what takes its place: %v", err)
	}
	_, err = apply(&resourcev1.ApplyRequest{Deletions: []*resourcev1.ResourceReference{{
		Kind: "recordsets",
		Name: "example.com/www/A",
	}}}, a)
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("deleted and written: %v", err)
	}
	// Who may not write a kind may not end its resources by an apply of another.
	zoneless := as(t.Context(), i.key("acme", "buckets", "storage:write"), "acme")
	bucket := doc(t, `{"kind":"Bucket","name":"buckets/some","spec":{}}`)
	if _, err := i.resources().Apply(zoneless, &resourcev1.ApplyRequest{
		Deletions: []*resourcev1.ResourceReference{ftp},
		Documents: []*structpb.Struct{bucket},
	}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without permission: %v", err)
	}
}
