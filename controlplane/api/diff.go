package api

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// maxDiff bounds what a diff lists and what a rollback may change.
const maxDiff = 2000

func itoa(i int) string { return strconv.Itoa(i) }

// errFields returns the fields of an Invalid error, at least one.
func errFields(err error) []errs.Field {
	var e *errs.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return e.Fields
	}
	return []errs.Field{{Text: err.Error()}}
}

// delta is one resource that differs.
type delta struct {
	k             *kind.Kind
	name          string
	before, after proto.Message
}

func (d delta) action() admit.Action {
	switch {
	case d.before == nil:
		return admit.Create
	case d.after == nil:
		return admit.Delete
	}
	return admit.Update
}

// octets is how many octets both sides have together.
func (d delta) octets() int {
	n := 0
	for _, m := range []proto.Message{d.before, d.after} {
		if m != nil {
			n += proto.Size(m)
		}
	}
	return n
}

// cursor walks the live resources of a kind at one revision, by name.
type cursor struct {
	r        admit.Reader
	v        *admit.View
	k        *kind.Kind
	org      string
	prefix   string // of stored names
	names    string // of names as the API shows them
	through  string // only names after it, as the API shows them
	batch    []admit.Version
	after    string
	finished bool
	name     string
	ver      admit.Version
}

const cursorBatch = 2048

// next moves to the next live resource; false at the end.
func (c *cursor) next(ctx context.Context) (bool, error) {
	for {
		if len(c.batch) == 0 {
			if c.finished {
				return false, nil
			}
			if err := c.fill(); err != nil {
				return false, err
			}
			continue
		}
		c.ver, c.batch = c.batch[0], c.batch[1:]
		name, ok, err := liveName(ctx, c.v, c.k, c.org, c.ver.Name)
		if err != nil {
			return false, err
		}
		if ok && name > c.through && strings.HasPrefix(name, c.names) {
			c.name = name
			return true, nil
		}
	}
}

func (c *cursor) fill() error {
	c.batch = c.batch[:0:0]
	octets := 0
	c.finished = true
	return c.r.Scan(c.k.FullName(), c.org, c.prefix, c.after, func(v admit.Version) bool {
		v.Value = append([]byte(nil), v.Value...)
		c.batch = append(c.batch, v)
		c.after = v.Name
		octets += len(v.Value)
		c.finished = len(c.batch) < cursorBatch && octets < pageOctets
		return c.finished
	})
}

// liveName returns the name under which a stored resource is shown; false when it is
// shown under none, as what an unfinished import wrote.
func liveName(ctx context.Context, v kind.Reader, k *kind.Kind, org, stored string) (string, bool, error) {
	if k.Locate == nil {
		return stored, true, nil
	}
	name := k.Unlocate(stored)
	if name == "" {
		return "", false, nil
	}
	at, _, err := k.Locate(ctx, v, org, name)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) {
		return "", false, nil
	}
	return name, at == stored, err
}

