package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/dark-ecosystem/dark/internal/ca"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func (r *recordedNodes) ListNodes(_ context.Context, q *clusterv1.ListNodesRequest,
) (*clusterv1.ListNodesResponse, error) {
	if q.PageToken == "" {
		return &clusterv1.ListNodesResponse{Nodes: r.page(false), NextPageToken: "more"}, nil
	}
	return &clusterv1.ListNodesResponse{Nodes: r.page(true)}, nil
}

// page is the nodes called z, or all others.
func (r *recordedNodes) page(last bool) (out []*clusterv1.Node) {
	for name, n := range r.nodes {
		if (name == "nodes/z") == last {
			out = append(out, n)
		}
	}
	return out
}

func tells(role, name string, domains ...string) *clusterv1.Node {
	return &clusterv1.Node{
		Name: "nodes/" + name, Spec: &clusterv1.NodeSpec{Role: role},
		Status: &clusterv1.NodeStatus{S3Hosts: &storagev1.S3Hosts{Domains: domains}},
	}
}

// TestDoctorComparesBaseDomains of control nodes and edges, over all pages of nodes.
func TestDoctorComparesBaseDomains(t *testing.T) {
	dir := aNode(t, ca.Control, "node.json")
	by, _ := consult(t, "--dir", dir)
	if len(by["s3-domain"]) != 0 {
		t.Errorf("without a node that answers: %+v", by["s3-domain"])
	}
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

	silent := &clusterv1.Node{Name: "nodes/old", Spec: &clusterv1.NodeSpec{Role: ca.Edge}}
	many := []*clusterv1.Node{tells(ca.Control, "c1")}
	for i := range 8 {
		many = append(many, tells(ca.Edge, fmt.Sprintf("e%d", i), "s3.test"))
	}
	for _, c := range []struct {
		nodes      []*clusterv1.Node
		want, text string
	}{
		{nil, statusOK, "no node tells of S3"},
		{[]*clusterv1.Node{silent}, statusOK, "no node tells of S3"},
		{
			[]*clusterv1.Node{
				tells(ca.Control, "c1", "s3.test", "a.test"), silent, tells(ca.Edge, "z", "a.test", "s3.test"),
			},
			statusOK, "a.test,s3.test at control c1, edge z",
		},
		{
			[]*clusterv1.Node{
				tells(ca.Control, "c1", "s3.test"), tells(ca.Control, "c2"), tells(ca.Edge, "z", "s3.test"),
			},
			statusWarn, "it differs: none at control c2; s3.test at control c1, edge z",
		},
		{
			[]*clusterv1.Node{tells(ca.Control, "c1", "s3.test"), tells(ca.Edge, "z", "s4.test")},
			statusWarn, "s3.test at control c1; s4.test at edge z",
		},
		{many, statusWarn, "s3.test at edge e0, edge e1, edge e2, edge e3, edge e4, 3 more"},
	} {
		r.nodes = map[string]*clusterv1.Node{}
		for _, n := range c.nodes {
			r.nodes[n.Name] = n
		}
		by, _ := consult(t, "--dir", dir)
		if f := by["s3-domain"]; len(f) != 1 || f[0].Status != c.want || !strings.Contains(f[0].Text, c.text) {
			t.Errorf("want %s with %q, got %+v", c.want, c.text, f)
		}
	}
}
