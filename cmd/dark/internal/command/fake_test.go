package command

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
)

// fake answers what no real server does on demand: refusals, faults, a broken chain.
type fake struct {
	resourcegrpc.UnimplementedResourceServiceServer
	clustergrpc.UnimplementedClusterServiceServer
	nodes
	zones

	apply    func(*resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error)
	rollback func(*resourcev1.RollbackRequest) (*resourcev1.RollbackResponse, error)
	list     func(*resourcev1.ListResourcesRequest) (*resourcev1.ListResourcesResponse, error)
	wait     func(clustergrpc.ClusterService_WaitServer) error
	audit    *resourcev1.VerifyAuditResponse
	mu       sync.Mutex
	called   int
}

type nodes struct {
	clustergrpc.UnimplementedNodeServiceServer
	list []*clusterv1.Node
}

type zones struct {
	dnsgrpc.UnimplementedZoneServiceServer
	importZone func(dnsgrpc.ZoneService_ImportZoneServer) error
}

var testKinds = []*resourcev1.KindInfo{
	{
		Kind: "Zone", Plural: "zones", FullName: "dark.dns.v1.Zone", Pattern: "zones/{zone}",
		SpecFields: []string{"spec.negativeTtl", "spec.contact"},
	},
	{
		Kind: "RecordSet", Plural: "recordsets", FullName: "dark.dns.v1.RecordSet",
		Pattern:    "zones/{zone}/records/{owner}/{type}",
		SpecFields: []string{"spec.ttl", "spec.records"},
		Columns:    []*resourcev1.Column{{Title: "TTL", Path: "spec.ttl"}, {Title: "Records", Path: "spec.records"}},
	},
	{Kind: "ApiKey", Plural: "apikeys", FullName: "dark.identity.v1.ApiKey", Pattern: "apikeys/{apikey}"},
}

func (f *fake) ListKinds(context.Context, *resourcev1.ListKindsRequest) (*resourcev1.ListKindsResponse, error) {
	return &resourcev1.ListKindsResponse{Kinds: testKinds}, nil
}

func (f *fake) Apply(_ context.Context, q *resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.called++
	return f.apply(q)
}

func (f *fake) Rollback(_ context.Context, q *resourcev1.RollbackRequest) (*resourcev1.RollbackResponse, error) {
	return f.rollback(q)
}

func (f *fake) ListResources(_ context.Context,
	q *resourcev1.ListResourcesRequest,
) (*resourcev1.ListResourcesResponse, error) {
	return f.list(q)
}

func (f *fake) VerifyAudit(context.Context, *resourcev1.VerifyAuditRequest) (*resourcev1.VerifyAuditResponse, error) {
	return f.audit, nil
}

func (f *fake) Wait(_ *clusterv1.WaitRequest, s clustergrpc.ClusterService_WaitServer) error {
	return f.wait(s)
}

func (n *nodes) ListNodes(context.Context, *clusterv1.ListNodesRequest) (*clusterv1.ListNodesResponse, error) {
	return &clusterv1.ListNodesResponse{Nodes: n.list}, nil
}

func (z *zones) ImportZone(s dnsgrpc.ZoneService_ImportZoneServer) error { return z.importZone(s) }

// serve starts the fake and returns its address.
func (f *fake) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	resourcegrpc.RegisterResourceServiceServer(s, f)
	clustergrpc.RegisterClusterServiceServer(s, f)
	clustergrpc.RegisterNodeServiceServer(s, &f.nodes)
	dnsgrpc.RegisterZoneServiceServer(s, &f.zones)
	dnsgrpc.RegisterRecordSetServiceServer(s, judge{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

// result is what a run of dark did.
type result struct {
	out, err string
	code     exit.Code
}

// dark runs a command line against an address.
func dark(t *testing.T, addr, stdin string, args ...string) result {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	var out, errs bytes.Buffer
	err := Run(t.Context(), append([]string{"--addr", addr, "--token", "t"}, args...),
		Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs},
		Apply, Get, Describe, Delete, History, Diff, Rollback, Watch, Zones, Records, Keys, Organizations, Nodes,
		Members, Status, Audit, Context, Version)
	r := result{}
	if e := exit.Of(err); e != nil {
		e.Print(&errs)
		r.code = e.Code
	}
	r.out, r.err = out.String(), errs.String()
	return r
}

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, want)
	}
}
