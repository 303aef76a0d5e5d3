package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

var pepper = []byte("pepper of the tests, 32 octets..")

// installation is an API server on loopback over a model of the state.
type installation struct {
	t     *testing.T
	state *statetest.State
	addr  string
	conn  *grpc.ClientConn
	admin string // token of an operator
	srv   *api.Server
}

type fakeCluster struct{}

func (fakeCluster) Status(context.Context) (*clusterv1.GetStatusResponse, error) {
	return &clusterv1.GetStatusResponse{Node: "n1"}, nil
}

func (fakeCluster) Members(context.Context) (*clusterv1.ListMembersResponse, error) {
	return &clusterv1.ListMembersResponse{}, nil
}
func (fakeCluster) Remove(context.Context, string, string) error     { return nil }
func (fakeCluster) Transfer(context.Context, string) (string, error) { return "n2", nil }
func (fakeCluster) CreateJoinToken(context.Context,
	*clusterv1.CreateJoinTokenRequest,
) (*clusterv1.CreateJoinTokenResponse, error) {
	return &clusterv1.CreateJoinTokenResponse{Token: "t"}, nil
}

func (fakeCluster) Join(context.Context, *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
	return &clusterv1.JoinResponse{}, nil
}

func (fakeCluster) ZoneStats(_ context.Context, organization, zone string) ([]*clusterv1.ZoneStats, error) {
	return []*clusterv1.ZoneStats{{Name: zone, Queries: uint64(len(organization))}}, nil
}

func (fakeCluster) Wait(_ context.Context, _ uint64, send func(*clusterv1.WaitResponse) error) error {
	return send(&clusterv1.WaitResponse{Node: "e1"})
}

// start makes an installation with the kinds of List and more.
func start(t *testing.T, more ...api.Registration) *installation {
	t.Helper()
	i := &installation{t: t, state: statetest.New()}
	i.state.Told = true
	token, tx, err := identity.BootstrapKey(pepper)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.state.Propose(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	i.admin = token
	z := zones.New(zones.Options{Compilers: compilers(), NameServer: "ns1.dark.test.", Dir: t.TempDir()})
	_, recovery, err := keyring.NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	st := storage.New(storage.Options{Root: keyring.NewRoot(), Recovery: recovery})
	o := api.Options{
		State: i.state, Proposer: i.state, Auth: &identity.Authenticator{
			State: i.state, Pepper: pepper, Current: i.state.Current,
			AccessKeys: identity.AccessKeys{
				Secret: st.Secret, Regions: st.Regions(), Hosts: sigv4.NewHosts("s3.dark.test"), Allow: s3.ScopesAllow,
				Asked: func(organization string, r *sigv4.Signed) (*storagev1.BucketSpec, error) {
					return s3.Asked(organization, r,
						s3.Defaults{Ownership: storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED}, nil)
				},
			},
		},
		Kinds: kinds(z, st, more), Cluster: fakeCluster{}, TokenKey: pepper, Version: "1.2.3",
	}
	o.Extras = extras(z, st, &i.srv)
	i.srv, err = api.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.srv.Serve(ctx, l, nil) }()
	i.addr = l.Addr().String()
	if i.conn, err = grpc.NewClient(i.addr, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		i.conn.Close()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := i.srv.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return i
}

// as returns a context with a token and an organization.
func as(ctx context.Context, token, org string) context.Context {
	md := metadata.Pairs("authorization", "Bearer "+token)
	if org != "" {
		md.Set("dark-organization", org)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// rest makes a REST request and returns the status and the decoded body.
func (i *installation) rest(token, org, method, path, body string) (int, map[string]any) {
	i.t.Helper()
	req, err := http.NewRequestWithContext(i.t.Context(), method, "http://"+i.addr+path, bytes.NewBufferString(body))
	if err != nil {
		i.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if org != "" {
		req.Header.Set("Dark-Organization", org)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	if resp.Header.Get("X-Request-Id") == "" {
		i.t.Errorf("%s %s: no request id", method, path)
	}
	out := map[string]any{}
	if err := json.Unmarshal(b, &out); err != nil {
		i.t.Fatalf("%s %s: %d %q: %v", method, path, resp.StatusCode, b, err)
	}
	return resp.StatusCode, out
}

// must is rest with an expected status.
func (i *installation) must(want int, token, org, method, path, body string) map[string]any {
	i.t.Helper()
	code, out := i.rest(token, org, method, path, body)
	if code != want {
		i.t.Fatalf("%s %s: %d, want %d: %v", method, path, code, want, out)
	}
	return out
}

// organization makes an organization and a key in it.
func (i *installation) organization(name string, permissions ...string) (token string) {
	i.t.Helper()
	i.must(200, i.admin, "", "POST", "/v1/organizations", `{"name":"organizations/`+name+`"}`)
	return i.key(name, "key", permissions...)
}

func (i *installation) key(org, name string, permissions ...string) string {
	i.t.Helper()
	p, _ := json.Marshal(permissions)
	out := i.must(200, i.admin, org, "POST", "/v1/apikeys", `{"name":"apikeys/`+name+`","spec":{"permissions":`+
		string(p)+`}}`)
	return out["status"].(map[string]any)["token"].(string)
}

// node stores a node, as an enrolment does.
func (i *installation) node(name string) {
	i.t.Helper()
	n := &clusterv1.Node{Name: "nodes/" + name, Spec: &clusterv1.NodeSpec{Role: "edge"}}
	i.store(n.Name, "", n)
}

// store stores a resource without asking what clients may write.
func (i *installation) store(name, org string, m proto.Message) {
	i.t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		i.t.Fatal(err)
	}
	ref := &statev1.Ref{Kind: string(m.ProtoReflect().Descriptor().FullName()), Organization: org, Name: name}
	tx := &statev1.Transaction{Organization: org, Ops: []*statev1.Op{{
		Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{Ref: ref, Value: b}},
	}}}
	if _, err := i.state.Propose(i.t.Context(), tx); err != nil {
		i.t.Fatal(err)
	}
}
