package api

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/dark-ecosystem/dark/internal/preauth"
)

// bodyTime is how long the body of a REST request may take, or one message of gRPC.
const bodyTime = time.Minute

// drainTime is how long requests may take to end when the server goes.
const drainTime = 10 * time.Second

// ServeHTTP is the one handler of the one port: gRPC is told apart by content type.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = newAnswer(w)
	if r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		s.serveGRPC(w, r)
		return
	}
	switch {
	case r.URL.Path == "/livez":
		probe(w, r, s.o.Live)
	case r.URL.Path == "/readyz":
		probe(w, r, s.o.Ready)
	case r.URL.Path == "/openapi.json":
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(s.openapi)
	case strings.HasPrefix(r.URL.Path, "/v1/") || s.o.Fallback == nil:
		s.rest(w, r)
	default:
		s.o.Fallback.ServeHTTP(w, r)
	}
}

func (s *Server) rest(w http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get(headerRequestID); !plainID(id) {
		r.Header.Set(headerRequestID, newRequestID())
	}
	w.Header().Set(headerRequestID, r.Header.Get(headerRequestID))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	// The gateway decodes each segment once; a slash within an owner (RFC 2317) is written
	// %2F in a resource's name, and stays so.
	if p := r.URL.RawPath; p != "" {
		r.URL.RawPath = strings.NewReplacer("%2F", "%252F", "%2f", "%252F").Replace(p)
	}
	s.mux.ServeHTTP(w, r)
}

func probe(w http.ResponseWriter, r *http.Request, check func(context.Context) error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if check != nil {
		if err := check(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(err.Error() + "\n"))
			return
		}
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Strangers counts the connections whose callers were not known, over all addresses.
func (s *Server) Strangers() preauth.Stats { return s.doors.Stats() }

// Serve answers on l until the context ends, then drains. Without a TLS configuration
// it speaks HTTP/1.1 and HTTP/2 in clear (h2c), which is for loopback only.
func (s *Server) Serve(ctx context.Context, l net.Listener, t *tls.Config) error {
	h := s.httpServer()
	h.ConnContext = connContext
	l = s.doors.Listen(l, strangers)
	if t != nil {
		t = t.Clone()
		t.NextProtos = []string{"h2", "http/1.1"}
		h.TLSConfig = t
		return s.run(ctx, h, func() error { return h.ServeTLS(l, "", "") })
	}
	h.Protocols.SetUnencryptedHTTP2(true)
	return s.run(ctx, h, func() error { return h.Serve(l) })
}

func (s *Server) httpServer() *http.Server {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	return &http.Server{
		Handler: s, Protocols: p, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 256, MaxReceiveBufferPerStream: 512 << 10,
			MaxReceiveBufferPerConnection: 1 << 20, SendPingTimeout: 30 * time.Second,
		},
	}
}

func (s *Server) run(ctx context.Context, h *http.Server, serve func() error) error {
	done := make(chan error, 1)
	go func() { done <- serve() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	s.close() // watches end
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err := h.Shutdown(drain)
	if err != nil {
		err = errors.Join(err, h.Close())
	}
	if serr := <-done; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}
