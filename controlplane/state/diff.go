package state

import (
	"slices"
	"strings"

	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Diff compares the resources that changed after revision from up to revision to, as
// they were at the one and at the other, for which keep returns true; at most limit,
// by kind, organization and name. It reads the change log, so it costs what changed.
func (s *Store) Diff(from, to uint64, keep func(*statev1.Ref) bool,
	limit int,
) (pairs []Pair, truncated bool, err error) {
	before, err := s.At(from)
	if err != nil {
		return nil, false, err
	}
	defer before.Close()
	now, err := s.At(to)
	if err != nil {
		return nil, false, err
	}
	defer now.Close()
	refs, err := s.Changed(from, now.Revision(), keep)
	if err != nil {
		return nil, false, err
	}
	for _, ref := range refs {
		p, err := pair(before, now, ref)
		if err != nil {
			return nil, false, err
		}
		if p.Before == nil && p.After == nil || p.Before != nil && p.After != nil &&
			string(p.Before.Value) == string(p.After.Value) {
			continue
		}
		if len(pairs) == limit {
			return pairs, true, nil
		}
		pairs = append(pairs, p)
	}
	return pairs, false, nil
}

func pair(before, now *Reader, ref *statev1.Ref) (Pair, error) {
	var p Pair
	b, ok, err := before.Get(ref.Kind, ref.Organization, ref.Name)
	if err != nil {
		return p, err
	}
	if ok {
		p.Before = &b
	}
	a, ok, err := now.Get(ref.Kind, ref.Organization, ref.Name)
	if ok {
		p.After = &a
	}
	return p, err
}

// Changed lists what the commits in (from, to] changed, each once, in order of kind,
// organization and name.
func (s *Store) Changed(from, to uint64, keep func(*statev1.Ref) bool) ([]*statev1.Ref, error) {
	seen := map[string]*statev1.Ref{}
	for at := from; at < to; {
		commits, err := s.Commits(at, 16) // one of an import has thousands of names
		if err != nil {
			return nil, err
		}
		if len(commits) == 0 {
			break
		}
		for _, c := range commits {
			at = c.Revision
			if c.Revision > to {
				break
			}
			for _, ref := range c.Changed {
				if keep == nil || keep(ref) {
					seen[string(latestKey(ref))] = ref
				}
			}
		}
	}
	refs := make([]*statev1.Ref, 0, len(seen))
	for _, ref := range seen {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, func(a, b *statev1.Ref) int {
		return strings.Compare(string(latestKey(a)), string(latestKey(b)))
	})
	return refs, nil
}
