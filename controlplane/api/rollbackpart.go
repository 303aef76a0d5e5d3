package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// partOctets is how much the resources of one part have as a transaction, about: what they
// will be, and their names in rows, claims and preconditions (see admit.MaxTransaction).
const partOctets = 400_000

// A rollback has two phases: first what only ends, children before parents, then what is made
// or changed, parents first. Record sets of one owner stay together, so that the name answers
// at each moment: a CNAME goes in the transaction that brings the addresses back.
const (
	phaseEnds = "ends"
	phasePuts = "puts"
)

// partPlace is how far a rollback has come: through a name of a kind, in a phase.
type partPlace struct{ phase, kind, name string }

// part is what one transaction of a rollback changes.
type part struct {
	todo    []delta
	octets  int // of the answer
	written int // of the transaction
	through partPlace
	more    bool // something did not fit
	total   uint64
}

// add takes a group whole, or not at all.
func (p *part) add(group []delta, most int) {
	p.total += uint64(len(group))
	octets, written := 0, 0
	for _, d := range group {
		octets += d.octets()
		written += 8 * len(d.name)
		if d.after != nil {
			written += proto.Size(d.after)
		}
	}
	full := len(p.todo)+len(group) > most || p.octets+octets > maxChanged || p.written+written > partOctets
	if p.more || full && len(p.todo) > 0 {
		p.more = true
		return
	}
	p.todo = append(p.todo, group...)
	p.octets, p.written = p.octets+octets, p.written+written
}

// next collects the part that begins at r.from.
func (r *rollback) next(ctx context.Context, now admit.Reader) (*part, error) {
	p := &part{}
	begun := r.from == partPlace{}
	for _, phase := range []string{phaseEnds, phasePuts} {
		for _, k := range inOrder(r.kinds, phase) {
			at := partPlace{phase: phase, kind: k.FullName()}
			if !begun {
				if r.from.phase != at.phase || r.from.kind != at.kind {
					continue
				}
				begun, at.name = true, r.from.name
			}
			if err := r.collect(ctx, now, k, at, p); err != nil || p.more && !r.counts() {
				return p, err
			}
		}
	}
	return p, nil
}

// collect adds what differs of one kind in one phase.
func (r *rollback) collect(ctx context.Context, now admit.Reader, k *kind.Kind, at partPlace, p *part) error {
	var group []delta
	end := func() bool {
		if len(group) == 0 || onlyEnds(group) != (at.phase == phaseEnds) {
			group = nil
			return true
		}
		slices.SortStableFunc(group, func(a, b delta) int { return endsFirst(a) - endsFirst(b) })
		last := group[len(group)-1]
		for _, d := range group {
			if d.name > last.name {
				last = d
			}
		}
		if p.add(group, r.most); !p.more {
			p.through = partPlace{at.phase, at.kind, last.name}
		}
		group = nil
		return !p.more || r.counts()
	}
	err := r.s.deltasAfter(ctx, now, r.then, k, r.q.NamePrefix, at.name, func(d delta) bool {
		if len(group) > 0 && !together(k, group[0].name, d.name) && !end() {
			return false
		}
		group = append(group, d)
		return true
	})
	if err == nil && (!p.more || r.counts()) {
		end()
	}
	return err
}

func onlyEnds(group []delta) bool {
	return !slices.ContainsFunc(group, func(d delta) bool { return d.after != nil })
}

func endsFirst(d delta) int {
	if d.after == nil {
		return 0
	}
	return 1
}

// together reports whether two resources are of one owner: their names differ in the last
// variable alone, and one stands before it.
func together(k *kind.Kind, a, b string) bool {
	segments := strings.Split(k.Pattern, "/")
	if n := len(segments); n < 2 || !strings.HasPrefix(segments[n-2], "{") {
		return false
	}
	return a[:strings.LastIndexByte(a, '/')+1] == b[:strings.LastIndexByte(b, '/')+1]
}

// inOrder sorts kinds as a phase goes through them.
func inOrder(kinds []*kind.Kind, phase string) []*kind.Kind {
	kinds = slices.Clone(kinds)
	slices.SortStableFunc(kinds, func(a, b *kind.Kind) int {
		if phase == phaseEnds {
			a, b = b, a
		}
		return admit.Depth(a) - admit.Depth(b)
	})
	return kinds
}

// partToken says where the next part begins, for this rollback alone.
func (s *resources) partToken(ctx context.Context, q *resourcev1.RollbackRequest, p partPlace) string {
	return s.pages.token(partList(ctx, q), q.ToRevision, p.phase+" "+p.kind+" "+p.name)
}

func partList(ctx context.Context, q *resourcev1.RollbackRequest) string {
	return fmt.Sprintf("rollback\x00%s\x00%s\x00%s", askedOf(ctx).caller.Organization, q.Kind, q.NamePrefix)
}

// partFrom reads the token of a request; without one a rollback begins at its beginning.
func (s *resources) partFrom(ctx context.Context, q *resourcev1.RollbackRequest) (partPlace, error) {
	if q.PageToken == "" {
		return partPlace{}, nil
	}
	if !q.InParts {
		return partPlace{}, errs.Bad(errs.Field{
			Name: "pageToken",
			Text: "belongs to a rollback in parts; set inParts too",
		})
	}
	revision, text, err := s.pages.read(partList(ctx, q), q.PageToken)
	fields := strings.SplitN(text, " ", 3)
	if err != nil || revision != q.ToRevision || len(fields) != 3 {
		return partPlace{}, errors.Join(err, errs.Bad(errs.Field{
			Name: "pageToken",
			Text: "not a token of this rollback; begin again without one",
		}))
	}
	return partPlace{fields[0], fields[1], fields[2]}, nil
}
