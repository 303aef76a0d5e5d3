// Package config is what an edge has been told: it follows the feed of any control
// node, verifies every frame, keeps what is published in two generations on disk, and
// hands cuts of it to the view (design: feed.md). It starts and serves without any
// control node.
//
// One goroutine, that of Run, owns the streams' positions, the publishing keys and what
// is pending; before Run it is Open's caller. The deny set, the revision and the status
// may be read from anywhere; Submit may be called from anywhere.
package config

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/diskroom"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/obs"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Options of a Config; the first group is required.
type Options struct {
	// Dir is where it is kept.
	Dir string
	// Cluster id that this edge belongs to.
	Cluster string
	// Pinned is the publishing key learnt at the join.
	Pinned ed25519.PublicKey
	// TLS returns the configuration of each new connection: this node's certificate and
	// the CA of control nodes.
	TLS func() (*tls.Config, error)
	// Peer judges a control node's certificate by the deny set, at each connection and when
	// entries arrive; nil: TLS alone judges.
	Peer func(c *x509.Certificate, denied func(subject string) bool) error

	// Self is who this edge is, by its present certificate: grants for others are not its own.
	Self func() ca.Name

	// Feeds are addresses (host:port) of control nodes, beside those in the records.
	Feeds []string
	// Version of this program.
	Version string
	// Kinds that this edge compiles.
	Kinds []string
	// Certificate returns this node's own, by which it is renewed; nil: never.
	Certificate func() *x509.Certificate
	// Request makes a new key and a PKCS #10 request for it, DER.
	Request func() ([]byte, error)
	// Install keeps the certificate made for the last request, leaf first, and uses it.
	Install func(chain [][]byte) error

	// Zones yields the counts of zones since the start, of which the control plane is
	// told the busiest; nil: none.
	Zones iter.Seq[*feedv1.ZoneStats]
	// Storage returns what is said of the store, with all its buckets; nil, or a nil
	// answer: nothing.
	Storage func() *storagev1.StorageStats
	// Ends is when the first of the keys that services were given ends, the zero time for
	// never; nil: there are none.
	Ends func() time.Time

	FS    vfs.FS // the disk when nil
	Dial  func(ctx context.Context, address string) (net.Conn, error)
	Log   *slog.Logger
	Clock clock.Clock
	Times
}

// Times bound waiting. A zero field has its default.
type Times struct {
	Connect time.Duration // dialling, TLS and Welcome: 10 s
	Silence time.Duration // a control node silent for so long is gone: 20 s
	Ack     time.Duration // between acks when nothing happens: 5 s
	Retry   time.Duration // before connecting again at first: 100 ms, with jitter
	RetryAt time.Duration // and at most: 5 s
	Submit  time.Duration // Submit waits for the own view: 2 s
	Contact time.Duration // between writings of the last contact's time: 1 min
}

// dialTimeout is short, as the next address may be one that answers.
const dialTimeout = 2 * time.Second

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (o *Options) fill() {
	orElse(&o.Connect, 10*time.Second)
	orElse(&o.Silence, 20*time.Second)
	orElse(&o.Ack, 5*time.Second)
	orElse(&o.Retry, 100*time.Millisecond)
	orElse(&o.RetryAt, 5*time.Second)
	orElse(&o.Submit, 2*time.Second)
	orElse(&o.Contact, time.Minute)
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		d := net.Dialer{Timeout: dialTimeout}
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", address)
		}
	}
}

// Sink takes cuts of the configuration; view.View is one.
type Sink interface {
	// Apply makes changes active.
	Apply(revision uint64, changes []view.Change) []view.Refusal
	// Replace makes changes active and everything that was before them end.
	Replace(revision uint64, changes []view.Change) []view.Refusal
}

// Config is one edge's configuration.
type Config struct {
	o     Options
	disk  *diskroom.Disk
	store *store
	began time.Time // since when Zones are counted

	// Owned by the follower.
	streams    map[string]*stream
	keys       frame.Keys
	keyRecords map[[8]byte]*feedv1.PublishingKey
	epoch      uint64
	feeds      map[string]string
	granted    granted
	pending    pending
	noted      time.Time // when the contact was written last
	purged     time.Time
	next       int         // address to try
	told       *obs.Sparse // what the log says once a minute
	early      []view.Refusal
	leftover   map[string]bool // streams with records of an unfinished snapshot
	replace    bool            // the next cut has everything: both generations were damaged

	deny     denySet
	revision atomic.Uint64 // cut and active
	contact  atomic.Int64  // Unix nanoseconds
	sessions tls.ClientSessionCache

	mu struct {
		sync.Mutex
		session *session
		refused map[string]uint64
		cut     chan struct{} // closed and replaced at each cut
	}
}

