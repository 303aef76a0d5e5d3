package publisher

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/kind"
	demov1 "github.com/dark-ecosystem/dark/proto/dark/demo/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

var key = ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32)))

// log applies each transaction at once, as a leader whose entries are always committed.
type log struct {
	store *state.Store
	mu    sync.Mutex
	index uint64
	// fail, if set, refuses a transaction before it is applied.
	fail func(*statev1.Transaction) error
}

func (l *log) Propose(_ context.Context, tx *statev1.Transaction) (state.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(tx); err != nil {
			return state.Outcome{}, err
		}
	}
	l.index++
	data, err := proto.Marshal(&statev1.Entry{Time: int64(l.index), Transactions: []*statev1.Transaction{tx}})
	if err != nil {
		return state.Outcome{}, err
	}
	return state.Settle(l.index, l.store.Apply([]consensus.Command{{Index: l.index, Term: 1, Data: data}})[0])
}

// world is a state with publishers.
type world struct {
	t     *testing.T
	store *state.Store
	log   *log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := state.Open("state", state.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t: t, store: s, log: &log{store: s}}
}

type rd struct{ *state.Reader }

func (r rd) Get(k, o, n string) (admit.Version, bool, error) {
	v, ok, err := r.Reader.Get(k, o, n)
	return admit.Version(v), ok, err
}

func (r rd) Scan(k, o, p, a string, yield func(admit.Version) bool) error {
	return r.Reader.Scan(k, o, p, a, func(v state.Version) bool { return yield(admit.Version(v)) })
}

func (r rd) ScanAll(k string, yield func(admit.Version) bool) error {
	return r.Reader.ScanAll(k, func(v state.Version) bool { return yield(admit.Version(v)) })
}

func (w *world) publisher(node string) *Publisher {
	return New(Config{
		Node: node, Cluster: "c1", Epoch: 1, Key: key, Store: w.store, Propose: w.log,
		Read: func(rev uint64) (admit.Reader, error) {
			r, err := w.store.At(rev)
			if err != nil {
				return nil, err
			}
			return rd{r}, nil
		},
		Kinds: []*kind.Kind{demo.Note()}, Log: slog.New(slog.DiscardHandler),
	})
}

// note writes notes in one transaction and returns its revision.
func (w *world) note(org, text string, names ...string) uint64 {
	w.t.Helper()
	tx := &statev1.Transaction{}
	for _, name := range names {
		value, err := proto.Marshal(&demov1.Note{
			Name: "notes/" + name, Organization: org,
			Spec: &demov1.NoteSpec{Text: text},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		tx.Ops = append(tx.Ops, &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
			Ref: &statev1.Ref{Kind: "dark.demo.v1.Note", Organization: org, Name: "notes/" + name}, Value: value,
		}}})
	}
	out, err := w.log.Propose(w.t.Context(), tx)
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Revision
}

// step takes the lease and publishes once.
func (w *world) step(p *Publisher) error {
	w.t.Helper()
	if p.generation == 0 {
		if err := p.takeLease(w.t.Context()); err != nil {
			return err
		}
	}
	_, err := p.publish(w.t.Context())
	return err
}

// frames opens all frames of a stream and checks that each follows the one before.
func (w *world) frames(stream string) []*feedv1.Frame {
	w.t.Helper()
	stored, err := w.store.Frames(stream, 0, 0, 10000)
	if err != nil {
		w.t.Fatal(err)
	}
	keys := frame.NewKeys(frame.Key{Public: key.Public().(ed25519.PublicKey)})
	var out []*feedv1.Frame
	var before *feedv1.Frame
	var hash []byte
	for _, s := range stored {
		f, h, err := frame.Open(s.Data, keys)
		if err != nil {
			w.t.Fatal(err)
		}
		if before != nil {
			next := f.Revision == before.Revision && f.Part == before.Part+1 && !before.Last
			next = next || f.Part == 0 && before.Last && f.PreviousRevision == before.Revision
			if !next || string(f.PreviousHash) != string(hash) {
				w.t.Fatalf("%s: %d.%d follows %d.%d (last %t)", stream, f.Revision, f.Part, before.Revision,
					before.Part, before.Last)
			}
		}
		before, hash = f, h[:]
		out = append(out, f)
	}
	if before != nil && !before.Last {
		w.t.Fatalf("%s ends with %d.%d, which is not the last part", stream, before.Revision, before.Part)
	}
	return out
}

