// Package tap turns samples of queries into what operators read: dnstap (dnstap.proto,
// carried in Frame Streams) for a file or a socket, and lines of JSON for a log. It
// owns nothing but the writer it was given.
package tap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/miekg/dns"
)

// Frame Streams' control frames and the content type of dnstap.
const (
	controlAccept = 1
	controlStart  = 2
	controlStop   = 3
	controlReady  = 4
	controlFinish = 5
	contentField  = 1
	contentType   = "protobuf:dnstap.Dnstap"
)

// Numbers of dnstap.proto.
const (
	authResponse = 2 // Message.Type AUTH_RESPONSE
	inet, inet6  = 1, 2
	typeMessage  = 1
)

// Stream writes samples as dnstap. With a reader on the other side (a socket) say
// Handshake first; a file needs none.
type Stream struct {
	w        io.Writer
	identity string
	version  string
	buf      []byte
}

// NewStream begins a stream; identity and version are this server's.
func NewStream(w io.Writer, identity, version string) *Stream {
	return &Stream{w: w, identity: identity, version: version}
}

// Handshake agrees with a reader on the content: READY, ACCEPT.
func (s *Stream) Handshake(r io.Reader) error {
	if err := s.control(controlReady, true); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("dnstap handshake: %w", err)
	}
	n := binary.BigEndian.Uint32(head[4:])
	if binary.BigEndian.Uint32(head[:]) != 0 || n < 4 || n > 512 {
		return errors.New("dnstap handshake: not a control frame")
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return fmt.Errorf("dnstap handshake: %w", err)
	}
	if binary.BigEndian.Uint32(body) != controlAccept {
		return errors.New("dnstap handshake: the reader did not accept")
	}
	return nil
}

// Start writes the frame that begins the content.
func (s *Stream) Start() error { return s.control(controlStart, true) }

// Stop writes the frame that ends it.
func (s *Stream) Stop() error { return s.control(controlStop, false) }

// control writes an escape (a frame of length 0), then the control frame.
func (s *Stream) control(typ uint32, content bool) error {
	b := binary.BigEndian.AppendUint32(nil, typ)
	if content {
		b = binary.BigEndian.AppendUint32(b, contentField)
		b = binary.BigEndian.AppendUint32(b, uint32(len(contentType)))
		b = append(b, contentType...)
	}
	out := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(b)))
	_, err := s.w.Write(append(out, b...))
	return err
}

// Write writes one sample as a data frame.
func (s *Stream) Write(m serve.Sample) error {
	b := append(s.buf[:0], 0, 0, 0, 0)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, s.identity)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendString(b, s.version)
	b = protowire.AppendTag(b, 14, protowire.BytesType)
	b = protowire.AppendBytes(b, message(m))
	b = protowire.AppendTag(b, 15, protowire.VarintType)
	b = protowire.AppendVarint(b, typeMessage)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	s.buf = b
	_, err := s.w.Write(b)
	return err
}

// message is the sample as a dnstap.Message.
func message(m serve.Sample) []byte {
	var b []byte
	number := func(field protowire.Number, v uint64) {
		b = protowire.AppendTag(b, field, protowire.VarintType)
		b = protowire.AppendVarint(b, v)
	}
	octets := func(field protowire.Number, v []byte) {
		b = protowire.AppendTag(b, field, protowire.BytesType)
		b = protowire.AppendBytes(b, v)
	}
	nanos := func(field protowire.Number) {
		b = protowire.AppendTag(b, field, protowire.Fixed32Type)
		b = protowire.AppendFixed32(b, uint32(m.Time.Nanosecond()))
	}
	number(1, authResponse)
	number(2, family(m.From.Addr()))
	number(3, protocol(m.Via))
	octets(4, m.From.Addr().Unmap().AsSlice())
	number(6, uint64(m.From.Port()))
	number(8, uint64(m.Time.Unix()))
	nanos(9)
	octets(10, m.Query)
	number(12, uint64(m.Time.Unix()))
	nanos(13)
	octets(14, m.Answer)
	return b
}

func family(a netip.Addr) uint64 {
	if a.Unmap().Is4() {
		return inet
	}
	return inet6
}

// protocol is dnstap's SocketProtocol.
func protocol(t serve.Transport) uint64 {
	switch t {
	case serve.TCP:
		return 2
	case serve.TLS:
		return 3
	case serve.HTTPS:
		return 4
	case serve.QUIC:
		return 7
	}
	return 1
}

// Copy writes samples to the stream until ctx ends, Start and Stop included.
func (s *Stream) Copy(ctx context.Context, samples <-chan serve.Sample) error {
	if err := s.Start(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return s.Stop()
		case m := <-samples:
			if err := s.Write(m); err != nil {
				return err
			}
		}
	}
}

// Log writes samples as records of a log until ctx ends.
func Log(ctx context.Context, l *slog.Logger, samples <-chan serve.Sample) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-samples:
			record(ctx, l, m)
		}
	}
}

func record(ctx context.Context, l *slog.Logger, m serve.Sample) {
	r := new(dns.Msg)
	if err := r.Unpack(m.Answer); err != nil || len(r.Question) == 0 {
		l.InfoContext(ctx, "dns query", "client", m.From, "octets", len(m.Query))
		return
	}
	q := r.Question[0]
	l.InfoContext(ctx, "dns query", "client", m.From, "via", protocolName(m.Via), "name", q.Name,
		"type", dns.Type(q.Qtype).String(), "rcode", dns.RcodeToString[r.Rcode], "answers", len(r.Answer), "octets",
		len(m.Answer))
}

func protocolName(t serve.Transport) string {
	return [...]string{"udp", "tcp", "tls", "quic", "https"}[t]
}
