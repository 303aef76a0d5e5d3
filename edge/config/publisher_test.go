package config

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// publisher makes the frames of a few streams, and knows what an edge must have after
// each of them.
type publisher struct {
	t        testing.TB
	revision uint64
	last     map[string]*published
	now      map[string]string
	deny     map[string]bool
}

type published struct {
	revision uint64
	part     uint32
	hash     []byte
}

func newPublisher(t testing.TB) *publisher {
	return &publisher{t: t, last: map[string]*published{}, now: map[string]string{}, deny: map[string]bool{}}
}

func item(name, value string) *feedv1.Item {
	return &feedv1.Item{Kind: "test.Record", Name: name, Lane: 1, Value: []byte(value)}
}

func denial(subject string) *feedv1.Item {
	return &feedv1.Item{Kind: "test.Revoked", Name: subject, Lane: 2, Value: []byte("x")}
}

// seal makes one frame of the present revision.
func (p *publisher) seal(stream string, part uint32, last bool, items ...*feedv1.Item) []byte {
	p.t.Helper()
	f := &feedv1.Frame{
		Cluster: "test", Stream: stream, Epoch: 1, Revision: p.revision, Part: part, Last: last,
		Items: items, SignedAt: time.Now().UnixNano(),
	}
	if l := p.last[stream]; l != nil {
		f.PreviousRevision, f.PreviousHash = l.revision, l.hash
	}
	data, hash, err := frame.Seal(testKey, f)
	if err != nil {
		p.t.Fatal(err)
	}
	p.last[stream] = &published{p.revision, part, hash[:]}
	for _, i := range items {
		p.record(stream, i)
	}
	return data
}

func (p *publisher) record(stream string, i *feedv1.Item) {
	key := stream + " " + i.Kind + " " + i.Name
	switch {
	case i.Prefix:
		maps.DeleteFunc(p.now, func(k, _ string) bool { return bytes.HasPrefix([]byte(k), []byte(key)) })
	case i.Deleted:
		delete(p.now, key)
	case i.Lane == 2:
		p.deny[i.Name] = true
	default:
		p.now[key] = string(i.Value)
	}
}

// frame makes the next revision of a stream, in one part.
func (p *publisher) frame(stream string, items ...*feedv1.Item) []byte {
	p.t.Helper()
	p.revision++
	return p.seal(stream, 0, true, items...)
}

// snapshot makes the parts of a snapshot of a stream with the given content.
func (p *publisher) snapshot(stream string, parts ...[]*feedv1.Item) [][]byte {
	p.t.Helper()
	var out [][]byte
	for i, items := range parts {
		f := &feedv1.Frame{
			Cluster: "test", Stream: stream, Epoch: 1, Revision: p.last[stream].revision,
			HeadPart: p.last[stream].part, HeadHash: p.last[stream].hash, Snapshot: true, Part: uint32(i),
			Last: i == len(parts)-1, Items: items, SignedAt: time.Now().UnixNano(),
		}
		data, _, err := frame.Seal(testKey, f)
		if err != nil {
			p.t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// answers is a sink: what an edge answers from.
type answers struct{ now map[string]string }

func (a *answers) Apply(_ uint64, changes []view.Change) []view.Refusal {
	for _, c := range changes {
		key := c.Stream + " " + c.Kind + " " + c.Name
		switch {
		case c.Prefix:
			maps.DeleteFunc(a.now, func(k, _ string) bool { return bytes.HasPrefix([]byte(k), []byte(key)) })
		case c.Value == nil:
			delete(a.now, key)
		default:
			a.now[key] = string(c.Value)
		}
	}
	return nil
}

func (a *answers) Replace(revision uint64, changes []view.Change) []view.Refusal {
	clear(a.now)
	return a.Apply(revision, changes)
}

// reopen opens an edge's configuration in fs, with the given streams.
func reopen(t testing.TB, fs vfs.FS, streams ...string) (*Config, *answers) {
	t.Helper()
	c, a, err := tryOpen(fs)
	if err != nil {
		t.Fatal(err)
	}
	if len(streams) > 0 {
		if err := c.subscribe(streams); err != nil {
			t.Fatal(err)
		}
	}
	return c, a
}

func tryOpen(fs vfs.FS) (*Config, *answers, error) { return tryOpenLogging(fs, nil) }

func tryOpenLogging(fs vfs.FS, log *slog.Logger) (*Config, *answers, error) {
	c, loaded, err := Open(Options{
		Dir: "edge", FS: fs, Log: log, Cluster: "test", Pinned: testKey.Public().(ed25519.PublicKey),
		TLS:  func() (*tls.Config, error) { return &tls.Config{}, nil },
		Self: func() ca.Name { return ca.Name{Node: "e1", Instance: "i1"} },
	})
	if err != nil {
		return nil, nil, err
	}
	a := &answers{now: map[string]string{}}
	a.Apply(0, loaded)
	return c, a, nil
}

// feed takes frames in and cuts.
func feed(t testing.TB, c *Config, a *answers, revision uint64, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if v, reason, err := c.take(f); err != nil || reason != "" {
			t.Fatalf("take: %s %s %v", v, reason, err)
		}
	}
	if _, _, err := c.cut(a, revision); err != nil {
		t.Fatal(err)
	}
}

// next takes in the next revision of org/a.
func next(t testing.TB, c *Config, a *answers, p *publisher, items ...*feedv1.Item) {
	t.Helper()
	f := p.frame("org/a", items...)
	feed(t, c, a, p.revision, f)
}

func closeConfig(t testing.TB, c *Config) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Fatalf("%s: got %d records, want %d\n got %.500s\nwant %.500s", what, len(got), len(want), fmt.Sprint(got),
			fmt.Sprint(want))
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func nobody() ca.Name { return ca.Name{} }
