package state

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Version is one version of a resource.
type Version struct {
	Kind, Organization, Name string // Name as stored
	Revision                 uint64 // of this change
	Created                  uint64 // revision of its creation
	CreatedTime, Time        time.Time
	Value                    []byte // the message's bytes as they were received
	Deleted                  bool
}

func version(kind, organization, name string, v *statev1.ResourceVersion) Version {
	return Version{
		Kind: kind, Organization: organization, Name: name,
		Revision: v.Revision, Created: v.CreatedRevision,
		CreatedTime: time.Unix(0, v.CreatedTime).UTC(), Time: time.Unix(0, v.Time).UTC(),
		Value: v.Value, Deleted: v.Deleted,
	}
}

// Reader reads desired state as it was at one revision. It must be closed. It is not
// for use by several goroutines at once.
type Reader struct {
	rows     *pebble.Snapshot
	release  func()
	revision uint64
	latest   uint64 // revision of the rows themselves
}

// At opens a reader at a revision; 0 is the latest on this member. An error has the kind
// Expired for a revision that is no longer kept, NotFound for one that is yet to come.
func (s *Store) At(revision uint64) (*Reader, error) {
	db, release, err := s.db.Acquire()
	if err != nil {
		return nil, err
	}
	r := &Reader{rows: db.NewSnapshot(), release: release}
	p := &statev1.Progress{}
	if err := getProto(r.rows, []byte{rowProgress}, p); err != nil && !errors.Is(err, pebble.ErrNotFound) {
		r.Close()
		return nil, fmt.Errorf("read where the state is: %w", err)
	}
	r.revision, r.latest = revision, p.Revision
	switch {
	case revision == 0:
		r.revision = p.Revision
	case revision > p.Revision:
		r.Close()
		return nil, errs.New(errs.NotFound, "revision %d is yet to come; the latest is %d", revision, p.Revision)
	case revision < p.Oldest:
		r.Close()
		return nil, errs.New(errs.Expired, "revision %d is no longer kept; the oldest is %d", revision, p.Oldest)
	}
	return r, nil
}

// Close lets go of what the reader held.
func (r *Reader) Close() {
	_ = r.rows.Close() // a snapshot that is closed twice is ours to mend, and nothing else fails
	r.release()
}

// Revision is the revision that is read at.
func (r *Reader) Revision() uint64 { return r.revision }

// Get returns a live resource by its stored name.
func (r *Reader) Get(kind, organization, name string) (Version, bool, error) {
	ref := &statev1.Ref{Kind: kind, Organization: organization, Name: name}
	v := &statev1.ResourceVersion{}
	err := getProto(r.rows, latestKey(ref), v)
	if errors.Is(err, pebble.ErrNotFound) {
		return Version{}, false, nil
	}
	if err != nil {
		return Version{}, false, fmt.Errorf("read %s: %w", name, err)
	}
	if v, err = r.asOf(ref, v); err != nil || v == nil || v.Deleted {
		return Version{}, false, err
	}
	return version(kind, organization, name, v), true, nil
}

// asOf returns the version of ref that was there at the reader's revision, given the
// latest; nil when there was none.
func (r *Reader) asOf(ref *statev1.Ref, v *statev1.ResourceVersion) (*statev1.ResourceVersion, error) {
	if v.Revision <= r.revision {
		return v, nil
	}
	it, err := r.rows.NewIter(&pebble.IterOptions{
		LowerBound: olderKey(ref, 0),
		UpperBound: olderKey(ref, r.revision+1),
	})
	if err != nil {
		return nil, err
	}
	if !it.Last() {
		return nil, errors.Join(it.Error(), it.Close())
	}
	old := &statev1.ResourceVersion{}
	return old, errors.Join(proto.Unmarshal(it.Value(), old), it.Close())
}

// Scan calls yield for each live resource whose stored name begins with prefix and sorts
// above after (empty: from the first), by name, until it returns false.
func (r *Reader) Scan(kind, organization, prefix, after string, yield func(Version) bool) error {
	from := prefixKey(rowLatest, kind, organization, prefix)
	lower := from
	if after != "" {
		lower = append(key(rowLatest, kind, organization, after), 0)
	}
	return r.scan(lower, upperBound(from), yield)
}

