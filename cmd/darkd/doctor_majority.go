package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// majorityPatience bounds the wait for this machine's own control node.
const majorityPatience = 5 * time.Second

// majority asks the control node of this machine, over its break-glass socket, which members
// answer it.
func (d *doctor) majority(ctx context.Context) finding {
	socket := d.socket()
	r, err := askMembers(ctx, socket)
	if status.Code(err) == codes.Aborted {
		return fail("majority", "", "%s", status.Convert(err).Message()) // it says what to do itself
	}
	if err != nil {
		return warn("majority", "start the node, and ask again as its user", "the node does not answer on %s", socket)
	}
	var silent []string
	voters, answer := 0, 0
	for _, m := range r.Members {
		switch {
		case m.Suffrage != "voter":
		case m.Answers:
			voters, answer = voters+1, answer+1
		default:
			voters++
			silent = append(silent, m.Name+" ("+m.Address+")")
		}
	}
	names := strings.Join(silent, ", ")
	switch {
	case 2*answer <= voters:
		return fail("majority", "start them again with their data, or mend the network; edges go on serving, nothing "+
			"can be changed meanwhile; wipe no member (docs/operations/quorum.md)",
			"lost: %d of %d control nodes answer, %d are needed; silent: %s", answer, voters, voters/2+1, names)
	case len(silent) > 0:
		return warn("majority", "start it again, or take it out: dark members remove NAME --yes",
			"%d of %d control nodes answer; silent: %s", answer, voters, names)
	}
	return well("majority", "all %d control nodes answer", voters)
}

// socket is the path of the node's break-glass socket.
func (d *doctor) socket() string {
	if d.control.socket != "" {
		return d.control.socket
	}
	return filepath.Join(d.dir, "control.sock")
}

func dialSocket(socket string) (*grpc.ClientConn, error) {
	path, err := filepath.Abs(socket)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func askMembers(ctx context.Context, socket string) (*clusterv1.ListMembersResponse, error) {
	conn, err := dialSocket(socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, majorityPatience)
	defer cancel()
	return clustergrpc.NewClusterServiceClient(conn).ListMembers(ctx, &clusterv1.ListMembersRequest{})
}
