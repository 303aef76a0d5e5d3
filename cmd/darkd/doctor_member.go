package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/membership"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// member asks the rule for who is a node, as every door of the installation does, about this
// machine's own certificate. What is recorded of it a control node reads in its own rows; an edge has none.
func (d *doctor) member(ctx context.Context) finding {
	const again = "let the machine join again: dark nodes token NAME, and a start with --join and an empty --dir"
	creds, err := ca.LoadCredentials(filepath.Join(d.dir, "node.pem"))
	if err != nil {
		return fail("membership", again, "%v", err)
	}
	door := membership.Door{
		Roots: creds.Roots(), Role: d.role, Now: func() time.Time { return d.now },
		Denied: func(string) bool { return false }, // a node that was removed has no record, or another machine has it
	}
	if door.Cluster, err = d.clusterID(); err != nil {
		return fail("membership", again, "%v", err)
	}
	compared, silent := "", error(nil)
	if d.role == ca.Control {
		compared = " and the key that is recorded of it"
		door.Node = func(name string) (*membership.Record, error) {
			n, err := d.recorded(ctx, name)
			silent = err
			return cluster.Record(n), err
		}
	}
	name, err := door.Known(creds.Leaf())
	switch {
	case silent != nil:
		return warn("membership", "start the node, and ask again as its user; where it runs, its log says what it "+
			"waits for", "the node does not tell what is recorded of it: %v", plain(status.Convert(silent)))
	case errors.Is(err, membership.ErrUntrusted):
		return fail("membership", "see the check of the certificate, and the clock", "%v", err)
	case err != nil:
		return fail("membership", again, "%v", err)
	}
	if d.role == ca.Edge {
		if why, err := config.Refused(d.dir); err != nil || why != "" {
			return fail("membership", again+"; or stop it, where it was removed", "control nodes refuse it: %s",
				orError(why, err))
		}
	}
	return well("membership", "%s %s of cluster %s, with a certificate of its CA%s", name.Role, name.Node, name.Cluster,
		compared)
}

func orError(text string, err error) string {
	if err != nil {
		return err.Error()
	}
	return text
}

// clusterID is the cluster that the directory says it belongs to.
func (d *doctor) clusterID() (string, error) {
	if d.role == ca.Control {
		self, err := controlplane.ReadSelf(d.dir)
		return self.ClusterID, err
	}
	self, err := edge.ReadSelf(d.dir)
	return self.ClusterID, err
}

// recorded reads a Node over the break-glass socket; nil when there is none.
func (d *doctor) recorded(ctx context.Context, name string) (*clusterv1.Node, error) {
	conn, err := dialSocket(d.socket())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, majorityPatience)
	defer cancel()
	n, err := clustergrpc.NewNodeServiceClient(conn).GetNode(ctx, &clusterv1.GetNodeRequest{
		Name:  "nodes/" + name,
		Stale: true,
	})
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	return n, err
}