// ScanAll is Scan over all organizations, by organization and name.
func (r *Reader) ScanAll(kind string, yield func(Version) bool) error {
	from := key(rowLatest, kind)
	return r.scan(from, upperBound(from), yield)
}

func upperBound(prefix []byte) []byte { return after(prefix) }

func (r *Reader) scan(lower, upper []byte, yield func(Version) bool) error {
	err := scan(r.rows, lower, upper, func(k, value []byte) error {
		v := &statev1.ResourceVersion{}
		if err := proto.Unmarshal(value, v); err != nil {
			return err
		}
		t := texts(k)
		if v.Revision > r.revision {
			var err error
			if v, err = r.asOf(&statev1.Ref{Kind: t[0], Organization: t[1], Name: t[2]}, v); err != nil {
				return err
			}
		}
		if v != nil && !v.Deleted && !yield(version(t[0], t[1], t[2], v)) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// Group is what the stored names of some resources have in common.
type Group struct{ Organization, Name string }

// Groups lists the different beginnings, of n parts with their slashes, of a kind's
// stored names. It costs a seek for each, not for each resource.
func (s *Store) Groups(kind string, n int) ([]Group, error) {
	var out []Group
	from := key(rowLatest, kind)
	err := s.db.With(func(db *pebble.DB) error {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(from)})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			t := texts(it.Key())
			parts := strings.SplitAfterN(t[2], "/", n+1)
			name := strings.Join(parts[:min(n, len(parts))], "")
			out = append(out, Group{t[1], name})
			ok = it.SeekGE(after(prefixKey(rowLatest, kind, t[1], name)))
		}
		return errors.Join(it.Error(), it.Close())
	})
	return out, err
}

// Pair is a resource before and after; nil where there was none.
type Pair struct{ Before, After *Version }

