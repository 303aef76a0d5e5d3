package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/obs"
)

const (
	headerRequestID    = "x-request-id"
	headerOrganization = "dark-organization"
	// headerLocal carries the socket's caller through the gateway, beside a secret that
	// only this process knows.
	headerLocal = "dark-local"
	// headerSubmit carries that secret alone: the call is what an edge submitted.
	headerSubmit = "dark-submit"

	// unaryTime bounds a unary request whose client set no deadline.
	unaryTime = 60 * time.Second
)

// call is one request on its way through the interceptor.
type call struct {
	s      *Server
	method string
	id     string
	start  time.Time
	who    string
	from   string
	local  bool // came by the break-glass socket
}

func (s *Server) unaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	next grpc.UnaryHandler,
) (resp any, err error) {
	c := s.begin(ctx, info.FullMethod)
	_ = grpc.SetHeader(ctx, metadata.Pairs(headerRequestID, c.id))
	defer func() { err = c.end(ctx, err, recover()) }()
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, unaryTime)
		defer cancel()
	}
	if ctx, err = c.authenticate(ctx); err != nil {
		return nil, err
	}
	m, ok := req.(proto.Message)
	if !ok {
		return nil, errs.New(errs.Internal, "%T is no message", req)
	}
	if err := s.allow(ctx, info.FullMethod, m); err != nil {
		return nil, err
	}
	if err := s.valid.request(m, s.resourceField[info.FullMethod]); err != nil {
		return nil, err
	}
	if err := visitOf(ctx).enter(ctx, s.lanes.of(info.FullMethod)); err != nil {
		return nil, err
	}
	if s.lanes.of(info.FullMethod) == s.lanes.lists && !c.local {
		leave, err := s.lanes.computing.enter(ctx, askedOf(ctx).caller)
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	return next(ctx, req)
}

func (s *Server) streamInterceptor(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo,
	next grpc.StreamHandler,
) (err error) {
	ctx := stream.Context()
	v := visitOf(ctx)
	c := s.begin(ctx, info.FullMethod)
	_ = stream.SetHeader(metadata.Pairs(headerRequestID, c.id))
	defer func() { err = c.end(ctx, err, recover()) }()
	if ctx, err = c.authenticate(ctx); err != nil {
		return err
	}
	w := &guarded{ServerStream: stream, ctx: ctx, s: s, method: info.FullMethod}
	if n, ok := s.table[info.FullMethod]; !ok || n.before {
		if err := s.allow(ctx, info.FullMethod, nil); err != nil {
			return err
		}
		w.allowed.Store(true)
	}
	if s.table[info.FullMethod].open {
		return next(srv, w)
	}
	if err := v.enter(ctx, s.lanes.of(info.FullMethod)); err != nil {
		return err
	}
	return s.whileAllowed(w, func() error { return next(srv, w) })
}

// guarded asks for permission with a stream's first message, and validates each.
type guarded struct {
	grpc.ServerStream
	ctx    context.Context
	s      *Server
	method string
	// allowed is set when the caller may make this request, and first is then the
	// message that says so, for methods where it decides.
	allowed atomic.Bool
	first   atomic.Pointer[proto.Message]
}

func (g *guarded) Context() context.Context { return g.ctx }

func (g *guarded) RecvMsg(m any) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return errs.New(errs.Internal, "%T is no message", m)
	}
	visitOf(g.ctx).next()
	d := &decoding{into: msg}
	if err := g.ServerStream.RecvMsg(d); err != nil {
		return err
	}
	if d.err != nil {
		return d.err
	}
	if !g.allowed.Load() {
		if err := g.s.allow(g.ctx, g.method, msg); err != nil {
			return err
		}
		g.first.Store(&msg)
		g.allowed.Store(true)
	}
	return g.s.valid.request(msg, nil)
}

func (s *Server) begin(ctx context.Context, method string) *call {
	md, _ := metadata.FromIncomingContext(ctx)
	id := first(md, headerRequestID)
	if !plainID(id) {
		id = newRequestID()
	}
	_, local := s.local(ctx, md)
	return &call{s: s, method: method, id: id, start: time.Now(), from: from(ctx, md), local: local}
}

func newRequestID() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// plainID keeps what a client calls its request out of the log when it is odd.
func plainID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

func first(md metadata.MD, key string) string {
	if v := md.Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

// from is the client's address. The gateway, which alone comes by the in-process
// listener, appends the address that it saw to X-Forwarded-For.
func from(ctx context.Context, md metadata.MD) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	if inProcess(p.Addr) {
		hops := strings.Split(first(md, "x-forwarded-for"), ",")
		return strings.TrimSpace(hops[len(hops)-1])
	}
	if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
		return host
	}
	return p.Addr.String()
}

func inProcess(a net.Addr) bool { return a != nil && a.Network() == "bufconn" }

// authenticate finds out who calls, unless the method asks for no credential.
func (c *call) authenticate(ctx context.Context) (context.Context, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	a := asked{method: c.method, id: c.id}
	if !c.s.table[c.method].open {
		caller, err := c.s.caller(ctx, md)
		if err != nil {
			return ctx, err
		}
		a.caller = caller
	}
	a.caller.From = c.from
	c.who = a.caller.Who
	return identity.With(context.WithValue(ctx, askedKey{}, a), a.caller), nil
}

func (s *Server) caller(ctx context.Context, md metadata.MD) (identity.Caller, error) {
	organization := first(md, headerOrganization)
	if uid, ok := s.local(ctx, md); ok {
		return s.o.Auth.Local("socket:uid="+uid, organization)
	}
	scheme, token, _ := strings.Cut(first(md, "authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return identity.Caller{}, errs.New(errs.Unauthenticated,
			"the request has no credential; send the header Authorization: Bearer TOKEN")
	}
	if err := s.contact(ctx); err != nil {
		return identity.Caller{}, err
	}
	token = strings.TrimSpace(token)
	if s.submitted(ctx, md) {
		return s.o.Auth.Submitted(ctx, token, organization)
	}
	return s.o.Auth.Authenticate(ctx, token, organization)
}

// contact is Options.Contact, where it is set.
func (s *Server) contact(ctx context.Context) error {
	if s.o.Contact == nil {
		return nil
	}
	return s.o.Contact(ctx)
}

// end maps the error, logs and counts; a panic costs its request only.
func (c *call) end(ctx context.Context, err error, panicked any) error {
	log := c.s.log.With("method", c.method, "request_id", c.id, "who", c.who, "from", c.from)
	if panicked != nil {
		log.ErrorContext(ctx, "a request panicked", "panic", panicked, "at", obs.Stack())
		err = errs.New(errs.Internal, "panic")
	}
	took, code := time.Since(c.start), codes.OK
	if err != nil {
		st := toStatus(err, c.id)
		code = st.Code()
		if code == codes.Internal || code == codes.Unknown {
			log.ErrorContext(ctx, "a request failed", "error", err)
		}
		err = st.Err()
	}
	c.s.metrics.observe(c.method, code, took)
	log.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("code", code.String()), slog.Duration("took", took))
	return err
}
