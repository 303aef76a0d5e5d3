package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge/listen"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/preauth"
)

const (
	s3Header = 10 * time.Second // for a request's header
	s3Idle   = 2 * time.Minute  // between requests
	s3Drain  = 10 * time.Second // for requests to end when the node goes

	// s3HeaderBytes: keys have 1,024 octets, metadata 2 KiB, and signatures sign long lists.
	s3HeaderBytes = 64 << 10

	// s3Connections is the most at a time; further ones are closed at once.
	s3Connections = 16 << 10
)

// s3Unauthenticated bounds the connections whose callers are not known: those that have
// asked nothing yet, whose requests were refused, or that wait for their next request. One
// source has a quarter. Sources that authenticated are remembered and counted apart.
var s3Unauthenticated = preauth.Limits{Total: 4096, PerSource: 1024, Deadline: s3Idle, Known: 8192}

// s3Server is the S3 endpoint of a node: the store, the keys that open it, and the
// handler. erasing guards what is to be erased.
type s3Server struct {
	c       *Config
	machine *keyring.Machine
	keys    *storageKeys
	store   *store.Store
	handler *s3.Handler
	lastDay atomic.Int32 // of the signing keys that end first; 0: there are none
	log     *os.File     // of requests; nil: none
	doors   preauth.Doors
	shreds  uint64 // of the view whose buckets' times were told to the store

	erasing struct {
		sync.Mutex
		all  []store.ID // of the view
		news chan struct{}
	}
}

// newS3 opens the store below the node's directory. The keys come with the configuration.
func newS3(c *Config, log *os.File) (*s3Server, error) {
	machine, err := machineKey(c.Dir)
	if err != nil {
		return nil, err
	}
	disk, err := loadDiskKey(c.Dir, machine)
	if err != nil {
		return nil, err
	}
	s := &s3Server{c: c, machine: machine, keys: newStorageKeys(), log: log}
	s.erasing.news = make(chan struct{}, 1)
	s.store, err = store.Open(store.Options{
		Dir: filepath.Join(c.Dir, dirStore), Cell: c.Name, Keys: s.keys, DiskKey: disk, Clock: c.Clock,
		Logger: c.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	var line func([]byte)
	if log != nil {
		line = s.logLine
	}
	s.handler = s3.New(s3.Config{
		RequestLog: line,
		Store:      s.store, Control: s, Denied: func(subject string) bool { return c.node.Denied(subject) },
		Domains: c.S3Domains, Clock: c.Clock, Logger: c.Logger,
	})
	return s, nil
}

// openS3Log opens the file that lines of requests are appended to; nil when there is none.
func (c *Config) openS3Log() (*os.File, error) {
	if c.S3Log == "" {
		return nil, nil
	}
	f, err := os.OpenFile(c.S3Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the log of S3 requests: %w", err)
	}
	return f, nil
}

// dirStore is where an edge's store is, below its directory.
const dirStore = "store"

// plainS3 refuses to speak HTTP in clear to anyone but this machine.
func (c *Config) plainS3() error {
	if c.S3TLS != nil {
		return nil
	}
	for _, a := range c.S3 {
		at, err := netip.ParseAddrPort(a)
		if err == nil && !at.Addr().IsLoopback() {
			return fmt.Errorf("S3 on %s needs TLS: HTTP in clear is for loopback addresses only", a)
		}
	}
	return nil
}

// part serves S3 over HTTP/1.1 on TCP.
func (s *s3Server) part() Part {
	return Part{
		Service: kind.Service{
			Name: "s3", Kinds: []string{kindStorage, kindBucket, kindKeys, kindAccessKey, kindErased},
			Compile: s.compileStorage, Swap: s.swap,
		},
		Listen: listen.Options{Service: "S3", Addresses: s.c.S3, TCP: 1},
		Serve:  s.serve, Close: s.close, Metrics: s3Metrics{s, s.c.MetricNames}, Storage: s.stats, Ends: s.ends,
		Local: s.local, Ready: s.store.Ready,
	}
}

// swap publishes a view: first the keys, so that no bucket is there without them.
func (s *s3Server) swap(next any) {
	v := next.(*storageView)
	s.keys.set(&v.keys)
	s.handler.Swap(v.s3)
	s.lastDay.Store(v.first)
	if err := shareDiskKey(s.c.Dir, s.machine, v.recovery); err != nil {
		s.c.Logger.Warn("the disk key is not sealed to the recovery key yet", "error", err)
	}
	s.erasing.Lock()
	defer s.erasing.Unlock()
	s.erasing.all = v.erased
	s.shred(v)
	select {
	case s.erasing.news <- struct{}{}:
	default:
	}
}

// ends is when the first access key has no signing key any more: after its last UTC day.
func (s *s3Server) ends() time.Time {
	day := s.lastDay.Load()
	if day == 0 {
		return time.Time{}
	}
	return time.Unix((int64(day)+1)*86400, 0)
}

// serve answers until ctx ends, and then until what had begun is done.
func (s *s3Server) serve(ctx context.Context, g *listen.Group) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { s.erase(ctx) })
	beside.Go(func() { s.expire(ctx) })
	beside.Go(func() { s.scrub(ctx) })
	return s.c.answerS3(ctx, g, s.handler, &s.doors)
}

