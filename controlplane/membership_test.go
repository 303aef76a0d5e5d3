package controlplane

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	clustergw "github.com/dark-ecosystem/dark/proto/dark/cluster/v1/gw"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	identitygw "github.com/dark-ecosystem/dark/proto/dark/identity/v1/gw"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// site is a directory with running control nodes in it.
type site struct {
	t   *testing.T
	dir string
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// config of a control node whose kinds are those of this page.
func (s *site) config(name string) Config {
	return Config{
		Dir: filepath.Join(s.dir, name), Transport: freeAddr(s.t), Feed: freeAddr(s.t), API: []string{freeAddr(s.t)},
		Timing: consensus.CI, Logger: slog.New(slog.NewTextHandler(s.t.Output(),
			&slog.HandlerOptions{Level: slog.LevelWarn})),
		Kinds: func(n *Node) ([]api.Registration, []api.Extra) {
			owned := identity.Owned{FullNames: func() []string {
				return nil
			}, FullName: func(string) (string, bool) { return "", false }}
			return []api.Registration{
				{
					Kind: identity.Organization(owned), Service: "dark.identity.v1.OrganizationService",
					Gateway: identitygw.RegisterOrganizationServiceHandler,
				},
				{
					Kind: cluster.Node(n.NodeStatus), Service: "dark.cluster.v1.NodeService",
					Gateway: clustergw.RegisterNodeServiceHandler,
				},
			}, nil
		},
	}
}

// run runs a node until the test ends, or stop is called.
func (s *site) run(cfg Config) (n *Node, stop func()) {
	s.t.Helper()
	n, err := New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(stop)
	return n, stop
}

// begin begins a cluster with control node c1.
func begin(t *testing.T) (*site, *Node) {
	t.Helper()
	s := &site{t: t, dir: t.TempDir()}
	cfg := s.config("c1")
	_, err := Init(t.Context(), InitConfig{
		Dir: cfg.Dir, Name: "c1", Transport: cfg.Transport, Timing: cfg.Timing,
		Logger: cfg.Logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := s.run(cfg)
	<-n.Ready()
	if err := n.WaitLeader(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, n
}

func (s *site) token(n *Node, name, role string, hosts ...string) string {
	s.t.Helper()
	r, err := n.CreateJoinToken(s.t.Context(), &clusterv1.CreateJoinTokenRequest{Node: name, Role: role, Hosts: hosts},
		&statev1.Origin{})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.Token
}

// joinRequest is what a machine says, and its key.
func (s *site) joinRequest(token, role string, hosts ...string) (*clusterv1.JoinRequest, crypto.Signer) {
	s.t.Helper()
	key, csr, err := ca.NewRequest(hosts)
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := keyring.LoadMachine(filepath.Join(s.t.TempDir(), "machine.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	return &clusterv1.JoinRequest{Token: token, CertificateRequest: csr, MachineKey: []byte(m.Recipient()), Role: role},
		key
}

// joinEdge returns the credentials of a new edge.
func (s *site) joinEdge(n *Node, name string, hosts ...string) *ca.Credentials {
	s.t.Helper()
	r, key := s.joinRequest(s.token(n, name, ca.Edge, hosts...), ca.Edge)
	resp, err := n.Join(s.t.Context(), r, "127.0.0.1")
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(s.t.TempDir(), "node.pem")
	if err := ca.Save(path, key, resp.Certificates[0], resp.Authorities); err != nil {
		s.t.Fatal(err)
	}
	c, err := ca.LoadCredentials(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// link is a connection to a feed that was welcomed.
type link struct {
	*tls.Conn
	ended chan struct{} // closed when the other side ended it
	down  chan *feedv1.Down
}

// dialFeed says hello, and fails unless the edge is welcomed.
func (s *site) dialFeed(n *Node, c *ca.Credentials) (*link, error) {
	conn, err := tls.Dial("tcp", n.feedAddr, c.TLS())
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { conn.Close() })
	hello := &feedv1.Up{Message: &feedv1.Up_Hello{Hello: &feedv1.Hello{Cluster: n.core.self.ClusterID}}}
	if _, err := frame.WriteMsg(conn, nil, hello); err != nil {
		return nil, err
	}
	first, err := readDown(conn)
	if err != nil {
		return nil, err
	}
	if first.GetWelcome() == nil {
		return nil, errors.New("not welcomed")
	}
	l := &link{conn, make(chan struct{}), make(chan *feedv1.Down, 1024)}
	go func() {
		defer close(l.ended)
		for {
			m, err := readDown(conn)
			if err != nil {
				return
			}
			if m.GetRenewed() != nil {
				l.down <- m
			}
		}
	}()
	return l, nil
}

func readDown(r io.Reader) (*feedv1.Down, error) {
	msg, err := frame.ReadMsg(r, nil, frame.MaxMessage)
	if err != nil {
		return nil, err
	}
	m := &feedv1.Down{}
	return m, proto.Unmarshal(msg, m)
}

// promise is ten times the second within which a removal acts.
const promise = 10 * time.Second

func (s *site) ends(what string, l *link) {
	s.t.Helper()
	begin := time.Now()
	select {
	case <-l.ended:
		s.t.Logf("%s: the open connection ended after %v", what, time.Since(begin).Round(time.Millisecond))
	case <-time.After(promise):
		s.t.Fatalf("%s: the connection is still open after %v", what, promise)
	}
}

// TestAStolenDirectoryStaysOut: when another machine has the name, and when the node was
// removed; on a connection that is open, and on a new one.
func TestAStolenDirectoryStaysOut(t *testing.T) {
	s, n := begin(t)
	stolen := s.joinEdge(n, "e1")
	open, err := s.dialFeed(n, stolen)
	if err != nil {
		t.Fatal(err)
	}
	again := s.joinEdge(n, "e1")
	s.ends("enrolled again", open)
	if _, err := s.dialFeed(n, stolen); err == nil {
		t.Error("the machine that had the name before is let in")
	}
	if open, err = s.dialFeed(n, again); err != nil {
		t.Fatal(err)
	}
	node, revision, err := n.core.recorded("e1")
	if err != nil || node == nil {
		t.Fatal(err)
	}
	remove := &statev1.Transaction{Origin: &statev1.Origin{Who: "test"}, Ops: append(cluster.Deny(node, time.Now()),
		&statev1.Op{Op: &statev1.Op_DeleteResource{DeleteResource: &statev1.Ref{Kind: nodeKind, Name: node.Name}}})}
	if _, err := n.core.log.Propose(t.Context(), remove); err != nil {
		t.Fatal(err)
	}
	s.ends("removed", open)
	if _, err := s.dialFeed(n, again); err == nil {
		t.Error("a removed node is let in")
	}
	// Whatever brings the resource back, the machine stays out.
	back := &statev1.Transaction{Origin: &statev1.Origin{Who: "test"}}
	if err := putNode(back, node, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := n.core.log.Propose(t.Context(), back); err != nil {
		t.Fatal(err, revision)
	}
	if _, err := s.dialFeed(n, again); err == nil {
		t.Error("a removed node whose resource came back is let in")
	}
}

// TestARenewalKeepsItsNames: what the request wishes is not certified, and the old key is
// good until the new one is used.
func TestARenewalKeepsItsNames(t *testing.T) {
	s, n := begin(t)
	old := s.joinEdge(n, "e1", "e1.example.net")
	l, err := s.dialFeed(n, old)
	if err != nil {
		t.Fatal(err)
	}
	key, csr, err := ca.NewRequest([]string{"api.example.net", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	renew := &feedv1.Up{Message: &feedv1.Up_Renew{Renew: &feedv1.Renew{CertificateRequest: csr}}}
	if _, err := frame.WriteMsg(l, nil, renew); err != nil {
		t.Fatal(err)
	}
	r := (<-l.down).GetRenewed()
	if len(r.GetCertificates()) == 0 {
		t.Fatal(r)
	}
	leaf, err := x509.ParseCertificate(r.GetCertificates()[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := ca.Hosts(leaf); !slices.Equal(got, []string{"e1.example.net"}) {
		t.Errorf("renewed for %q", got)
	}
	if _, err := s.dialFeed(n, old); err != nil {
		t.Errorf("the old key before the new one was used: %v", err)
	}
	path := filepath.Join(t.TempDir(), "node.pem")
	if err := ca.Save(path, key, leaf.Raw, [][]byte{old.Authorities()[0].Raw}); err != nil {
		t.Fatal(err)
	}
	renewed, err := ca.LoadCredentials(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.dialFeed(n, renewed); err != nil {
		t.Fatal(err)
	}
	s.ends("renewed", l)
	if _, err := s.dialFeed(n, old); err == nil {
		t.Error("the old key is good after the new one was used")
	}
}

// TestATokenIsNotUsedUpByWhatIsRefused: and no node stays of it.
func TestATokenIsNotUsedUpByWhatIsRefused(t *testing.T) {
	s, n := begin(t)
	token := s.token(n, "e1", ca.Edge, "e1.example.net")
	for what, refused := range map[string]struct {
		role  string
		hosts []string
	}{
		"the wrong verb":             {ca.Control, nil},
		"a name of the API":          {ca.Edge, []string{"127.0.0.1"}},
		"one more than it states":    {ca.Edge, []string{"e1.example.net", "e2.example.net"}},
		"the wrong verb and a name":  {ca.Control, []string{"api.example.net"}},
		"an older machine's wishes ": {"", []string{"api.example.net"}},
	} {
		r, _ := s.joinRequest(token, refused.role, refused.hosts...)
		if _, err := n.Join(t.Context(), r, ""); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", what, err)
		}
		if node, _, err := n.core.recorded("e1"); err != nil || node != nil {
			t.Errorf("%s left a node: %v, %v", what, node, err)
		}
	}
	r, _ := s.joinRequest(token, ca.Edge, "e1.example.net")
	if _, err := n.Join(t.Context(), r, ""); err != nil {
		t.Fatalf("the token was used up: %v", err)
	}
	for name, role := range map[string]string{"c1": ca.Edge, "e1": ca.Control} {
		if _, err := n.CreateJoinToken(t.Context(), &clusterv1.CreateJoinTokenRequest{Node: name, Role: role},
			&statev1.Origin{}); !errs.Is(err, errs.Conflict) {
			t.Errorf("a token for %s %s, a name that is taken: %v", role, name, err)
		}
	}
}

// TestARemovedControlNodeIsOut: by whatever it was called. It proposes nothing, and is no
// member after a restart.
func TestARemovedControlNodeIsOut(t *testing.T) {
	s, n := begin(t)
	cfg := s.config("c2")
	host, _, _ := net.SplitHostPort(cfg.API[0])
	err := Enrol(t.Context(), cfg.Dir, s.token(n, "c2", ca.Control, host), n.apiAddr, []string{host})
	if err != nil {
		t.Fatal(err)
	}
	second, stop := s.run(cfg)
	<-second.Ready()
	members := func() []*clusterv1.Member {
		r, err := n.ListMembers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r.Members
	}
	wait := func(what string, ok func() bool) {
		t.Helper()
		for begin := time.Now(); !ok(); {
			if time.Since(begin) > time.Minute {
				t.Fatal(what)
			}
			pause(t.Context(), 20*time.Millisecond)
		}
	}
	wait("c2 has no vote", func() bool {
		m := members()
		return len(m) == 2 && m[1].Suffrage == "voter" && m[1].Name == "c2"
	})
	id := members()[1].Id
	if err := n.RemoveMember(t.Context(), id, &statev1.Origin{}); err != nil {
		t.Fatal(err)
	}
	if m := members(); len(m) != 1 {
		t.Fatalf("members after the removal: %v", m)
	}
	if node, _, err := n.core.recorded("c2"); err != nil || node != nil || n.members()["c2"] != nil {
		t.Fatalf("the removal left %v, %v, %v", node, n.members()["c2"], err)
	}
	tx, err := proto.Marshal(
		&statev1.ProposeRequest{Transaction: &statev1.Transaction{Origin: &statev1.Origin{Who: "forged"}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"state/propose", callTransfer, callEnter, callRemove} {
		for begin := time.Now(); ; { // on the open connection, which has the promise's time to end, and on new ones
			if _, err = second.core.node.Call(t.Context(), n.core.node.Addr(), method, tx); err != nil &&
				!errs.Is(err, errs.Invalid) {
				break
			}
			if time.Since(begin) > promise {
				t.Fatalf("a removed control node still calls %s", method)
			}
		}
	}
	for begin := time.Now(); second.inContact(t.Context()) == nil; pause(t.Context(), 20*time.Millisecond) {
		if time.Since(begin) > 10*contactTime {
			t.Fatal("a removed control node still takes credentials")
		}
	}
	const status = "/dark.cluster.v1.ClusterService/GetStatus"
	if _, err := second.api.Invoke(t.Context(), status, "x", "", "", nil); !errs.Is(err, errs.Unavailable) ||
		!strings.Contains(err.Error(), "removed") {
		t.Errorf("a credential at a removed control node: %v", err)
	}
	if err := second.Well(); err == nil || !strings.Contains(err.Error(), "removed") {
		t.Errorf("/readyz of a removed control node: %v", err)
	}
	stop()
	again, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- again.Run(ctx) }()
	if _, err := again.core.node.Call(t.Context(), n.core.node.Addr(), callEnter, nil); err == nil {
		t.Error("it entered again")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if m := members(); len(m) != 1 {
		t.Fatalf("members after it started again: %v", m)
	}
}
