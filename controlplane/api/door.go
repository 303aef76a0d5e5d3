package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/preauth"
)

// strangers bound the connections of the API whose caller has shown no credential yet.
var strangers = preauth.Limits{Total: 1024, PerSource: 256, Deadline: 20 * time.Second, Known: 4096}

// openBody is the most that a request without a credential may send.
const openBody = 64 << 10

// openLanes bound the requests that need no credential: by where they come from, so that one
// host does not shut out who wants to join or asks for health. Those that go on for long
// (watching health, reflection) are apart from those that are answered at once.
type openLanes struct{ requests, streams *lane }

func newOpenLanes() openLanes {
	return openLanes{
		requests: newLane("requests without a credential", bounds{16, 256, 256}, bounds{16, 256, 256}),
		streams:  newLane("streams without a credential", bounds{4, 64, 64}, bounds{}),
	}
}

// enterOpen takes a place for a request without a credential.
func (s *Server) enterOpen(r *http.Request, v *visit, full string) error {
	v.caller.Who = "anyone at " + preauth.SourceOf(r.RemoteAddr).String()
	l := s.openLanes.requests
	if s.openStreams[full] {
		l = s.openLanes.streams
	}
	return v.enter(r.Context(), l)
}

// openStreams are the streams among the methods that need no credential.
func openStreams(table map[string]need, services map[string]grpc.ServiceInfo) map[string]bool {
	out := map[string]bool{}
	for service, info := range services {
		for _, m := range info.Methods {
			full := "/" + service + "/" + m.Name
			if (m.IsClientStream || m.IsServerStream) && table[full].open {
				out[full] = true
			}
		}
	}
	return out
}

type connKey struct{}

// connContext lets requests say of their connection that its caller is known.
func connContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, preauth.Of(c))
}

// authenticated says that the caller of a request's connection is known.
func authenticated(ctx context.Context) {
	if c, _ := ctx.Value(connKey{}).(*preauth.Conn); c != nil {
		c.Authenticated()
	}
}

// visit is one request of gRPC from its headers to the end of its answer. The calls by
// which it takes and gives back what is bounded come from several goroutines.
type visit struct {
	caller identity.Caller
	lanes  *lanes
	mu     struct {
		sync.Mutex
		leave []func()
		sizes []int // octets of the messages that the handler has not asked for yet
		begun int   // messages that began to arrive
		asked int   // messages that the handler asked for
	}
	room   chan struct{} // has an item when the handler asked for a message
	closed chan struct{} // closed when no message is wanted any more
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	v, _ := ctx.Value(visitKey{}).(*visit)
	return v
}

// enter takes a place in a lane until the answer is written. Who speaks through the
// break-glass socket is in no lane: that must work when nothing else does.
func (v *visit) enter(ctx context.Context, l *lane) error {
	if v == nil || l == nil {
		return nil
	}
	if _, local := socketUID(ctx); local {
		return nil
	}
	leave, err := l.enter(ctx, v.caller)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.leave = append(v.mu.leave, leave)
	return nil
}

// end gives back everything.
func (v *visit) end() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, leave := range v.mu.leave {
		leave()
	}
	for _, n := range v.mu.sizes {
		v.lanes.requests.give(v.caller, n)
	}
	v.mu.leave, v.mu.sizes = nil, nil
}

// serveGRPC finds out who calls before gRPC reads the first octet of a message: a
// request that may not be made costs its headers.
func (s *Server) serveGRPC(w http.ResponseWriter, r *http.Request) {
	v := &visit{lanes: s.lanes, room: make(chan struct{}, 1), closed: make(chan struct{})}
	defer v.end()
	var err error
	if s.table[r.URL.Path].open {
		r.Body = http.MaxBytesReader(w, r.Body, openBody)
		err = s.enterOpen(r, v, r.URL.Path)
	} else if v.caller, err = s.caller(r.Context(), s.metadataOf(r)); err == nil {
		authenticated(r.Context())
	}
	if err != nil {
		s.refuseGRPC(w, r, err)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.bodyTime))
	r.Body = &messages{ReadCloser: r.Body, v: v, slow: func(wait bool) {
		until := time.Time{}
		if wait {
			until = time.Now().Add(s.bodyTime)
		}
		_ = control.SetReadDeadline(until)
	}}
	s.grpc.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
}