// differ yields what differs between two revisions for one kind, by name, until yield
// returns false. Both sides are read in step, so that memory does not grow with them.
// The messages are what people decide; a change of status alone is none.
func differ(ctx context.Context, a, b *cursor, yield func(delta) bool) error {
	okA, err := a.next(ctx)
	if err != nil {
		return err
	}
	okB, err := b.next(ctx)
	if err != nil {
		return err
	}
	for okA || okB {
		moveA := okA && (!okB || a.name <= b.name)
		moveB := okB && (!okA || b.name <= a.name)
		d := delta{k: a.k}
		if moveA {
			d.name = a.name
			if d.before, err = desired(a.k, a.ver); err != nil {
				return err
			}
		}
		if moveB {
			d.name = b.name
			if d.after, err = desired(b.k, b.ver); err != nil {
				return err
			}
		}
		if !(moveA && moveB && proto.Equal(d.before, d.after)) && !yield(d) {
			return nil
		}
		if moveA {
			if okA, err = a.next(ctx); err != nil {
				return err
			}
		}
		if moveB {
			if okB, err = b.next(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func desired(k *kind.Kind, v admit.Version) (proto.Message, error) {
	m, err := admit.Decode(k.FullName(), v.Value)
	if err != nil {
		return nil, err
	}
	return admit.Desired(m), nil
}

// deltas yields what differs between two readers for kinds of the caller's.
func (c *core) deltas(ctx context.Context, from, to admit.Reader, kinds []*kind.Kind, names string,
	yield func(delta) bool,
) error {
	more := true
	for _, k := range kinds {
		err := c.deltasAfter(ctx, from, to, k, names, "", func(d delta) bool { more = yield(d); return more })
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// deltasAfter yields what differs for one kind, of the names after one.
func (c *core) deltasAfter(ctx context.Context, from, to admit.Reader, k *kind.Kind, names, through string,
	yield func(delta) bool,
) error {
	a, err := c.cursor(ctx, from, k, names, through)
	if err != nil {
		return err
	}
	b, err := c.cursor(ctx, to, k, names, through)
	if err != nil {
		return err
	}
	return differ(ctx, a, b, yield)
}

// cursor begins after a name.
func (c *core) cursor(ctx context.Context, r admit.Reader, k *kind.Kind, names, through string) (*cursor, error) {
	out := &cursor{
		r: r, v: c.view(r), k: k, org: organization(askedOf(ctx), k), prefix: names, names: names,
		through: through, after: through,
	}
	if k.Locate == nil {
		return out, nil
	}
	out.prefix, out.after = "", "" // stored names differ from those shown; the cursor compares the latter
	if through == "" {
		return out, nil
	}
	at, _, err := k.Locate(ctx, out.v, out.org, through)
	switch {
	case err == nil:
		out.after = at
	case errs.Is(err, errs.NotFound): // its parent is not there at that revision: go through all
		err = nil
	}
	return out, err
}

func (s *resources) Diff(ctx context.Context, q *resourcev1.DiffRequest) (*resourcev1.DiffResponse, error) {
	kinds, err := s.kindsFor(ctx, q.Kind, "read")
	if err != nil {
		return nil, err
	}
	to, err := s.reader(ctx, q.ToRevision, false)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	if q.FromRevision > to.Revision() {
		return nil, errs.Bad(errs.Field{Name: "fromRevision", Text: "is after the revision that it is compared with"})
	}
	from, err := s.earlier(q.FromRevision)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	out := &resourcev1.DiffResponse{FromRevision: q.FromRevision, ToRevision: to.Revision()}
	var bad error
	octets := 0
	err = s.deltas(ctx, from, to, kinds, q.NamePrefix, func(d delta) bool {
		octets += d.octets()
		if len(out.Changes) == maxDiff || len(out.Changes) > 0 && octets > pageOctets {
			out.Truncated = true
			return false
		}
		ch, err := change(d.k, d.action(), d.name, d.before, d.after, 0)
		if err != nil {
			bad = err
			return false
		}
		out.Changes = append(out.Changes, ch)
		return true
	})
	if err == nil {
		err = bad
	}
	return out, err
}

// earlier opens a past revision; 0 is the beginning, where nothing was.
func (c *core) earlier(revision uint64) (admit.Reader, error) {
	if revision == 0 {
		return nothing{}, nil
	}
	return c.state.At(revision)
}

// nothing is the state before the first revision.
type nothing struct{}

func (nothing) Revision() uint64 { return 0 }
func (nothing) Close()           {}
func (nothing) Get(string, string, string) (admit.Version, bool, error) {
	return admit.Version{}, false, nil
}
func (nothing) Scan(string, string, string, string, func(admit.Version) bool) error { return nil }
func (nothing) ScanAll(string, func(admit.Version) bool) error                      { return nil }
