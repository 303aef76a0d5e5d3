// Package controlplane is a control node: it decides, with the others, what should be
// true, and tells the edges. node.go wires it:
//
//	request → api → admit → state.Log → consensus → state → publisher → feed → edges
//
// A Node owns its goroutines; each ends when Run's context does.
package controlplane

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/domains"
	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// FeatureLevel is the level of features that this program's Apply knows.
const FeatureLevel = state.LevelTombstones

// Config is what a control node needs.
type Config struct {
	Dir       string
	Transport string   // host:port for other control nodes
	Feed      string   // host:port for edges
	API       []string // host:port, one or more
	// Insecure: the API speaks HTTP in clear; for loopback only.
	Insecure bool
	// Socket is the path of the break-glass socket; empty means DIR/control.sock.
	Socket string
	// Kinds makes the list of kinds and of their extra methods; it is given the node, of
	// which the kind of machines asks for their status.
	Kinds func(*Node) ([]api.Registration, []api.Extra)
	// NameServers are this installation's own, as delegations name them.
	NameServers []string
	Resolver    domains.Resolver // nil: the system's
	Timing      consensus.Timing
	Clock       clock.Clock
	Logger      *slog.Logger
	Registry    prometheus.Registerer
	Version     string

	registrations []api.Registration
}

func (c *Config) kinds() []*kind.Kind {
	out := make([]*kind.Kind, len(c.registrations))
	for i, r := range c.registrations {
		out[i] = r.Kind
	}
	return out
}

// shown is the name that people know a stored resource by.
func (c *Config) shown(ref *statev1.Ref) string {
	for _, r := range c.registrations {
		if r.Kind.FullName() == ref.Kind {
			return r.Kind.Shown(ref.Name)
		}
	}
	return ref.Name
}

// Node is a running control node.
type Node struct {
	cfg  Config
	core *core
	keys *clusterKeys
	api  *api.Server
	feed *feed.Server

	epoch    uint64
	feedAddr string
	apiAddr  string
	status   statusCache
	seen     seen
	contact  contact
	metrics  *metrics         // nil where nobody asks for them
	storage  *storage.Storage // nil where the program has none
	wake     chan struct{}    // the publisher

	apiListeners []net.Listener
	feedListener net.Listener
	ready        chan struct{}
}

// New opens a control node and its listeners; Run serves.
func New(cfg Config) (_ *Node, err error) {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Socket == "" {
		cfg.Socket = filepath.Join(cfg.Dir, "control.sock")
	}
	n := &Node{cfg: cfg, ready: make(chan struct{}), wake: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if _, err := ReadSelf(cfg.Dir); err != nil {
		return nil, NoSelf(cfg.Dir, err) // before an address in use is blamed
	}
	if err := n.listen(); err != nil {
		return nil, err
	}
	fsync := newFsync()
	n.core, err = openCore(coreConfig{
		dir: cfg.Dir, listen: cfg.Transport, advertise: cfg.Transport, timing: cfg.Timing, clock: cfg.Clock,
		logger: cfg.Logger,
		synced: func(took time.Duration) { fsync.Observe(took.Seconds()) },
	})
	if err != nil {
		return nil, err
	}
	if err = n.count(fsync); err != nil {
		return nil, err
	}
	n.core.node.Handle(callEnter, n.admitMember)
	n.core.node.Handle(callStatus, n.serveStatus)
	n.core.node.Handle(callZones, n.serveZones)
	n.core.node.Handle(callStorage, n.serveStorage)
	n.core.node.Handle(callRemove, n.serveRemove)
	n.core.node.Handle(callTransfer, n.serveTransfer)
	return n, nil
}

func (n *Node) listen() error {
	for _, addr := range n.cfg.API {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("listen for the API on %s: %w", addr, err)
		}
		n.apiListeners = append(n.apiListeners, l)
	}
	if len(n.apiListeners) == 0 {
		return errors.New("no address for the API")
	}
	var err error
	if n.feedListener, err = net.Listen("tcp", n.cfg.Feed); err != nil {
		return fmt.Errorf("listen for edges on %s: %w", n.cfg.Feed, err)
	}
	n.apiAddr, n.feedAddr = n.apiListeners[0].Addr().String(), n.feedListener.Addr().String()
	return nil
}

// Run serves until ctx ends, then hands leadership over, drains and closes.
func (n *Node) Run(ctx context.Context) error {
	defer func() {
		if err := n.close(); err != nil {
			n.cfg.Logger.Error("close", "err", err)
		}
	}()
	if err := n.enter(ctx, n.through()); err != nil {
		return stopped(ctx, err)
	}
	if err := n.waitRecord(ctx); err != nil {
		return stopped(ctx, err)
	}
	if err := n.build(); err != nil {
		return err
	}
	return n.serve(ctx)
}

// stopped: what ends because ctx did ended as it should.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = nil
	}
	return err
}

