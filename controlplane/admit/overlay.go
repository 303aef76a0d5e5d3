package admit

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// maxMemo bounds what a View remembers of single reads.
const maxMemo = 128

type ref struct{ kind, organization, name string }

// View is a kind.Reader over the state at one revision. Messages that it returns are
// shared and must not be changed. It is for one goroutine.
type View struct {
	r    Reader
	pub  func(stream, kind, name string) ([]byte, error)
	memo map[ref]memoed
}

type memoed struct {
	m   proto.Message
	rev uint64
}

// NewView reads through r; published records come from pub, which may be nil.
func NewView(r Reader, pub func(stream, kind, name string) ([]byte, error)) *View {
	return &View{r: r, pub: pub, memo: map[ref]memoed{}}
}

// Revision that is read at.
func (v *View) Revision() uint64 { return v.r.Revision() }

// Get is kind.Reader's.
func (v *View) Get(_ context.Context, kind, organization, stored string) (proto.Message, uint64, error) {
	at := ref{kind, organization, stored}
	if got, ok := v.memo[at]; ok {
		return got.m, got.rev, nil
	}
	ver, ok, err := v.r.Get(kind, organization, stored)
	if err != nil {
		return nil, 0, err
	}
	var got memoed
	if ok {
		m, err := Decode(kind, ver.Value)
		if err != nil {
			return nil, 0, err
		}
		got = memoed{m, ver.Revision}
	}
	if len(v.memo) >= maxMemo {
		clear(v.memo)
	}
	v.memo[at] = got
	return got.m, got.rev, nil
}

// List is kind.Reader's.
func (v *View) List(_ context.Context, kind, organization, prefix string,
	yield func(string, proto.Message) bool,
) error {
	var bad error
	err := v.r.Scan(kind, organization, prefix, "", func(ver Version) bool {
		m, err := Decode(kind, ver.Value)
		if err != nil {
			bad = err
			return false
		}
		return yield(ver.Name, m)
	})
	if err == nil {
		err = bad
	}
	return err
}

// Published is kind.Reader's.
func (v *View) Published(stream, kind, name string) ([]byte, error) {
	if v.pub == nil {
		return nil, nil
	}
	return v.pub(stream, kind, name)
}

// Overlay is a kind.Reader that sees the pending writes of one transaction above a
// base. Get returns the revision in the base, so that preconditions, which are judged
// before the transaction's own changes, can be made of it.
type Overlay struct {
	base    kind.Reader
	pending map[ref]proto.Message // nil: deleted
}

// NewOverlay returns an overlay without pending writes.
func NewOverlay(base kind.Reader) *Overlay {
	return &Overlay{base: base, pending: map[ref]proto.Message{}}
}

// Set makes a write pending; nil deletes.
func (o *Overlay) Set(kind, organization, stored string, m proto.Message) {
	o.pending[ref{kind, organization, stored}] = m
}

// Pending reports whether the transaction already writes a resource.
func (o *Overlay) Pending(kind, organization, stored string) bool {
	_, ok := o.pending[ref{kind, organization, stored}]
	return ok
}

// Revision of the base.
func (o *Overlay) Revision() uint64 { return o.base.Revision() }

// Get is kind.Reader's.
func (o *Overlay) Get(ctx context.Context, kind, organization, stored string) (proto.Message, uint64, error) {
	m, rev, err := o.base.Get(ctx, kind, organization, stored)
	if err != nil {
		return nil, 0, err
	}
	if p, ok := o.pending[ref{kind, organization, stored}]; ok {
		return p, rev, nil
	}
	return m, rev, nil
}

// List is kind.Reader's.
func (o *Overlay) List(ctx context.Context, kind, organization, prefix string,
	yield func(string, proto.Message) bool,
) error {
	var names []string
	for r := range o.pending {
		if r.kind == kind && r.organization == organization && strings.HasPrefix(r.name, prefix) {
			names = append(names, r.name)
		}
	}
	slices.Sort(names)
	stopped := false
	give := func(name string, m proto.Message) bool {
		if m != nil && !yield(name, m) {
			stopped = true
		}
		return !stopped
	}
	err := o.base.List(ctx, kind, organization, prefix, func(stored string, m proto.Message) bool {
		for len(names) > 0 && names[0] < stored {
			if !give(names[0], o.pending[ref{kind, organization, names[0]}]) {
				return false
			}
			names = names[1:]
		}
		if len(names) > 0 && names[0] == stored {
			m, names = o.pending[ref{kind, organization, stored}], names[1:]
		}
		return give(stored, m)
	})
	for _, n := range names {
		if err != nil || stopped {
			break
		}
		give(n, o.pending[ref{kind, organization, n}])
	}
	return err
}

// Published is kind.Reader's.
func (o *Overlay) Published(stream, kind, name string) ([]byte, error) {
	return o.base.Published(stream, kind, name)
}
