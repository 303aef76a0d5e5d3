package api

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/dark-ecosystem/dark/internal/localsocket"
)

type uidKey struct{}

// socketUID returns the user at the other end of the break-glass socket.
func socketUID(ctx context.Context) (string, bool) {
	uid, ok := ctx.Value(uidKey{}).(string)
	return uid, ok
}

// local returns the socket's user of a gRPC call: from the connection, or for REST
// from the gateway's mark.
func (s *Server) local(ctx context.Context, md metadata.MD) (string, bool) {
	if uid, ok := socketUID(ctx); ok {
		return uid, true
	}
	p, ok := peer.FromContext(ctx)
	if !ok || !inProcess(p.Addr) {
		return "", false
	}
	secret, uid, ok := strings.Cut(first(md, headerLocal), " ")
	return uid, ok && subtle.ConstantTimeCompare([]byte(secret), []byte(s.secret)) == 1
}

// ServeSocket answers on the break-glass socket at path until the context ends. Who
// may open it is all power: it has mode 0600, and the kernel says who connects
// (SO_PEERCRED): root or the user that this process runs as. It has the profiles, too.
func (s *Server) ServeSocket(ctx context.Context, path string) error {
	l, err := localsocket.Listen(path)
	if err != nil {
		return err
	}
	h := s.httpServer()
	h.Protocols.SetUnencryptedHTTP2(true)
	h.Handler = localsocket.Profiles(h.Handler)
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if uid, err := localsocket.UID(c); err == nil {
			return context.WithValue(ctx, uidKey{}, uid)
		}
		return ctx // who cannot be named must show a token
	}
	return s.run(ctx, h, func() error { return h.Serve(l) })
}

var _ http.Handler = (*Server)(nil)
