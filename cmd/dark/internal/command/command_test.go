package command

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

const zoneDoc = "kind: Zone\nname: example.test\nspec: {contact: a@b.c}\n"

func TestNodesTellPositionLagAndTheLastRefusal(t *testing.T) {
	f := &fake{nodes: nodes{list: []*clusterv1.Node{
		{Name: "nodes/control-1", Spec: &clusterv1.NodeSpec{Role: "control"}, Status: &clusterv1.NodeStatus{
			Connected: true, Leader: true, Position: 40, Version: "v1", SetAside: 2,
			LastSetAside: "acme buckets/photos: too \x1b[31mlarge",
		}},
		{Name: "nodes/edge-1", Spec: &clusterv1.NodeSpec{Role: "edge"}, Status: &clusterv1.NodeStatus{
			Connected: true, Position: 38, Lag: 2, Refusals: 3,
			LastRefusal: "site.zone:12: zones/example.test/records/www/A at revision 39: \x1b[31m\"x\" is not an " +
				"address, and this reason is long enough to be cut elsewhere",
			LastContact: timestamppb.New(time.Unix(1790000000, 5)),
		}},
		{Name: "nodes/edge-2", Spec: &clusterv1.NodeSpec{Role: "edge", Drained: true}},
	}}}
	addr := f.serve(t)
	r := dark(t, addr, "", "nodes")
	golden(t, "nodes.txt", r.out)
	r = dark(t, addr, "", "nodes", "-o", "json")
	golden(t, "nodes.json", r.out)
}

func TestWaitTellsOfRefusalsAndOfWhomItAwaits(t *testing.T) {
	f := &fake{apply: func(*resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
		return &resourcev1.ApplyResponse{
			Revision: 7,
			Changes: []*resourcev1.Change{{
				Action: resourcev1.Change_ACTION_CREATE, Kind: "Zone",
				Name: "zones/example.test",
			}},
		}, nil
	}}
	addr := f.serve(t)
	f.wait = func(s clustergrpc.ClusterService_WaitServer) error {
		_ = s.Send(&clusterv1.WaitResponse{Waiting: []string{"edge-1", "edge-2"}})
		_ = s.Send(&clusterv1.WaitResponse{Node: "edge-1", Milliseconds: 12, Waiting: []string{"edge-2"}})
		return s.Send(&clusterv1.WaitResponse{Node: "edge-2", Refusal: "line 3: bad"})
	}
	r := dark(t, addr, zoneDoc, "apply", "-f", "-", "--wait")
	golden(t, "wait-refused.txt", r.out+"--\n"+r.err)
	if r.code != exit.Failed {
		t.Errorf("exit %d", r.code)
	}
	f.wait = func(s clustergrpc.ClusterService_WaitServer) error {
		_ = s.Send(&clusterv1.WaitResponse{Waiting: []string{"edge-2"}})
		<-s.Context().Done()
		return s.Context().Err()
	}
	r = dark(t, addr, zoneDoc, "apply", "-f", "-", "--wait", "--timeout", "300ms", "-o", "json")
	if r.code != exit.Unavailable || !strings.Contains(r.err, "revision 7 is committed") ||
		!strings.Contains(r.err, "edge-2") || !strings.Contains(r.out, `"edges": []`) {
		t.Errorf("exit %d, %s %s", r.code, r.out, r.err)
	}
}

func TestAWriteIsRepeatedUnderOneRequestID(t *testing.T) {
	seen := map[string]int{}
	f := &fake{}
	f.apply = func(q *resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
		seen[q.RequestId]++
		if f.called < 3 {
			return nil, status.Error(codes.Unavailable, "the leader changes")
		}
		return &resourcev1.ApplyResponse{Revision: 1}, nil
	}
	r := dark(t, f.serve(t), zoneDoc, "apply", "-f", "-")
	if r.code != exit.Done || len(seen) != 1 || f.called != 3 {
		t.Errorf("exit %d after %d calls, ids %v: %s", r.code, f.called, seen, r.err)
	}
}

func TestServerViolationsAreLocated(t *testing.T) {
	f := &fake{apply: func(*resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
		st, err := status.New(codes.InvalidArgument,
			"invalid").WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "documents[1].spec.records[1]", Description: "no address"},
			{Field: "documents[0]", Description: "whole"},
			{Field: "documents[9].x", Description: "beyond"},
			{Field: "documents[1].ttl", Description: "too large"},
		}})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	}}
	r := dark(t, f.serve(t), zoneDoc+"---\nkind: RecordSet\nname: zones/example.test/records/a/A\nspec:\n  ttl: 1\n  "+
		"records:\n  - a\n  - b\n", "apply", "-f", "-")
	golden(t, "violations.txt", r.err)
	if r.code != exit.Failed {
		t.Errorf("exit %d", r.code)
	}
}

