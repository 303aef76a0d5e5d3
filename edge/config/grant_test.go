package config

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// aGrant for the edge of these tests, changed by edit and signed by key.
func aGrant(t *testing.T, key ed25519.PrivateKey, revision uint64, streams []string,
	edit func(*feedv1.Grant),
) *feedv1.Subscription {
	t.Helper()
	g := &feedv1.Grant{
		Cluster: "test", Epoch: 1, Node: "e1", Instance: "i1", Revision: revision, Streams: streams,
		SignedAt: time.Now().UnixNano(),
	}
	if edit != nil {
		edit(g)
	}
	s, err := frame.SealGrant(key, g)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func streamsOf(c *Config) []string { return slices.Sorted(maps.Keys(c.streams)) }

// TestOnlyALaterGrantOfItsOwnMakesAnEdgeForget: its content survives everything else that
// anyone who reaches it can send, also after a restart; a later grant then ends it.
func TestOnlyALaterGrantOfItsOwnMakesAnEdgeForget(t *testing.T) {
	fs, p := vfs.NewMem(), newPublisher(t)
	c, a := reopen(t, fs)
	take := func(sub *feedv1.Subscription) error { return (&session{c: c, self: c.o.Self()}).subscribed(sub) }
	if err := take(aGrant(t, testKey, 7, []string{"org/a"}, nil)); err != nil {
		t.Fatal(err)
	}
	feed(t, c, a, 1, p.frame("org/a", item("x", "1")))
	thief := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	tampered := aGrant(t, testKey, 9, nil, nil)
	tampered.Grant = aGrant(t, testKey, 10, nil, nil).GetGrant()
	bad := map[string]*feedv1.Subscription{
		"unsigned":        {},
		"nothing at all":  nil,
		"unsigned stream": {Streams: []string{"org/b"}},
		"another key's":   aGrant(t, thief, 9, nil, nil),
		"tampered with":   tampered,
		"an earlier one":  aGrant(t, testKey, 6, nil, nil),
		"another edge's":  aGrant(t, testKey, 9, nil, func(g *feedv1.Grant) { g.Node = "e2" }),
		"of an instance before": aGrant(t, testKey, 9, nil, func(g *feedv1.Grant) {
			g.Instance = "i0"
		}),
		"another cluster's": aGrant(t, testKey, 9, nil, func(g *feedv1.Grant) { g.Cluster = "other" }),
		"another epoch's":   aGrant(t, testKey, 9, nil, func(g *feedv1.Grant) { g.Epoch = 2 }),
		"no epoch's":        aGrant(t, testKey, 9, nil, func(g *feedv1.Grant) { g.Epoch = 0 }),
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			closeConfig(t, c)
			c, a = reopen(t, fs)
		}
		for what, sub := range bad {
			if err := take(sub); err != nil && !errors.As(err, new(refusedFrame)) {
				t.Fatal(what, err)
			}
			if got := streamsOf(c); !slices.Equal(got, []string{"org/a"}) {
				t.Fatalf("%s, restarted %v: follows %q", what, restarted, got)
			}
		}
		feed(t, c, a, 2)
		same(t, "after what was refused", a.now, p.now)
	}
	defer closeConfig(t, c)
	if err := take(aGrant(t, testKey, 8, []string{"org/b"}, nil)); err != nil {
		t.Fatal(err)
	}
	feed(t, c, a, 3)
	if got := streamsOf(c); !slices.Equal(got, []string{"org/b"}) || len(a.now) != 0 {
		t.Fatalf("after a later grant it follows %q and has %v", got, a.now)
	}
}

// TestAnOldControlNodeAddsStreamsOnly: it signs no grant.
func TestAnOldControlNodeAddsStreamsOnly(t *testing.T) {
	c, _ := reopen(t, vfs.NewMem())
	defer closeConfig(t, c)
	s := &session{c: c, self: c.o.Self()}
	for _, streams := range [][]string{{"system"}, {"org/a"}, nil} {
		if err := s.subscribed(&feedv1.Subscription{Streams: streams}); err != nil {
			t.Fatal(err)
		}
	}
	if got := streamsOf(c); !slices.Equal(got, []string{"org/a", "system"}) {
		t.Fatalf("follows %q", got)
	}
}

// TestAddressesComeFromRecordsAlone: not from a Welcome, and they end with their record.
func TestAddressesComeFromRecordsAlone(t *testing.T) {
	fs, p := vfs.NewMem(), newPublisher(t)
	c, a := reopen(t, fs, "system")
	if err := c.welcomed(&feedv1.Welcome{
		Cluster: "test", Epoch: 1,
		Feeds: map[string]string{"c9": "192.0.2.9:1"},
	}); err != nil {
		t.Fatal(err)
	}
	record := func(name, address string) *feedv1.Item {
		raw, err := proto.Marshal(&feedv1.FeedAddress{Node: name, Address: address})
		if err != nil {
			t.Fatal(err)
		}
		return &feedv1.Item{Kind: addressKind, Name: name, Lane: 1, Value: raw}
	}
	feed(t, c, a, 1, p.frame("system", record("c1", "192.0.2.1:1"), record("c2", "192.0.2.2:1")))
	feed(t, c, a, 2, p.frame("system", &feedv1.Item{Kind: addressKind, Name: "c1", Lane: 1, Deleted: true}))
	for range 2 {
		if got := c.addresses(); !slices.Equal(got, []string{"192.0.2.2:1"}) {
			t.Fatalf("connects to %q", got)
		}
		closeConfig(t, c)
		c, _ = reopen(t, fs)
	}
	closeConfig(t, c)
}

// TestAProgressMakesNobodyLookBehind: nobody signs it, so the edge's next Hello says nothing
// of it.
func TestAProgressMakesNobodyLookBehind(t *testing.T) {
	p := newPublisher(t)
	c, a := reopen(t, vfs.NewMem(), "org/a")
	defer closeConfig(t, c)
	feed(t, c, a, 1<<60, p.frame("org/a", item("x", "1")))
	if got := c.hello().GetRevision(); got != 1 {
		t.Fatalf("the edge says that it is at revision %d", got)
	}
}