// History returns the versions of a resource, newest first, deletions included, that
// were made before a revision (0: all), at most limit.
func (s *Store) History(kind, organization, name string, before uint64, limit int) ([]Version, error) {
	var out []Version
	ref := &statev1.Ref{Kind: kind, Organization: organization, Name: name}
	err := s.db.With(func(db *pebble.DB) error {
		add := func(v *statev1.ResourceVersion) {
			if (before == 0 || v.Revision < before) && len(out) < limit {
				out = append(out, version(kind, organization, name, v))
			}
		}
		rows := db.NewSnapshot()
		defer rows.Close()
		v := &statev1.ResourceVersion{}
		if err := getProto(rows, latestKey(ref), v); err == nil {
			add(v)
		} else if !errors.Is(err, pebble.ErrNotFound) {
			return err
		}
		it, err := rows.NewIter(&pebble.IterOptions{
			LowerBound: olderKey(ref, 0),
			UpperBound: append(olderKey(ref, ^uint64(0)), 0),
		})
		if err != nil {
			return err
		}
		for ok := it.Last(); ok && len(out) < limit; ok = it.Prev() {
			old := &statev1.ResourceVersion{}
			if err := proto.Unmarshal(it.Value(), old); err != nil {
				return errors.Join(err, it.Close())
			}
			add(old)
		}
		return errors.Join(it.Error(), it.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", name, err)
	}
	return out, nil
}

// commitOctets is how many octets Commits reads at once; the last commit may exceed it.
const commitOctets = 1 << 20

// Commits returns the change log after a revision, oldest first: at most limit, and fewer
// where those are large, but one at least where there is one. Asking from before what is kept is an error of kind
// Expired, never a gap.
func (s *Store) Commits(after uint64, limit int) ([]*statev1.Commit, error) {
	var out []*statev1.Commit
	err := s.db.With(func(db *pebble.DB) error {
		rows := db.NewSnapshot()
		defer rows.Close()
		p := &statev1.Progress{}
		if err := getProto(rows, []byte{rowProgress}, p); err != nil && !errors.Is(err, pebble.ErrNotFound) {
			return err
		}
		if after+1 < p.Oldest {
			return errs.New(errs.Expired, "changes after revision %d are no longer kept; the oldest revision is %d",
				after, p.Oldest)
		}
		octets := 0
		return scan(rows, commitKey(after+1), []byte{rowCommit + 1}, func(_, v []byte) error {
			if octets += len(v); len(out) == limit || len(out) > 0 && octets > commitOctets {
				return errEnough
			}
			c := &statev1.Commit{}
			out = append(out, c)
			return proto.Unmarshal(v, c)
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

// WaitRevision waits until this member's revision is above after.
func (s *Store) WaitRevision(ctx context.Context, after uint64) error {
	return s.wait(ctx.Done(), ctx.Err, func(p *statev1.Progress) bool { return p.Revision > after })
}

// WaitChange waits until a resource has changed after a revision.
func (s *Store) WaitChange(ctx context.Context, after uint64) error {
	return s.wait(ctx.Done(), ctx.Err, func(p *statev1.Progress) bool { return p.LastChange > after })
}

// wait returns nil when cond holds of the state.
func (s *Store) wait(done <-chan struct{}, why func() error, cond func(*statev1.Progress) bool) error {
	for {
		s.mu.Lock()
		changed := s.mu.changed
		s.mu.Unlock()
		if cond(s.at.Load()) {
			return nil
		}
		select {
		case <-changed:
		case <-done:
			return why()
		}
	}
}

// Meta returns a key of the installation's own and the revision of its last change; nil
// and 0 when it does not exist.
func (s *Store) Meta(name string) (value []byte, revision uint64, err error) {
	m := &statev1.MetaValue{}
	err = s.db.With(func(db *pebble.DB) error { return getProto(db, key(rowMeta, name), m) })
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, 0, nil
	}
	return m.Value, m.Revision, err
}

// MetaNames lists the keys of the installation's own that begin with prefix.
func (s *Store) MetaNames(prefix string) ([]string, error) {
	var names []string
	from := prefixKey(rowMeta, prefix)
	err := s.db.With(func(db *pebble.DB) error {
		return scan(db, from, after(from), func(k, _ []byte) error {
			names = append(names, strings.Clone(texts(k)[0]))
			return nil
		})
	})
	return names, err
}

// Lease returns a lease as it is now.
func (s *Store) Lease(name string) (*statev1.Lease, error) {
	l := &statev1.Lease{}
	err := s.db.With(func(db *pebble.DB) error { return getProto(db, key(rowLease, name), l) })
	if errors.Is(err, pebble.ErrNotFound) {
		err = nil
	}
	return l, err
}

// VerifyAudit computes the hash of each commit kept again. brokenAt is the first
// revision whose hash does not follow from the one before; 0 when all do.
func (s *Store) VerifyAudit() (checked, brokenAt uint64, head []byte, err error) {
	var prev []byte
	var last uint64
	err = s.db.With(func(db *pebble.DB) error {
		rows := db.NewSnapshot()
		defer rows.Close()
		return scan(rows, []byte{rowCommit}, []byte{rowCommit + 1}, func(_, v []byte) error {
			c := &statev1.Commit{}
			if err := proto.Unmarshal(v, c); err != nil {
				return err
			}
			stored := c.Hash
			c.Hash = nil
			// The first commit kept is where a compacted chain begins: it is taken as it is.
			if prev != nil || c.Revision == 1 {
				if prev == nil {
					prev = make([]byte, len(stored))
				}
				hash, err := chain(prev, c)
				if err != nil {
					return err
				}
				if brokenAt == 0 && (string(hash) != string(stored) || c.Revision != last+1) {
					brokenAt = c.Revision
				}
			}
			checked++
			prev, last = stored, c.Revision
			return nil
		})
	})
	if p := s.at.Load(); brokenAt == 0 && last == p.Revision && string(prev) != string(p.AuditHead) && p.Revision > 0 {
		brokenAt = p.Revision
	}
	return checked, brokenAt, prev, err
}
