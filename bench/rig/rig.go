// Package rig is what the benches share: an installation on loopback with an organization
// that may write without limit, clients that load something for a while, what /proc says
// of a process, and medians with their spread.
//
// A Rig belongs to one goroutine but for its connections.
package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/deploy/lab"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
)

// Organization is whom the benches write for.
const Organization = "bench"

// Rig is a running installation.
type Rig struct {
	*lab.Cluster
	dir string
}

// Start starts an installation, its edges with more arguments if given; Close ends it
// and forgets its data.
func Start(ctx context.Context, controls, edges int, edgeArgs ...string) (*Rig, error) {
	bin, err := Darkd()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "dark-bench-")
	if err != nil {
		return nil, err
	}
	c, err := lab.Start(ctx, lab.Options{
		Darkd: bin, Dir: dir, Controls: controls, Edges: edges, EdgeArgs: edgeArgs,
		Timing: "wan",
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	r := &Rig{Cluster: c, dir: dir}
	conn, err := c.Dial(c.Controls[0])
	if err == nil {
		defer conn.Close()
		err = Apply(c.As(ctx, ""), conn, "Organization", Organization, map[string]any{
			"limits": map[string]any{"writesPerSecond": 1_000_000},
		})
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close stops all processes and removes their data.
func (r *Rig) Close() error {
	r.Stop()
	return os.RemoveAll(r.dir)
}

// Pid is the process of a node, found by the directory that it was given.
func (r *Rig) Pid(p *lab.Proc) (int, error) { return pidOf(filepath.Join(r.dir, p.Name)) }

// Pids are the processes of all control nodes.
func (r *Rig) Pids() ([]int, error) {
	var pids []int
	for _, p := range r.Controls {
		pid, err := r.Pid(p)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Darkd is the server's binary: DARKD_BIN, or bin/darkd as `make build` leaves it.
func Darkd() (string, error) {
	path := os.Getenv("DARKD_BIN")
	if path == "" {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			return "", fmt.Errorf("find the module: %w", err)
		}
		path = filepath.Join(string(out[:len(out)-1]), "bin", "darkd")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("no darkd: %w; run `make build`", err)
	}
	return path, nil
}

// Apply makes one resource be as given.
func Apply(ctx context.Context, conn grpc.ClientConnInterface, kind, name string, spec map[string]any) error {
	s, err := structpb.NewStruct(map[string]any{"kind": kind, "name": name, "spec": spec})
	if err != nil {
		return err
	}
	_, err = resourcegrpc.NewResourceServiceClient(conn).Apply(ctx,
		&resourcev1.ApplyRequest{Documents: []*structpb.Struct{s}})
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", kind, name, err)
	}
	return nil
}