// published is what a snapshot would give, by name.
func (w *world) published(stream string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	if _, err := w.store.Records(stream, func(i *feedv1.Item) error {
		out[i.Name] = string(i.Value)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestChangesSinceTheLastTimeShareAFrame(t *testing.T) {
	w := newWorld(t)
	p := w.publisher("one")
	w.note("a", "1", "x")
	w.note("a", "2", "x", "y")
	last := w.note("b", "3", "z")
	if err := w.step(p); err != nil {
		t.Fatal(err)
	}
	a, b := w.frames("org/a"), w.frames("org/b")
	if len(a) != 1 || len(a[0].Items) != 2 || a[0].Revision != last || len(b) != 1 {
		t.Fatalf("%d frames of a, the first with %v at %d; %d of b", len(a), a[0].Items, a[0].Revision, len(b))
	}
	if through, _ := w.store.Through(); through != last {
		t.Fatalf("published through %d, want %d", through, last)
	}
	if len(w.frames("system")) != 1 {
		t.Fatal("edges are not told of the publishing key")
	}
	more, err := p.publish(t.Context())
	if more || err != nil {
		t.Fatalf("nothing changed and it was published: %v", err)
	}
}

func TestAPublicationCutShortIsFinishedByTheNextPublisher(t *testing.T) {
	for cut := 1; cut < 8; cut++ {
		w := newWorld(t)
		for i := range 40 { // some 1.3 MB: several parts and transactions
			w.note("a", strings.Repeat("x", 32<<10), fmt.Sprint("n", i))
		}
		first, n := w.publisher("one"), 0
		if err := first.takeLease(t.Context()); err != nil {
			t.Fatal(err)
		}
		died := errs.New(errs.Unavailable, "died")
		w.log.fail = func(*statev1.Transaction) error {
			if n++; n >= cut {
				return died
			}
			return nil
		}
		if err := w.step(first); err == nil {
			if cut < 4 {
				t.Fatalf("the whole was published in %d transactions", n)
			}
			return // fewer transactions than cuts: all were tried
		}
		w.log.fail = nil
		w.note("a", "later", "n1")
		second := w.publisher("two")
		for range 3 {
			if err := w.step(second); err != nil {
				t.Fatal(err)
			}
		}
		fs := w.frames("org/a")
		if got := w.published("org/a"); len(got) != 40 || !strings.HasSuffix(got["notes/n1"], "later") {
			t.Fatalf("cut %d: %d records, %d frames", cut, len(got), len(fs))
		}
	}
}

func TestADeposedPublisherIsFenced(t *testing.T) {
	w := newWorld(t)
	old, next := w.publisher("old"), w.publisher("next")
	w.note("a", "1", "x")
	if err := w.step(old); err != nil {
		t.Fatal(err)
	}
	if err := next.takeLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.note("a", "2", "x")
	if err := w.step(old); !errs.Is(err, errs.Conflict) {
		t.Fatalf("the deposed publisher got %v", err)
	}
	if err := old.lostLease(errs.New(errs.Conflict, "x")); err != nil {
		t.Fatalf("it does not know why: %v", err)
	}
	if err := w.step(next); err != nil {
		t.Fatal(err)
	}
	if fs := w.frames("org/a"); len(fs) != 2 {
		t.Fatalf("%d frames", len(fs))
	}
}

// TestPublishedStateFollowsFromDesired publishes the same desired state in one step and
// in many, and compares what edges would be told.
func TestPublishedStateFollowsFromDesired(t *testing.T) {
	many, once := newWorld(t), newWorld(t)
	p := many.publisher("one")
	for i := range 60 {
		org, name, text := string(rune('a'+i%3)), fmt.Sprint("n", i%7), fmt.Sprint(i)
		many.note(org, text, name)
		once.note(org, text, name)
		if i%11 == 0 {
			for _, w := range []*world{many, once} {
				_, err := w.log.Propose(t.Context(),
					&statev1.Transaction{Ops: []*statev1.Op{{Op: &statev1.Op_DeleteResource{
						DeleteResource: &statev1.Ref{
							Kind: "dark.demo.v1.Note", Organization: org,
							Name: "notes/" + name,
						},
					}}}})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if i%2 == 0 {
			if err := many.step(p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := many.step(p); err != nil {
		t.Fatal(err)
	}
	if err := once.step(once.publisher("other")); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"org/a", "org/b", "org/c"} {
		if a, b := many.published(s), once.published(s); fmt.Sprint(a) != fmt.Sprint(b) || len(a) < 6 {
			t.Errorf("%s: %v and %v", s, a, b)
		}
		many.frames(s)
	}
}

func TestFramesAreForgottenByAgeAndSize(t *testing.T) {
	s, err := state.Open("state", state.Options{FS: vfs.NewMem(), RingBytes: 20 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &world{t: t, store: s, log: &log{store: s}}
	p := w.publisher("one")
	for i := range 100 {
		w.note("a", strings.Repeat("y", 1000), "x")
		if err := w.step(p); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := s.Frames("org/a", 0, 0, 10); !errors.Is(err, state.ErrCompacted) {
		t.Fatalf("from the beginning: %v", err)
	}
	head, err := s.Head("org/a")
	if err != nil {
		t.Fatal(err)
	}
	if fs, err := s.Frames("org/a", head.Revision, head.Part, 10); len(fs) != 0 || err != nil {
		t.Fatalf("from the end: %v, %v", fs, err)
	}
	n := 0
	for rev := head.Revision; rev > 0; rev-- {
		if fs, err := s.Frames("org/a", rev, 0, 100); err == nil {
			n = max(n, len(fs))
		}
	}
	if n < 10 || n > 20 {
		t.Fatalf("%d frames of some 1.2 KiB are kept in 20 KiB", n)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.publisher("one").Run(ctx) }()
	rev := w.note("a", "1", "x")
	if err := w.store.WaitPublished(ctx, rev-1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
