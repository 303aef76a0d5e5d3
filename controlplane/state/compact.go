package state

import (
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/cockroachdb/pebble/v2"

	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// compact forgets what nobody can read any more once revision is the oldest: versions
// that were replaced at or before it, deletions, and the change log below it. The caller
// keeps the steps small; each costs as much as the changes that it forgets.
func (a *applying) compact(revision uint64) error {
	var commits []*statev1.Commit
	err := scan(a.b, commitKey(0), commitKey(revision+1), func(_, v []byte) error {
		c := &statev1.Commit{}
		commits = append(commits, c)
		return proto.Unmarshal(v, c)
	})
	if err != nil {
		return err
	}
	for _, c := range commits {
		for _, ref := range c.Changed {
			if err := a.forget(ref, revision); err != nil {
				return err
			}
		}
		if c.Revision < revision {
			if err := a.b.Delete(commitKey(c.Revision), nil); err != nil {
				return err
			}
		}
	}
	a.p.Oldest = max(a.p.Oldest, revision)
	return nil
}

// forget drops the versions of ref that no reader at or after revision can see.
func (a *applying) forget(ref *statev1.Ref, revision uint64) error {
	u, err := a.use(ref.Organization)
	if err != nil {
		return err
	}
	latest, err := a.latest(ref)
	if err != nil {
		return err
	}
	delete(a.read, string(latestKey(ref))) // it may go, and a compaction reads very many
	// Newest first: the first one at or before revision is still seen, unless a newer
	// one stands at or before it; all others before it are not.
	seen := latest == nil || latest.Revision <= revision
	if seen && latest != nil && latest.Deleted {
		if err := a.b.Delete(latestKey(ref), nil); err != nil {
			return err
		}
	}
	it, err := a.b.NewIter(&pebble.IterOptions{LowerBound: olderKey(ref, 0), UpperBound: olderKey(ref, revision+1)})
	if err != nil {
		return err
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		v := &statev1.ResourceVersion{}
		if err := proto.Unmarshal(it.Value(), v); err != nil {
			return errors.Join(err, it.Close())
		}
		if !seen && !v.Deleted {
			seen = true
			continue
		}
		seen = true
		u.HistoryBytes -= min(u.HistoryBytes, uint64(len(it.Value())))
		if err := a.b.Delete(append([]byte(nil), it.Key()...), nil); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}