// Open reads the configuration in o.Dir, or begins one, and returns it with everything
// that a view needs: one change for each record. Where both generations are damaged there
// is none, and Lost says so until a control node has told everything again.
func Open(o Options) (*Config, []view.Change, error) {
	if o.Dir == "" || o.Cluster == "" || len(o.Pinned) != ed25519.PublicKeySize || o.TLS == nil || o.Self == nil {
		return nil, nil, errors.New("config: Dir, Cluster, Pinned, TLS and Self are required")
	}
	o.fill()
	disk := diskroom.New(o.FS, o.Dir, 0)
	disk.Measure()
	var all *content
	st, err := openStore(disk, o.FS.PathJoin(o.Dir, subdir), o.Log, func(db *pebble.DB) (err error) {
		all, err = load(db)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	if all == nil { // begun just now
		all = &content{streams: map[string]*stream{}, keys: map[[8]byte]*feedv1.PublishingKey{}}
	}
	c := &Config{o: o, disk: disk, store: st, began: o.Clock.Now(), told: obs.NewSparse()}
	c.sessions = newSessionCache()
	c.mu.refused = map[string]uint64{}
	c.mu.cut = make(chan struct{})
	c.next = rand.IntN(1 << 16)
	c.adopt(all)
	if all.revision == 0 && st.hasAside() {
		st.lost.Store(true)
	}
	if !st.readOnly {
		if err := c.tidy(); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("configuration: %w", err), st.close())
		}
	}
	return c, all.changes, nil
}

// adopt takes over what was read.
func (c *Config) adopt(all *content) {
	c.streams, c.keyRecords, c.epoch, c.feeds, c.leftover = all.streams, all.keys, all.epoch, all.feeds, all.leftover
	c.granted = all.granted
	c.keys = frame.NewKeys(frame.Key{Public: c.o.Pinned})
	for _, rec := range all.keys {
		c.keys = c.keys.With(keyOf(rec))
	}
	c.deny.load(all.deny)
	c.revision.Store(all.revision)
	c.contact.Store(all.contact)
}

// tidy makes the ballast and removes what an unfinished snapshot left.
func (c *Config) tidy() error {
	if err := c.disk.Restock(); err != nil {
		c.o.Log.Warn("config: disk", "error", err)
	}
	if c.revision.Load() > 0 {
		if err := c.store.found(); err != nil {
			c.o.Log.Warn("config: remove the damaged generations", "error", err)
		}
	}
	leftover := c.leftover
	c.leftover = nil
	for name := range leftover {
		b := c.open()
		from, to := itemsRange(name)
		if st := c.streams[name]; st != nil {
			from = contentPrefix(name, st.content+1)
		}
		if err := b.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	return c.flush()
}

// Close makes both generations complete and closes them. Run has returned before.
func (c *Config) Close() error {
	return errors.Join(c.flush(), c.store.close())
}

// Report adds what a view refused of what Open returned, to be told to the control plane
// with the first ack. It is called before Run.
func (c *Config) Report(refused []view.Refusal) { c.early = refused }

// Denied reports whether a subject (a credential's id) was revoked. It takes no lock.
func (c *Config) Denied(subject string) bool { return c.deny.has(subject) }

// Revision is the one that the view is complete to.
func (c *Config) Revision() uint64 { return c.revision.Load() }

// LastContact is when any control node was heard of, across restarts, to about a minute
// there; the zero time if never.
func (c *Config) LastContact() time.Time {
	n := c.contact.Load()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// Connected reports whether there is a control node at the other end now.
func (c *Config) Connected() bool { return c.current() != nil }

// RefusedFrames counts the frames that were refused since the start, by reason.
func (c *Config) RefusedFrames() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.mu.refused)
}

// DenyEntries is the size of the deny set.
func (c *Config) DenyEntries() int { return c.deny.len() }

// Generations is how many good copies of the configuration are on disk.
func (c *Config) Generations() int { return c.store.good() }

// Disk is how many octets are free, and whether those are too few for the feed to be followed.
func (c *Config) Disk() (free uint64, full bool) {
	free, _ = c.disk.Avail()
	return free, c.store.full()
}

// Lost reports whether both generations were damaged and nothing was told since.
func (c *Config) Lost() bool { return c.store.lost.Load() }

// Damages counts the generations that were found damaged since the start.
func (c *Config) Damages() uint64 { return c.store.damages.Load() }

func (c *Config) current() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.session
}

// refuse counts a refused frame.
func (c *Config) refuse(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.refused[reason]++
}

// heard notes that a control node was heard of, in memory always and on disk at times.
func (c *Config) heard() {
	now := c.o.Clock.Now()
	c.contact.Store(now.UnixNano())
	if since := now.Sub(c.noted); since >= 0 && since < c.o.Contact {
		return
	}
	c.noted = now
	if err := c.store.note(keyContact, number(uint64(now.UnixNano()))); err != nil {
		c.o.Log.Warn("config: the time of the last contact was not written", "error", err)
	}
}
