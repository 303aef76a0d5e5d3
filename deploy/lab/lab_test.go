package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
)

var darkd string

// TestMain builds darkd once, unless it is given.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		if darkd = os.Getenv("DARKD_BIN"); darkd != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "darkd")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		darkd = filepath.Join(dir, "darkd")
		build := exec.Command("go", "build", "-o", darkd, "github.com/dark-ecosystem/dark/cmd/darkd")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build darkd:", err)
			return 1
		}
		return m.Run()
	}())
}

const (
	org  = "acme"
	apex = "example.test"
)

// start brings up a cluster with an organization and an empty zone.
func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Darkd = darkd
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.User != nil {
		// Nodes that run as other users must be able to reach their directories.
		if err := os.Chmod(filepath.Dir(o.Dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if o.Timing == "" {
		o.Timing = "ci"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	c, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.logs())
		}
		c.Stop()
	})
	conn := patient(t, c, c.Controls[0])
	apply(t, c.As(ctx, ""), conn, map[string]any{"kind": "Organization", "name": org, "spec": map[string]any{
		"limits": map[string]any{"writesPerSecond": 100000},
	}})
	apply(t, c.As(ctx, org), conn, map[string]any{"kind": "Zone", "name": apex})
	return c
}

// dial connects for calls that hear at once of a member that is away.
func dial(t *testing.T, c *Cluster, p *Proc, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := c.Dial(p, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// patient connects for calls that may be made twice and whose failure ends the test: a member
// that is ready may lose its leader a moment later, on a machine with much to do.
func patient(t *testing.T, c *Cluster, p *Proc) *grpc.ClientConn {
	t.Helper()
	return dial(t, c, p, grpc.WithMaxCallAttempts(50), grpc.WithDefaultServiceConfig(`{"methodConfig": [{
		"name": [{}], "waitForReady": true, "timeout": "60s",
		"retryPolicy": {"maxAttempts": 50, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
	}]}`))
}

func apply(t *testing.T, ctx context.Context, conn grpc.ClientConnInterface, docs ...map[string]any) uint64 {
	t.Helper()
	req := &resourcev1.ApplyRequest{}
	for _, d := range docs {
		s, err := structpb.NewStruct(d)
		if err != nil {
			t.Fatal(err)
		}
		req.Documents = append(req.Documents, s)
	}
	resp, err := resourcegrpc.NewResourceServiceClient(conn).Apply(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Revision
}

// txt is a record set with one TXT record.
func txt(owner, text string) *dnsv1.RecordSet {
	return &dnsv1.RecordSet{
		Name: "zones/" + apex + "/records/" + owner + "/TXT",
		Spec: &dnsv1.RecordSetSpec{Ttl: proto.Uint32(60), Records: []string{fmt.Sprintf("%q", text)}},
	}
}

func create(ctx context.Context, conn grpc.ClientConnInterface, owner, text, id string) error {
	_, err := dnsgrpc.NewRecordSetServiceClient(conn).CreateRecordSet(ctx, &dnsv1.CreateRecordSetRequest{
		Parent: "zones/" + apex, RecordSet: txt(owner, text), RequestId: id,
	})
	return err
}

// ask asks an edge for the TXT record at an owner, as any stub resolver does.
func ask(ctx context.Context, edge *Proc, owner string) (string, error) {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", edge.Addr+":5300") // over UDP a test that asks much is limited
	}}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	txts, err := r.LookupTXT(ctx, owner+"."+apex+".")
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		return "", nil
	}
	return strings.Join(txts, "|"), err
}

// reaches waits until an edge answers want for an owner.
func reaches(t *testing.T, c *Cluster, edge *Proc, owner, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	last := ""
	err := c.until(ctx, "the edge answers", func() bool {
		got, err := ask(ctx, edge, owner)
		last = fmt.Sprint(got, err)
		return err == nil && got == want
	})
	if err != nil {
		t.Fatalf("%s at %s: %v; the last answer was %s, want %s", owner, edge.Name, err, last, want)
	}
}

func TestChangeTravelsFromEachControlNodeToEachEdge(t *testing.T) {
	c := start(t, Options{Controls: 3, Edges: 3})
	for i, p := range c.Controls {
		owner := fmt.Sprint("via", i)
		if err := create(c.As(t.Context(), org), patient(t, c, p), owner, "hello", "request-"+owner); err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Edges {
			reaches(t, c, e, owner, "hello")
		}
	}
}

func TestEdgesAnswerWithEveryControlNodeDead(t *testing.T) {
	c := start(t, Options{Controls: 3, Edges: 2})
	conn := patient(t, c, c.Controls[0])
	var docs []map[string]any
	for i := range 1000 {
		docs = append(docs, map[string]any{
			"kind": "RecordSet", "name": fmt.Sprintf("%s/n%d/TXT", apex, i),
			"spec": map[string]any{"ttl": 1, "records": []any{fmt.Sprintf(`"text %d"`, i)}},
		})
	}
	apply(t, c.As(t.Context(), org), conn, docs...)
	all := func(e *Proc) {
		t.Helper()
		for i := range 1000 {
			got, err := ask(t.Context(), e, fmt.Sprint("n", i))
			if err != nil || got != fmt.Sprint("text ", i) {
				t.Fatalf("%s answers %q, %v for n%d", e.Name, got, err, i)
			}
		}
	}
	for _, e := range c.Edges {
		reaches(t, c, e, "n999", "text 999")
		all(e)
	}
	for _, p := range c.Controls {
		p.Kill()
	}
	// Longer than the TTL of what is asked and than any lease of the control plane.
	select {
	case <-time.After(3 * time.Second):
	case <-t.Context().Done():
	}
	c.Edges[1].Kill()
	if err := c.Edges[1].Start(); err != nil {
		t.Fatal(err)
	}
	reaches(t, c, c.Edges[1], "n0", "text 0")
	for _, e := range c.Edges {
		all(e)
	}
	for _, p := range c.Controls {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	if err := writeUntil(ctx, c, conn, "after", "back"); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Edges {
		reaches(t, c, e, "after", "back")
		all(e)
	}
}

// writeUntil writes a record, again while the cluster is unavailable, under one request id.
func writeUntil(ctx context.Context, c *Cluster, conn grpc.ClientConnInterface, owner, text string) error {
	for {
		err := create(c.As(ctx, org), conn, owner, text, "request-"+owner)
		if status.Code(err) != codes.Unavailable {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
