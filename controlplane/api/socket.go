package api

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
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
// (SO_PEERCRED): root or the user that this process runs as.
func (s *Server) ServeSocket(ctx context.Context, path string) error {
	l, err := listenSocket(path)
	if err != nil {
		return err
	}
	h := s.httpServer()
	h.Protocols.SetUnencryptedHTTP2(true)
	h.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if uid, err := peerUID(c); err == nil {
			return context.WithValue(ctx, uidKey{}, uid)
		}
		return ctx // who cannot be named must show a token
	}
	return s.run(ctx, h, func() error { return h.Serve(peerListener{l}) })
}

// listenSocket makes the socket so that it never exists with a wider mode.
func listenSocket(path string) (net.Listener, error) {
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove old socket: %w", err)
		}
	}
	tmp, err := os.MkdirTemp(dirOf(path), ".socket") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp + "/s", Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("make socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(tmp+"/s", 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("make socket: %w", err), l.Close())
	}
	if err := os.Rename(tmp+"/s", path); err != nil {
		return nil, errors.Join(fmt.Errorf("make socket: %w", err), l.Close())
	}
	return l, nil
}

func dirOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return path[:i]
	}
	return "."
}

// peerListener drops connections of other users.
type peerListener struct{ net.Listener }

func (l peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, err := peerUID(c)
		if err == nil && (uid == "0" || uid == strconv.Itoa(os.Geteuid())) {
			return c, nil
		}
		c.Close()
	}
}

// peerUID asks the kernel who is at the other end.
func peerUID(c net.Conn) (string, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return "", fmt.Errorf("%T is no unix socket", c)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *syscall.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) {
		cred, cerr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	}); err != nil {
		return "", err
	}
	if cerr != nil {
		return "", fmt.Errorf("ask for the peer of the socket: %w", cerr)
	}
	return strconv.FormatUint(uint64(cred.Uid), 10), nil
}

var _ http.Handler = (*Server)(nil)
