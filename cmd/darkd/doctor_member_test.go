package main

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/internal/ca"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// recordedNodes is a control node of which only the records of nodes are asked.
type recordedNodes struct {
	clustergrpc.UnimplementedNodeServiceServer
	nodes map[string]*clusterv1.Node
}

func (r *recordedNodes) GetNode(_ context.Context, q *clusterv1.GetNodeRequest) (*clusterv1.Node, error) {
	if n := r.nodes[q.Name]; n != nil {
		return n, nil
	}
	return nil, status.Error(codes.NotFound, "none")
}

// TestDoctorAsksWhetherTheNodeIsOne: the rule that every door asks judges the node's own
// certificate against what is recorded of it.
func TestDoctorAsksWhetherTheNodeIsOne(t *testing.T) {
	dir := aNode(t, ca.Control, "node.json")
	creds, err := ca.LoadCredentials(filepath.Join(dir, "node.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key := creds.Leaf().RawSubjectPublicKeyInfo
	check := func(want, text string) {
		t.Helper()
		by, _ := consult(t, "--dir", dir)
		if f := by["membership"]; len(f) != 1 || f[0].Status != want || !strings.Contains(f[0].Text, text) {
			t.Errorf("want %s with %q, got %+v", want, text, f)
		}
	}
	check(statusWarn, "does not tell what is recorded")

	l, err := net.Listen("unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		t.Fatal(err)
	}
	r := &recordedNodes{nodes: map[string]*clusterv1.Node{}}
	s := grpc.NewServer()
	clustergrpc.RegisterNodeServiceServer(s, r)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-served })

	check(statusFail, "no such node")
	for _, c := range []struct {
		spec       *clusterv1.NodeSpec
		want, text string
	}{
		{&clusterv1.NodeSpec{Role: ca.Control, PublicKey: key}, statusOK, "the key that is recorded of it"},
		{&clusterv1.NodeSpec{Role: ca.Edge, PublicKey: key}, statusFail, "another role"},
		{
			&clusterv1.NodeSpec{Role: ca.Control, PublicKey: []byte("another"), Instance: "later"}, statusFail,
			"another machine has its name",
		},
	} {
		r.nodes["nodes/n"] = &clusterv1.Node{Spec: c.spec}
		check(c.want, c.text)
	}
}

// TestDoctorTellsOfARemovedEdge: what control nodes last refused the edge for is shown.
func TestDoctorTellsOfARemovedEdge(t *testing.T) {
	dir := aNode(t, ca.Edge, "edge.json")
	for _, c := range []struct{ noted, want, text string }{
		{"", statusOK, "with a certificate of its CA"},
		{"edge e1: it was removed", statusFail, "it was removed"},
	} {
		if c.noted != "" {
			if err := os.MkdirAll(filepath.Join(dir, "config"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "config", "refused"), []byte(c.noted), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		by, _ := consult(t, "--dir", dir)
		if f := by["membership"]; len(f) != 1 || f[0].Status != c.want || !strings.Contains(f[0].Text, c.text) {
			t.Errorf("want %s with %q, got %+v", c.want, c.text, f)
		}
	}
}
