package edge

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// Files below an edge's directory.
const (
	fileSelf    = "edge.json"
	fileCert    = "node.pem"
	fileMachine = "machine.key"
)

// Self is what an edge knows of itself from joining, and needs to start with no control
// node in reach.
type Self struct {
	ClusterID string `json:"clusterID"`
	Name      string `json:"name"`
	// PublishingKey is the Ed25519 key by which it verified the first frames.
	PublishingKey []byte   `json:"publishingKey"`
	Feeds         []string `json:"feeds"`
}

// ErrJoined: the directory holds an edge already.
var ErrJoined = errors.New("this directory holds an edge already")

// ReadSelf reads who a directory's edge is.
func ReadSelf(dir string) (Self, error) {
	var s Self
	b, err := os.ReadFile(filepath.Join(dir, fileSelf))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", filepath.Join(dir, fileSelf), err)
	}
	if s.ClusterID == "" || s.Name == "" || len(s.PublishingKey) != ed25519.PublicKeySize {
		return s, fmt.Errorf("%s lacks clusterID, name or publishingKey", filepath.Join(dir, fileSelf))
	}
	return s, nil
}

// Credentials reads the edge's certificate.
func Credentials(dir string) (*ca.Credentials, error) {
	return ca.LoadCredentials(filepath.Join(dir, fileCert))
}

// Join is how an edge asks to become one; a control node's API answers it.
type Join func(context.Context, *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error)

// JoinThrough joins through the API of a control node at host:port.
func JoinThrough(token, api string) (Join, error) {
	t, err := ca.ParseJoinToken(token)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
		conn, err := grpc.NewClient(api, grpc.WithTransportCredentials(credentials.NewTLS(t.TLS())),
			grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
		if err != nil {
			return nil, fmt.Errorf("reach %s: %w", api, err)
		}
		defer conn.Close()
		resp, err := clustergrpc.NewClusterServiceClient(conn).Join(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("join through %s: %w", api, err)
		}
		return resp, nil
	}, nil
}

// NoSelf explains why a directory's edge.json was not read.
func NoSelf(dir string, err error) error {
	if left := leftOf(dir); errors.Is(err, fs.ErrNotExist) && left == "" {
		return fmt.Errorf("%s holds no edge: %w; run `darkd edge --join TOKEN --through HOST:PORT`", dir, err)
	}
	return fmt.Errorf("who the edge in %s is cannot be read: %w; put the file back from a copy; or let the edge join "+
		"again, with a token of `dark nodes token NAME` and another --dir (objects that only this edge keeps stay in "+
		"the old one)", dir, err)
}

// leftOf names the first thing that a directory keeps of an edge; it is empty when there is none.
func leftOf(dir string) string {
	for _, name := range []string{fileCert, fileDiskKey, dirStore, "config"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return name
		}
	}
	return ""
}

// Vacant refuses a directory that holds an edge, or what is left of one: a new edge would write
// over its certificate, and take what it was told and what it keeps for its own.
func Vacant(dir string) error {
	_, err := ReadSelf(dir)
	if err == nil {
		return fmt.Errorf("%s: %w", dir, ErrJoined)
	}
	if errors.Is(err, fs.ErrNotExist) && leftOf(dir) == "" {
		return nil
	}
	return NoSelf(dir, err)
}

// Enrol makes an empty directory that of a new edge.
func Enrol(ctx context.Context, dir, token string, join Join, hosts []string) error {
	if err := Vacant(dir); err != nil {
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
	resp, err := join(ctx, &clusterv1.JoinRequest{
		Token: token, CertificateRequest: request, MachineKey: []byte(machine.Recipient()), Role: ca.Edge,
	})
	if err != nil {
		return err
	}
	if len(resp.WrappedRoot) > 0 {
		return errors.New("the join token is for a control node: run `darkd control --join TOKEN`")
	}
	if len(resp.Certificates) == 0 {
		return errors.New("the control node gave no certificate")
	}
	if err := ca.Save(filepath.Join(dir, fileCert), key, resp.Certificates[0], resp.Authorities); err != nil {
		return err
	}
	self := Self{
		ClusterID: resp.ClusterId, Name: resp.Node, PublishingKey: resp.PublishingKey,
		Feeds: slices.Sorted(maps.Values(resp.Feeds)),
	}
	b, err := json.MarshalIndent(self, "", "  ")
	if err != nil {
		return err
	}
	return keyring.WriteFile(filepath.Join(dir, fileSelf), append(b, '\n'), 0o600)
}
