package storage

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// world is the kinds over a model of the state, and what was published.
type world struct {
	t         testing.TB
	s         *Storage
	state     *statetest.State
	w         *admit.Writer
	now       time.Time
	published map[[3]string]kind.Record
	machines  map[string]*keyring.Machine
}

func newWorld(t testing.TB) *world {
	_, recovery, err := keyring.NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, state: statetest.New(), now: time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC),
		published: map[[3]string]kind.Record{}, machines: map[string]*keyring.Machine{},
	}
	w.s = New(Options{Root: keyring.NewRoot(), Recovery: recovery})
	w.w = &admit.Writer{
		State: w.state, Proposer: w.state, Clock: clock.At(func() time.Time { return w.now }),
		Validate: func(proto.Message) []kind.Violation { return nil },
	}
	return w
}

func (w *world) do(org string, build func(context.Context, *admit.Tx) error) error {
	_, err := w.w.Do(w.t.Context(), admit.Request{
		Organization: org, Caller: kind.Caller{Who: "test"},
		Origin: &statev1.Origin{Who: "test"},
	}, build)
	return err
}

// put writes a resource and returns the answer's message.
func (w *world) put(org string, k *kind.Kind, m proto.Message, o admit.Options) (out proto.Message, err error) {
	err = w.do(org, func(ctx context.Context, tx *admit.Tx) error {
		c, err := tx.Put(ctx, k, m, o)
		if err != nil {
			return err
		}
		out = proto.Clone(c.After)
		if c.Reply != nil {
			c.Reply(out)
		}
		return nil
	})
	return out, err
}

func (w *world) must(org string, k *kind.Kind, m proto.Message) proto.Message {
	w.t.Helper()
	out, err := w.put(org, k, m, admit.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) delete(org string, k *kind.Kind, name string) error {
	return w.do(org, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Delete(ctx, k, name, admit.Options{})
		return err
	})
}

func (w *world) organization(name string, placement map[string]string) {
	w.t.Helper()
	owned := identity.Owned{FullNames: func() []string {
		return nil
	}, FullName: func(string) (string, bool) { return "", false }}
	w.must("", identity.Organization(owned), &identityv1.Organization{
		Name: "organizations/" + name,
		Spec: &identityv1.OrganizationSpec{Placement: placement},
	})
}

// edge lets a machine join.
func (w *world) edge(name string, labels map[string]string) {
	w.t.Helper()
	m, err := keyring.LoadMachine(filepath.Join(w.t.TempDir(), name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.machines[name] = m
	w.node(&clusterv1.Node{
		Name: "nodes/" + name, Labels: labels,
		Spec: &clusterv1.NodeSpec{Role: "edge", MachineKey: []byte(m.Recipient())},
	})
}

// node stores a Node, as an enrolment does.
func (w *world) node(n *clusterv1.Node) {
	w.t.Helper()
	b, err := proto.Marshal(n)
	if err != nil {
		w.t.Fatal(err)
	}
	ref := &statev1.Ref{Kind: string(n.ProtoReflect().Descriptor().FullName()), Name: n.Name}
	tx := &statev1.Transaction{Ops: []*statev1.Op{{
		Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{Ref: ref, Value: b}},
	}}}
	if _, err := w.state.Propose(w.t.Context(), tx); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(stream, kind, name string) ([]byte, error) {
	return w.published[[3]string{stream, kind, name}].Value, nil
}

func (w *world) view(revision uint64) *admit.View {
	w.t.Helper()
	r, err := w.state.At(revision)
	if err != nil {
		w.t.Fatal(err)
	}
	return admit.NewView(r, w.read)
}

// emit publishes a record.
func (w *world) emit(r kind.Record) error {
	at := [3]string{r.Stream, r.Kind, r.Name}
	if r.Value == nil {
		delete(w.published, at)
		return nil
	}
	w.published[at] = r
	return nil
}

// publish does what the publisher does with the change of one resource since a revision.
func (w *world) publish(org string, k *kind.Kind, name string, since uint64) {
	w.t.Helper()
	before, after := w.view(max(since, 1)), w.view(0)
	p := kind.Publication{Before: before, After: after, Organization: org, Stored: name, Now: w.now}
	var err error
	if since > 0 {
		if p.Old, _, err = before.Get(w.t.Context(), k.FullName(), org, name); err != nil {
			w.t.Fatal(err)
		}
	}
	if p.New, _, err = after.Get(w.t.Context(), k.FullName(), org, name); err != nil {
		w.t.Fatal(err)
	}
	if k.Deny != nil {
		if err := k.Deny(w.t.Context(), p, w.emit); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := k.Publish(w.t.Context(), p, w.emit); err != nil {
		w.t.Fatal(err)
	}
}

// pass makes a pass and publishes what it sealed; it returns how many records changed.
func (w *world) pass() int {
	w.t.Helper()
	r, err := w.state.At(0)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.s.Pass(w.t.Context(), r, w.read, w.now); err != nil {
		w.t.Fatal(err)
	}
	return w.drain()
}

func (w *world) drain() int {
	w.t.Helper()
	n := 0
	for {
		r, err := w.state.At(0)
		if err != nil {
			w.t.Fatal(err)
		}
		records, err := w.s.Records(r, w.read)
		if err != nil {
			w.t.Fatal(err)
		}
		more := 0
		for _, r := range records {
			if have, _ := w.read(r.Stream, r.Kind, r.Name); string(have) != string(r.Value) {
				more++
				if err := w.emit(r); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		n += more
		if more == 0 {
			return n
		}
	}
}

// keysOf opens what an edge was told of a bucket or key; an error when it cannot.
func (w *world) keysOf(edge, org, name string) (*storagev1.Keys, error) {
	w.t.Helper()
	value, _ := w.read("org/"+org, publishedKeys, name)
	p := &storagev1.PublishedKeys{}
	if err := proto.Unmarshal(value, p); err != nil || value == nil {
		w.t.Fatalf("%s: %v, %d octets", name, err, len(value))
	}
	plain, err := w.machines[edge].OpenSealed(p.Sealed)
	if err != nil {
		return nil, err
	}
	out := &storagev1.Keys{}
	return out, proto.Unmarshal(plain, out)
}

func (w *world) signingKeys(edge, org, id string) (*storagev1.SigningKeys, error) {
	w.t.Helper()
	value, _ := w.read("org/"+org, publishedAccessKey, "accesskeys/"+id)
	p := &storagev1.PublishedAccessKey{}
	if err := proto.Unmarshal(value, p); err != nil || value == nil {
		w.t.Fatalf("%s: %v, %d octets", id, err, len(value))
	}
	plain, err := w.machines[edge].OpenSealed(p.Sealed)
	if err != nil {
		return nil, err
	}
	out := &storagev1.SigningKeys{}
	return out, proto.Unmarshal(plain, out)
}