// answerS3 has a handler answer until ctx ends, and then until what had begun is done.
func (c *Config) answerS3(ctx context.Context, g *listen.Group, handler http.Handler, doors *preauth.Doors) error {
	h := c.serverS3(handler)
	failed := make(chan error, len(g.TCP()))
	var listening sync.WaitGroup
	defer listening.Wait()
	for _, l := range g.TCP() {
		listening.Go(func() { failed <- c.listenS3(h, doors.Listen(l, s3Unauthenticated)) })
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), s3Drain)
	defer stop()
	if derr := h.Shutdown(drain); derr != nil {
		err = errors.Join(err, h.Close())
	}
	return err
}

func (c *Config) serverS3(handler http.Handler) *http.Server {
	var connections atomic.Int64
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return &http.Server{
		Handler: handler, Protocols: p, TLSConfig: c.S3TLS, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: s3Header, IdleTimeout: s3Idle, MaxHeaderBytes: s3HeaderBytes,
		ConnContext: s3.ConnContext,
		ConnState: func(conn net.Conn, s http.ConnState) {
			switch s {
			case http.StateIdle: // the next request says anew who asks
				if p := preauth.Of(conn); p != nil {
					p.Unauthenticated()
				}
			case http.StateNew:
				if connections.Add(1) > s3Connections {
					conn.Close()
				}
			case http.StateClosed, http.StateHijacked:
				connections.Add(-1)
			}
		},
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
}

func (c *Config) listenS3(h *http.Server, l net.Listener) error {
	var err error
	if c.S3TLS != nil {
		err = h.ServeTLS(l, "", "")
	} else {
		err = h.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// eraseAgain is when erasing is tried again after it failed.
const eraseAgain = 30 * time.Second

// erase erases the spaces of deleted buckets, each until it succeeds. After a start it
// goes over all that the control plane still tells of; the store knows which it has.
func (s *s3Server) erase(ctx context.Context) {
	done := 0
	for {
		s.erasing.Lock()
		due := s.erasing.all[min(done, len(s.erasing.all)):]
		s.erasing.Unlock()
		again := (<-chan time.Time)(nil)
		for _, id := range due {
			if err := s.store.Erase(ctx, id); err != nil {
				s.c.Logger.Error("erase a deleted bucket", "space", fmt.Sprintf("%x", id), "err", err)
				again = time.After(eraseAgain)
				break
			}
			done++
		}
		select {
		case <-s.erasing.news:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// close ends the handler, and then the store.
func (s *s3Server) close() error {
	s.keys.done()
	s.handler.Close()
	err := s.store.Close()
	if s.log != nil {
		err = errors.Join(err, s.log.Close())
	}
	return err
}

// logLine appends a line of the request log.
func (s *s3Server) logLine(line []byte) {
	if _, err := s.log.Write(line); err != nil {
		s.c.Logger.Warn("write the log of S3 requests", "err", err)
	}
}