// through lists the members that may add this node, as it was told when it joined.
func (n *Node) through() []string {
	var out []string
	for _, addr := range readMembers(n.cfg.Dir) {
		out = append(out, addr)
	}
	return out
}

// waitRecord waits until the entry that began the cluster has reached this member.
func (n *Node) waitRecord(ctx context.Context) error {
	for {
		at := n.core.store.Revision() // first: what arrives after it ends the wait
		keys, err := n.core.openCluster()
		if err == nil {
			n.keys, n.epoch = keys, keys.Epoch
			return nil
		}
		if !errors.Is(err, errNoRecord) {
			return err
		}
		if err := n.core.store.WaitRevision(ctx, at); err != nil {
			return err
		}
	}
}

// build makes the servers that need the cluster's keys.
func (n *Node) build() error {
	st := stateReader{n.core.store}
	list, extras := n.cfg.Kinds(n)
	n.cfg.registrations = list
	auth := &identity.Authenticator{
		State: st, Pepper: n.core.root.Key(keyring.Pepper), Clock: n.cfg.Clock,
		Current: n.core.log.Current,
	}
	if n.storage != nil {
		auth.AccessKeys = identity.AccessKeys{
			Secret: n.storage.Secret, Regions: n.storage.Regions(), Hosts: n.storage.Hosts(),
		}
		auth.AccessKeys.Allow, auth.AccessKeys.Asked = n.storage.Signed()
	}
	opts := api.Options{
		State: st, Proposer: proposer{n.core.log}, Auth: auth, Kinds: list, Extras: extras, Cluster: (*clusterHooks)(n),
		TokenKey: n.core.root.Key("page tokens"), Clock: n.cfg.Clock, Log: n.cfg.Logger, Version: n.cfg.Version,
		Registry: n.cfg.Registry, Ready: n.readyz, Contact: n.inContact,
	}
	var err error
	if n.api, err = api.New(opts); err != nil {
		return err
	}
	n.feed, err = feed.New(feed.Options{
		Node:   n.core.self.Name,
		Source: &source{store: n.core.store, cluster: n.core.self.ClusterID, epoch: n.epoch},
		Sign: func(f *feedv1.Frame) ([]byte, [32]byte, error) {
			return frame.Seal(n.keys.publishing, f)
		},
		Grant: n.grant, TLS: n.core.creds.TLS, Identify: n.edgePeer, Feeds: n.feeds,
		Submit: n.submit,
		Renew:  n.renew,
		Log:    n.cfg.Logger, Clock: n.cfg.Clock,
	})
	return err
}

// edgePeer admits edges that are known to the feed, and nobody else.
func (n *Node) edgePeer(c *x509.Certificate) (string, error) {
	if n.removed() {
		return "", fmt.Errorf("%w: %w", feed.ErrAway, errRemovedHere)
	}
	name, err := n.core.known(ca.Edge, c)
	return name.Node, err
}

// grant signs which streams an edge gets.
func (n *Node) grant(peer *x509.Certificate, node string, streams []string,
	revision uint64,
) (*feedv1.Subscription, error) {
	name, err := ca.NameOf(peer)
	if err != nil {
		return nil, err
	}
	return frame.SealGrant(n.keys.publishing, &feedv1.Grant{
		Cluster: n.core.self.ClusterID, Epoch: n.epoch, Node: node, Instance: name.Instance,
		Revision: revision, Streams: streams, SignedAt: n.cfg.Clock.Now().UnixNano(),
	})
}

// submit carries out an edge's write as the end user whose token it holds.
func (n *Node) submit(ctx context.Context, node string, s *feedv1.Submit) *feedv1.SubmitResult {
	if err := storage.OwnCell(node, s, n.core.store.Published); err != nil {
		return &feedv1.SubmitResult{Id: s.Id, Failed: true, Refusal: uint32(errs.KindOf(err)), Text: err.Error()}
	}
	resp, err := n.api.Invoke(ctx, s.Method, s.Token, s.Organization, s.From, s.Request)
	if err != nil {
		return &feedv1.SubmitResult{Id: s.Id, Failed: true, Refusal: uint32(errs.KindOf(err)), Text: err.Error()}
	}
	// What was written is at or below the present revision of this member, since the API
	// reads its own write back; the edge waits for it.
	return &feedv1.SubmitResult{Id: s.Id, Response: resp, Revision: n.core.store.LastChange()}
}

