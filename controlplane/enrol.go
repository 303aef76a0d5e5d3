package controlplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

const fileMembers = "members.json" // transports of the members, as they were at joining

// incarnationLen is how many random octets an enrolment adds to the name, so that a node that
// joins again is another member of consensus.
const incarnationLen = 3

// Enrol makes an empty directory that of a new control node, by a join token and the
// API address of any control node. hosts are names and addresses of this node.
func Enrol(ctx context.Context, dir, token, api string, hosts []string) error {
	if err := Vacant(dir); err != nil {
		return err
	}
	t, err := ca.ParseJoinToken(token)
	if err != nil {
		return err
	}
	machine, err := keyring.LoadMachine(filepath.Join(dir, fileMachine))
	if err != nil {
		return err
	}
	key, request, err := ca.NewRequest(hosts)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(api, grpc.WithTransportCredentials(credentials.NewTLS(t.TLS())),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return fmt.Errorf("reach %s: %w", api, err)
	}
	defer conn.Close()
	resp, err := clustergrpc.NewClusterServiceClient(conn).Join(ctx, &clusterv1.JoinRequest{
		Token: token, CertificateRequest: request, MachineKey: []byte(machine.Recipient()), Role: ca.Control,
	})
	if err != nil {
		return fmt.Errorf("join through %s: %w", api, err)
	}
	if len(resp.WrappedRoot) == 0 {
		return errors.New("the join token is for an edge: run `darkd edge --join TOKEN`")
	}
	var incarnation [incarnationLen]byte
	rand.Read(incarnation[:])
	return errors.Join(
		keyring.WriteFile(filepath.Join(dir, fileRoot), resp.WrappedRoot, 0o600),
		ca.Save(filepath.Join(dir, fileCert), key, resp.Certificates[0], resp.Authorities),
		writeMembers(dir, resp.Members),
		Self{
			ClusterID: resp.ClusterId, Name: resp.Node,
			ServerID: resp.Node + "-" + hex.EncodeToString(incarnation[:]),
		}.write(dir),
	)
}

func writeMembers(dir string, members map[string]string) error {
	b, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return keyring.WriteFile(filepath.Join(dir, fileMembers), b, 0o600)
}

func readMembers(dir string) map[string]string {
	members := map[string]string{}
	b, err := os.ReadFile(filepath.Join(dir, fileMembers))
	if err != nil || json.Unmarshal(b, &members) != nil {
		return nil // the node that began the cluster has none
	}
	return members
}