// refuseGRPC answers with a status alone ("Trailers-Only" of gRPC over HTTP/2).
func (s *Server) refuseGRPC(w http.ResponseWriter, r *http.Request, err error) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	id := r.Header.Get(headerRequestID)
	if !plainID(id) {
		id = newRequestID()
	}
	c := &call{s: s, method: s.known(r.URL.Path), id: id, start: time.Now(), from: host}
	st := status.Convert(c.end(r.Context(), err, nil))
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set(headerRequestID, id)
	h.Set("Grpc-Status", strconv.Itoa(int(st.Code())))
	h.Set("Grpc-Message", percent(st.Message()))
	if b, err := proto.Marshal(st.Proto()); err == nil && len(st.Details()) > 0 {
		h.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(b))
	}
	w.WriteHeader(http.StatusOK)
}

// known is a method that exists, "" for others: metrics have no names of a client's.
func (s *Server) known(full string) string {
	if _, ok := s.table[full]; ok {
		return full
	}
	return ""
}

// percent encodes a status's message ("Responses" of gRPC over HTTP/2).
func percent(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// ahead is how many messages of a stream are read before its handler asks for them.
const ahead = 2

// messages is the body of a gRPC request. It follows the messages in it, each of which
// has five octets before it: a flag, and its length. A message that has begun must end
// within bodyTime, its octets are counted for its caller, and it is not read long before
// its handler asks for it: gRPC's own transport over net/http reads without bound.
type messages struct {
	io.ReadCloser
	v      *visit
	slow   func(bool) // sets and lifts the deadline for reading
	left   int        // octets of the present message that have not arrived
	closed sync.Once
}

func (m *messages) Read(b []byte) (int, error) {
	if m.left == 0 {
		return m.prefix(b)
	}
	// A buffer of gRPC's is 16 KiB and holds one read: it must not hold a single octet.
	n, err := io.ReadFull(m.ReadCloser, b[:min(len(b), m.left)])
	if m.left -= n; m.left == 0 {
		m.slow(false)
	}
	return n, err
}

// prefix reads what stands before the next message.
func (m *messages) prefix(b []byte) (int, error) {
	if err := m.v.wait(); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(m.ReadCloser, b[:5])
	if err != nil {
		return n, err
	}
	size := binary.BigEndian.Uint32(b[1:])
	if size > MaxRequest { // gRPC refuses it by its length
		m.v.mu.Lock()
		m.v.mu.begun += ahead
		m.v.mu.Unlock()
		return n, nil
	}
	if m.left = int(size); size > 0 {
		m.slow(true)
	}
	return n, m.v.begin(int(size))
}

// Close ends a Read that waits.
func (m *messages) Close() error {
	m.closed.Do(func() { close(m.v.closed) })
	return m.ReadCloser.Close()
}

// begin counts a message that begins to arrive.
func (v *visit) begin(size int) error {
	if err := v.lanes.requests.take(v.caller, size); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mu.begun++
	v.mu.sizes = append(v.mu.sizes, size)
	return nil
}

// wait returns when the next message may be read.
func (v *visit) wait() error {
	for {
		v.mu.Lock()
		ok := v.mu.begun < v.mu.asked+ahead
		v.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-v.room:
		case <-v.closed:
			return errs.New(errs.Unavailable, "the request ended")
		}
	}
}

// next is called when the handler of a stream asks for its next message: it is done with
// those before.
func (v *visit) next() {
	if v == nil {
		return
	}
	v.mu.Lock()
	if v.mu.asked++; v.mu.asked > 1 && len(v.mu.sizes) > 0 {
		v.lanes.requests.give(v.caller, v.mu.sizes[0])
		v.mu.sizes = v.mu.sizes[1:]
	}
	v.mu.Unlock()
	select {
	case v.room <- struct{}{}:
	default:
	}
}