func (n *Node) serve(ctx context.Context) error {
	sctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	fail := make(chan error, 8)
	start := func(what string, f func(context.Context) error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f(sctx); err != nil && sctx.Err() == nil {
				fail <- fmt.Errorf("%s: %w", what, err)
			}
		}()
	}
	for _, l := range n.apiListeners {
		start("API", func(ctx context.Context) error {
			if n.cfg.Insecure {
				return n.api.Serve(ctx, l, nil)
			}
			return n.api.Serve(ctx, l, n.core.creds.ServerTLS())
		})
	}
	n.apiListeners = nil // theirs from now on
	start("break-glass socket", func(ctx context.Context) error { return n.api.ServeSocket(ctx, n.cfg.Socket) })
	feedListener := n.feedListener
	n.feedListener = nil
	start("feed", func(ctx context.Context) error { return n.feed.Serve(ctx, feedListener) })
	start("contact", func(ctx context.Context) error { n.watchContact(ctx); return nil })
	start("members", func(ctx context.Context) error { n.watchMembers(ctx); return nil })
	start("disk", func(ctx context.Context) error { n.watchDisk(ctx); return nil })
	start("controllers", func(ctx context.Context) error { n.lead(ctx); return nil })
	start("announce", n.announce)
	start("renewal", n.renewOwn)
	start("own files", func(ctx context.Context) error { watchOwn(ctx, n.cfg.Dir, n.cfg.Logger); return nil })
	start("membership", n.watchNodes)
	start("keys of renewed certificates", n.recordKeys)
	start("use of access keys", n.noteUse)
	close(n.ready)
	n.cfg.Logger.Info("this control node serves", "node", n.core.self.Name, "version", n.cfg.Version, "api", n.apiAddr,
		"feed", n.feedAddr,
		"transport", n.core.node.Addr())
	var err error
	select {
	case <-ctx.Done():
	case err = <-fail:
	}
	n.handOver()
	stop()
	wg.Wait()
	return err
}

// handOver gives leadership to another member, so that nobody waits for an election.
func (n *Node) handOver() {
	if !n.core.group.IsLeader() {
		return
	}
	if members, err := n.core.group.Members(); err != nil || len(members) < 2 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := n.core.group.Transfer(ctx, ""); err != nil {
		n.cfg.Logger.Info("leadership was not handed over: the others elect a leader", "err", err)
	}
}

// renewOwn renews this node's certificate from its twentieth day: it holds the CA's key.
func (n *Node) renewOwn(ctx context.Context) error {
	for {
		if left := n.core.creds.Remaining(n.cfg.Clock.Now()); left < ca.NodeLife-ca.RenewAfter {
			if err := n.renewNow(ctx); err != nil {
				n.cfg.Logger.Error("renew this node's certificate", "err", err, "left", left)
			}
		}
		if !pause(ctx, time.Hour) {
			return nil
		}
	}
}

func (n *Node) renewNow(ctx context.Context) error {
	key, request, err := ca.NewRequest(nil)
	if err != nil {
		return err
	}
	certs, err := n.renew(ctx, n.core.creds.Leaf(), request)
	if err != nil {
		return err
	}
	return n.core.creds.Replace(key, certs[0], n.cfg.Clock.Now())
}

// Ready is closed when the node serves.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// API is the node's API server, once it is ready.
func (n *Node) API() *api.Server { return n.api }

// Well says why the node should get no requests; nil when it serves and knows a leader.
func (n *Node) Well() error {
	select {
	case <-n.ready:
	default:
		return errors.New("the node has not heard from its cluster yet; its log says who does not answer, or refuses " +
			"it")
	}
	if _, _, ok := n.core.group.Leader(); !ok {
		if n.removed() {
			return errRemovedHere
		}
		return errors.New("no control node leads at the moment")
	}
	return nil
}

// readyz: a follower with a full disk is behind, and others are not.
func (n *Node) readyz(context.Context) error {
	if n.diskFull() && !n.core.group.IsLeader() {
		return errors.New("the disk of this control node is full")
	}
	return n.Well()
}

// WaitLeader waits until the cluster has a leader and it is known here.
func (n *Node) WaitLeader(ctx context.Context) error {
	for n.Well() != nil {
		if !pause(ctx, 2*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

func (n *Node) close() error {
	var err error
	if n.metrics != nil {
		n.cfg.Registry.Unregister(n.metrics)
	}
	for _, l := range n.apiListeners {
		err = errors.Join(err, l.Close())
	}
	if n.feedListener != nil {
		err = errors.Join(err, n.feedListener.Close())
	}
	if n.api != nil {
		err = errors.Join(err, n.api.Close())
	}
	if n.core != nil {
		err = errors.Join(err, n.core.close())
		n.core = nil
	}
	return err
}

// origin tells the audit who asks through the API.
func origin(ctx context.Context, method, reason string) *statev1.Origin {
	who, _ := identity.From(ctx)
	return &statev1.Origin{Who: who.Who, From: who.From, Method: method, Reason: reason}
}

// Imports is where imports sort, and whether the disk has room for so many octets more
// beside what the node keeps free.
func (n *Node) Imports() (dir string, room func(octets int64) bool) {
	disk := n.core.disk
	return filepath.Join(n.cfg.Dir, importDir), func(octets int64) bool {
		return !disk.Below(2*disk.Reserve() + octets)
	}
}

// TokenPepper keys the hashes of tokens.
func (n *Node) TokenPepper() []byte { return n.core.root.Key(keyring.Pepper) }
