// Package feed carries published frames from a control node to its edges, over
// length-prefixed messages in TLS 1.3 with client certificates (design: feed.md). It
// stores nothing and decides nothing: frames come from the replicated state as they
// were signed, are encoded once and shared by all edges.
//
// State and its owners: the ring of what is new belongs to the goroutine of hub.run and
// is read under hub.mu; a connection's positions belong to its sender goroutine; what is
// known of nodes is guarded by nodes.mu. The two locks are never held together.
package feed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/dark-ecosystem/dark/internal/clock"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// ErrCompacted: the frame after a position is no longer kept; a snapshot is needed.
var ErrCompacted = errors.New("frames after the position are no longer kept")

// StoredFrame is one frame as the state keeps it.
type StoredFrame struct {
	Revision uint64
	Part     uint32
	Last     bool
	Data     []byte // marshalled SignedFrame
	Hash     []byte // SHA-256 of Data
}

// Source is the replicated state as this control node has it. All methods may be called
// from many goroutines; what they return is not changed by either side.
type Source interface {
	// Identity of the cluster.
	Identity() (clusterID string, epoch uint64)
	// Published is the desired revision that all streams are complete to, and when the
	// latest change in it was committed.
	Published() (revision uint64, at time.Time)
	// WaitPublished returns when Published is past after, or with the context's error.
	WaitPublished(ctx context.Context, after uint64) error
	// Head is the position and hash of a stream's last frame; ok is false when it has none.
	Head(stream string) (revision uint64, part uint32, hash []byte, ok bool)
	// Frames returns up to limit frames after that of a position (0, 0: from the first),
	// in order, or ErrCompacted when the very next one is no longer kept.
	Frames(stream string, afterRevision uint64, afterPart uint32, limit int) ([]StoredFrame, error)
	// Snapshot emits all published records of a stream as of one moment and returns the
	// position of the stream's last frame at that moment. An item may be kept.
	Snapshot(stream string, emit func(*feedv1.Item) error) (headRevision uint64, headPart uint32, headHash []byte,
		err error)
	// Streams that a node is subscribed to, and the revision at which they were chosen: a
	// change of them has a later one, on whatever control node.
	Streams(node string) (streams []string, revision uint64, err error)
}

// Placement may be implemented by a Source, so that Streams is asked again only when its
// answers may have changed and not at every revision by every connection.
type Placement interface {
	// Placement rises before Streams answers anything new for any node.
	Placement() uint64
}

// Signer signs a frame made here (snapshots), as frame.Seal does.
type Signer func(*feedv1.Frame) (data []byte, hash [32]byte, err error)

// Granter signs which streams the edge that has a certificate gets, as frame.SealGrant does.
type Granter func(peer *x509.Certificate, node string, streams []string, revision uint64) (*feedv1.Subscription, error)

// Options of a Server; the first group is required.
type Options struct {
	// Node is this control node's name.
	Node   string
	Source Source
	Sign   Signer
	Grant  Granter
	// TLS returns the configuration of each new connection: the node's certificate and
	// the CA of clients. Version and client authentication are set by the server.
	TLS func() *tls.Config
	// Identify returns the node that a verified client certificate was issued to.
	Identify func(*x509.Certificate) (node string, err error)
	// Feeds lists the addresses of all control nodes' feeds by name, for edges of old versions.
	Feeds func() map[string]string
	// Submit carries out an edge's request as the end user it names.
	Submit func(ctx context.Context, node string, s *feedv1.Submit) *feedv1.SubmitResult
	// Renew issues a certificate, leaf first, to the node that has the present one.
	Renew func(ctx context.Context, present *x509.Certificate, csr []byte) ([][]byte, error)

	Log   *slog.Logger
	Clock clock.Clock
	Limits
}

// Limits bound what edges cost this node. A zero field has its default.
type Limits struct {
	Connections int           // of edges that showed who they are: 8,000
	PerNode     int           // of one edge, whose oldest ends for one more: 4
	Strangers   int           // connections that have not: 2,048
	PerSource   int           // those of one address (IPv6: /64), where many edges may be: 512
	Snapshots   int           // at once: 32
	RingBytes   int           // encoded frames kept for all edges together: 8 MiB
	RingFrames  int           // 2,048
	PartBytes   int           // items in one part of a snapshot: 512 KiB
	Submits     int           // in flight on one connection: 32
	Canary      time.Duration // the others wait at most so long for the canary: 100 ms
	Keepalive   time.Duration // between messages: 5 s
	Silence     time.Duration // an edge silent for so long is gone: 20 s
	Write       time.Duration // a write that takes so long ends the connection: 30 s
	Handshake   time.Duration // TLS and Hello: 10 s
	RetryAfter  time.Duration // told to those that are sent away: 1 s
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (l *Limits) fill() {
	orElse(&l.Connections, 8000)
	orElse(&l.PerNode, 4)
	orElse(&l.Strangers, 2048)
	orElse(&l.PerSource, 512)
	orElse(&l.Snapshots, 32)
	orElse(&l.RingBytes, 8<<20)
	orElse(&l.RingFrames, 2048)
	orElse(&l.PartBytes, 512<<10)
	orElse(&l.Submits, 32)
	orElse(&l.Canary, 100*time.Millisecond)
	orElse(&l.Keepalive, 5*time.Second)
	orElse(&l.Silence, 20*time.Second)
	orElse(&l.Write, 30*time.Second)
	orElse(&l.Handshake, 10*time.Second)
	orElse(&l.RetryAfter, time.Second)
}
