package s3

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Store is where objects are kept: an edge's store, or what reaches a cell's. Of a space,
// the endpoint uses Write, Adopt, Commit, Get, Scan, Read and Usage.
type Store interface {
	At(store.Placement) (*store.Space, error)
}

// Control writes buckets upward. Each call returns when this edge's own view has the
// change, so that a client reads what it wrote. Errors have the kinds of internal/errs:
// Conflict where somebody was first or the name is taken, Unavailable where no control
// node answers.
type Control interface {
	// CreateBucket makes a bucket for an organization. proof shows that the user asked.
	CreateBucket(ctx context.Context, proof, organization string, b *storagev1.Bucket) error
	// UpdateBucket changes the bucket's spec; its etag must be current.
	UpdateBucket(ctx context.Context, proof, organization string, b *storagev1.Bucket) error
	// DeleteBucket ends a bucket.
	DeleteBucket(ctx context.Context, proof, organization, name string) error
}

// Config is what a Handler works with.
type Config struct {
	Store   Store
	Control Control
	// Denied says whether a subject ("accesskey:ID") was denied; it is asked for each
	// request and must answer from memory. nil denies none.
	Denied func(subject string) bool
	// Domains are base domains: a request to BUCKET.DOMAIN is for that bucket.
	Domains []string
	Clock   clock.Clock
	// Logger gets what went wrong here (5xx); nil: none.
	Logger *slog.Logger
	// RequestLog takes lines of JSON, one a request of buckets that keep a log; nil: none.
	// It is called by one goroutine.
	RequestLog func(line []byte)
	// PlainKeys accepts SSE-C over plain HTTP from anywhere, not from loopback alone: where
	// TLS ends in front of the endpoint.
	PlainKeys bool
	Limits    Limits
}

// Limits bound what clients may make the endpoint do; zero fields are defaults.
type Limits struct {
	InFlight  int           // requests of known callers at a time; 0: 4,096
	Stall     time.Duration // how long a client may not send or take an octet; 0: 30 s
	LeastRate int           // octets a second that a client must move, averaged over Stall; 0: 1,024
	Document  int           // octets of a request's XML or JSON; 0: 20 KiB to 4 MiB, as each kind needs
	Documents int           // octets of all requests' XML and JSON that are held at a time; 0: 8 MiB or more, by memory
	Working   int           // documents over 16 KiB that are worked on at a time; 0: 2
	Rows      int           // rows of objects that are read and described at a time; 0: 64
	Bodies    int           // bodies over 16 KiB that are taken at a time; 0: 256 or more, by memory
	Backlog   int           // lines of the request log that may wait; 0: 8,192
	Courtesy  int           // refused bodies that are read at a time, so that their senders hear why; 0: 128
}

// bodyBuffers are the most octets that a body on its way into the store holds.
const bodyBuffers = 350 << 10

func (l Limits) orDefaults() Limits {
	if l.InFlight == 0 {
		l.InFlight = 4096
	}
	if l.Stall == 0 {
		l.Stall = 30 * time.Second
	}
	memory := debug.SetMemoryLimit(-1) // what the process was told to keep to
	if l.Documents == 0 {
		l.Documents = int(min(max(memory/64, 8<<20), 256<<20))
	}
	if l.Working == 0 {
		l.Working = 2
	}
	if l.Rows == 0 {
		l.Rows = 64
	}
	if l.Bodies == 0 {
		l.Bodies = int(min(max(memory/16/bodyBuffers, 256), int64(l.InFlight)))
	}
	if l.Backlog == 0 {
		l.Backlog = 8192
	}
	if l.LeastRate == 0 {
		l.LeastRate = 1 << 10
	}
	if l.Courtesy == 0 {
		l.Courtesy = 128
	}
	return l
}

// Handler is the S3 endpoint. Make it with New; all its methods may be called by any
// goroutine.
type Handler struct {
	config  Config
	hosts   sigv4.Hosts
	view    atomic.Pointer[View]
	serial  atomic.Uint64
	salt    uint64
	slots   *slots
	total   totals
	bounds  bounds
	closing sync.Map // identities of the buckets whose deletion is under way
	log     *requestLog
}

// New returns a handler that answers from an empty view until Swap. Close it.
func New(c Config) *Handler {
	if c.Denied == nil {
		c.Denied = func(string) bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.orDefaults()
	h := &Handler{
		config: c, hosts: sigv4.NewHosts(c.Domains...),
		bounds: newBounds(c.Limits), slots: newSlots(c.Limits.InFlight),
	}
	var salt [8]byte
	_, _ = rand.Read(salt[:]) // never fails
	h.salt = binary.BigEndian.Uint64(salt[:])
	h.view.Store(NewView())
	h.log = startLog(c.RequestLog, c.Limits.Backlog)
	return h
}

// Close ends the request log when all its lines are out. Requests must have ended.
func (h *Handler) Close() { h.log.close() }

// Swap makes a view the one that requests are answered from.
func (h *Handler) Swap(v *View) { h.view.Store(v) }

// View is the one that requests are answered from.
func (h *Handler) View() *View { return h.view.Load() }

// ServeHTTP answers one request. It implements http.Handler and must not stand behind a
// ServeMux, which would clean paths.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := h.begin(w, r)
	defer q.end()
	err := q.serve()
	q.unbound()
	if err != nil {
		err = q.closed(err)
	}
	q.leave() // what follows waits for nobody else
	if err != nil {
		q.refuse(err)
	}
	q.count()
	q.drain()
}

// serve is the list of a request's stages. Nothing is held for it before admit.
func (q *request) serve() error {
	for _, stage := range stages {
		if err := stage(q); err != nil {
			return err
		}
	}
	return q.op.run(q)
}

var stages = []func(*request) error{
	(*request).parse, (*request).authenticate, (*request).admit, (*request).authorize, (*request).checkPromises,
	(*request).bound,
}

// verifier verifies signatures with the view's keys.
func (v *View) verifier(denied func(string) bool, now time.Time) signature.Verifier {
	return signature.Verifier{Region: v.region, Aliases: v.aliases, Keys: func(id string, day int32,
		region string,
	) ([32]byte, signature.KeyState) {
		k, ok := v.keys.get(id)
		if !ok || k.Expires != 0 && now.Unix() >= k.Expires || denied("accesskey:"+id) {
			return [32]byte{}, signature.KeyUnknown
		}
		key, ok := k.signingKey(day, region)
		if !ok {
			return key, signature.KeyAbsent
		}
		return key, signature.KeyFound
	}}
}

// interrupted says whether an error is the client's going away.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, http.ErrAbortHandler)
}