func TestABrokenAuditChainFails(t *testing.T) {
	r := dark(t, (&fake{audit: &resourcev1.VerifyAuditResponse{Checked: 9, BrokenAt: 5}}).serve(t), "", "audit",
		"verify")
	if r.code != exit.Failed || !strings.Contains(r.err, "broken at revision 5") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// pagesOf answers a list of n records in pages of ten.
func pagesOf(n int) func(*resourcev1.ListResourcesRequest) (*resourcev1.ListResourcesResponse, error) {
	return func(q *resourcev1.ListResourcesRequest) (*resourcev1.ListResourcesResponse, error) {
		var from int
		_, _ = fmt.Sscan(q.PageToken, &from)
		r := &resourcev1.ListResourcesResponse{Revision: 3}
		for i := from; i < min(from+10, n); i++ {
			d, err := structpb.NewStruct(map[string]any{
				"kind": "RecordSet",
				"name": fmt.Sprintf("zones/a/records/h%d/A", i), "spec": map[string]any{
					"ttl":     60,
					"records": []any{"192.0.2.1"},
				},
			})
			if err != nil {
				return nil, err
			}
			r.Documents = append(r.Documents, d)
		}
		if from+10 < n {
			r.NextPageToken = fmt.Sprint(from + 10)
		}
		return r, nil
	}
}

func TestListsOfSeveralPagesAreOneList(t *testing.T) {
	f := &fake{list: pagesOf(12)}
	addr := f.serve(t)
	for _, format := range []string{"table", "json", "yaml", "name"} {
		r := dark(t, addr, "", "get", "records", "a", "-o", format)
		golden(t, "list-"+format+".txt", r.out+r.err)
	}
	f.list = pagesOf(0)
	if r := dark(t, addr, "", "get", "records", "a", "-o", "json"); r.out != "[]\n" {
		t.Errorf("empty list: %q", r.out)
	}
	if r := dark(t, addr, "", "get", "records", "a"); r.out != "" || r.err != "no records in zones/a\n" {
		t.Errorf("empty table: %q, %q", r.out, r.err)
	}
}

// TestACertificateOfAnUnknownCAAsksForTheCA: the server runs, which is not asked.
func TestACertificateOfAnUnknownCAAsksForTheCA(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.EnableHTTP2, s.Config.ErrorLog = true, log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	r := dark(t, s.URL, "", "get", "zones")
	if r.code != exit.Unavailable || !strings.Contains(r.err, "try: --ca FILE") ||
		!strings.Contains(r.err, "--token") ||
		strings.Contains(r.err, "is it running") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

func TestOneResourceIsNotPlural(t *testing.T) {
	f := &fake{nodes: nodes{list: []*clusterv1.Node{{
		Name: "nodes/control-1", Spec: &clusterv1.NodeSpec{Role: "control"},
		Status: &clusterv1.NodeStatus{SetAside: 1, LastSetAside: "too large"},
	}}}}
	want := "\n1 resource cannot be published as it is; edges keep what they had of it: too large\n"
	if r := dark(t, f.serve(t), "", "nodes"); !strings.Contains(r.out, want) {
		t.Error(r.out)
	}
}

func TestImportSendsPartsTheServerTakes(t *testing.T) {
	f, total, parts := &fake{}, 0, 0
	f.importZone = func(s dnsgrpc.ZoneService_ImportZoneServer) error {
		for {
			m, err := s.Recv()
			if errors.Is(err, io.EOF) {
				_ = s.Send(&dnsv1.ImportZoneResponse{Stage: "comparing", Records: 1, Bytes: uint64(total)})
				return s.Send(&dnsv1.ImportZoneResponse{Done: true, Records: 1, Created: 1, Revision: 4})
			}
			if err != nil {
				return err
			}
			if parts == 0 && (m.Name != "zones/a.test" || !m.AllowLargeDeletion || !m.Create) {
				return status.Errorf(codes.InvalidArgument, "first part %v", m)
			}
			if len(m.Data) > 1<<20 {
				return status.Error(codes.InvalidArgument, "part too large")
			}
			total, parts = total+len(m.Data), parts+1
		}
	}
	r := dark(t, f.serve(t), strings.Repeat("x", 3<<20+5), "zones", "import", "a.test", "-", "--yes", "--progress")
	if r.code != exit.Done || total != 3<<20+5 || parts < 3 {
		t.Errorf("exit %d, %d bytes in %d parts: %s", r.code, total, parts, r.err)
	}
	if !strings.Contains(r.err, "comparing: 1 record, 3145733 bytes") {
		t.Errorf("progress: %q", r.err)
	}
}

func TestAnImportThatTheServerEndsEarlyTellsWhy(t *testing.T) {
	f := &fake{}
	f.importZone = func(dnsgrpc.ZoneService_ImportZoneServer) error {
		return status.Error(codes.PermissionDenied, "lacks dns:write")
	}
	r := dark(t, f.serve(t), strings.Repeat("x", 8<<20), "zones", "import", "a.test", "-")
	if r.code != exit.Denied || !strings.Contains(r.err, "lacks dns:write") {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// A file that fails in the middle: what was read of it must not become the zone.
func TestHalfAFileIsNoZone(t *testing.T) {
	f, whole := &fake{}, make(chan bool, 1)
	f.importZone = func(s dnsgrpc.ZoneService_ImportZoneServer) error {
		for {
			if _, err := s.Recv(); err != nil {
				whole <- errors.Is(err, io.EOF)
				return err
			}
		}
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	in := io.MultiReader(strings.NewReader(strings.Repeat("x", 600<<10)), failing{})
	err := Run(t.Context(), []string{"--addr", f.serve(t), "zones", "import", "a.test", "-"},
		Streams{In: in, Out: io.Discard, Err: io.Discard}, Zones)
	if e := exit.Of(err); e == nil || e.Code != exit.Failed || !strings.Contains(e.Text, "the disk is gone") {
		t.Errorf("%v", err)
	}
	if <-whole {
		t.Error("the server took half a file for a whole one")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, fmt.Errorf("the disk is gone") }

func TestNamesOfResources(t *testing.T) {
	rec, zone := testKinds[1], testKinds[0]
	for _, c := range []struct {
		kind         *resourcev1.KindInfo
		args         string
		name, parent string
		bad          bool
	}{
		{kind: zone, args: "example.com", name: "zones/example.com"},
		{kind: zone, args: "zones/example.com", name: "zones/example.com"},
		{kind: zone},
		{kind: rec, args: "example.com", parent: "zones/example.com"},
		{kind: rec, args: "zones/example.com", parent: "zones/example.com"},
		{kind: rec, args: "example.com www A", name: "zones/example.com/records/www/A"},
		{kind: rec, args: "2.0.192.in-addr.arpa 0/25 NS", name: "zones/2.0.192.in-addr.arpa/records/0%2F25/NS"},
		{kind: rec, args: "zones/a/records/@/MX", name: "zones/a/records/@/MX"},
		{kind: rec, args: "2.0.192.in-addr.arpa/0/25/NS", name: "zones/2.0.192.in-addr.arpa/records/0%2F25/NS"},
		{kind: rec, args: "2.0.192.in-addr.arpa/0%2F25/NS", name: "zones/2.0.192.in-addr.arpa/records/0%2F25/NS"},
		{kind: rec, args: "zones/a/records/0/25/NS", name: "zones/a/records/0%2F25/NS"},
		{kind: rec, args: "a/www/A", name: "zones/a/records/www/A"},
		{kind: rec, args: "a b", bad: true},
		{kind: zone, args: "a b", bad: true},
	} {
		a, err := resolveIn(c.kind, strings.Fields(c.args))
		if (err != nil) != c.bad || err == nil && (a.name != c.name || a.parent != c.parent) {
			t.Errorf("%s %q: %+v, %v", c.kind.Kind, c.args, a, err)
		}
	}
	for _, n := range []string{
		"zone", "Zones", "ZONE", "record", "records", "RecordSet", "recordsets",
		"dark.dns.v1.Zone", "apikey",
	} {
		if findKind(testKinds, n) == nil {
			t.Errorf("%s is no kind", n)
		}
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"90d": "2026-12-30", "12h": "2026-10-01", "2027-01-31T00:00:00Z": "2027-01-31",
		"0d": "", "-1h": "", "x": "", "2020-01-01T00:00:00Z": "", "99999999d": "",
	} {
		got, err := expiry(in, now)
		if (err != nil) != (want == "") || err == nil && got.Format(time.DateOnly) != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
}

func TestWhatTheServerSetsIsNotSentBack(t *testing.T) {
	got := writable(map[string]any{
		"kind": "Zone", "name": "a", "etag": "e", "spec": nil, "status": 1, "revision": "3",
		"createTime": "", "updateTime": "",
	})
	want := map[string]any{"kind": "Zone", "name": "a", "etag": "e", "spec": nil}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestEveryCommandHasItsHelpAndTakesOutput(t *testing.T) {
	s := &session{}
	root := s.root()
	for _, make := range []Constructor{
		Apply, Get, Describe, Delete, History, Diff, Rollback, Watch, Zones, Records,
		Keys, Organizations, Nodes, Members, Status, Audit, Context, Version,
	} {
		c := make(s)
		root.AddCommand(c)
		for _, sub := range append(c.Commands(), c) {
			if sub.Short == "" || sub.RunE == nil || sub.Args == nil {
				t.Errorf("%s: needs a short help, a check of its arguments and a function", sub.CommandPath())
			}
		}
	}
}

// TestConstantsAreWordsInTables: the constant in a document is written in full, and is a
// word where people read; text that only looks like one stays.
func TestConstantsAreWordsInTables(t *testing.T) {
	for _, c := range []struct{ path, cell, want string }{
		{"status.control", "CONTROL_SHOWN", "shown"},
		{"spec.versioning", "VERSIONING_ENABLED", "enabled"},
		{"spec.objectOwnership", "OBJECT_OWNERSHIP_BUCKET_OWNER_ENFORCED", "bucket owner enforced"},
		{"spec.text", "CONTROL_SHOWN", "CONTROL_SHOWN"},
		{"status.control", "", ""},
	} {
		if got := render.Word(c.path, c.cell); got != c.want {
			t.Errorf("%s %q: %q", c.path, c.cell, got)
		}
	}
}
