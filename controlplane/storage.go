package controlplane

import (
	"context"
	"slices"
	"time"

	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/internal/kind"
)

const (
	// storageLook is how often it is looked whether edges or their organizations changed.
	storageLook = time.Second
	// storageEvery is how often a pass is made though nothing changed: days come.
	storageEvery = time.Minute
)

// Storage makes the kinds of buckets and their keys with this cluster's root key, and
// has the leader keep what is sealed for edges.
func (n *Node) Storage(o storage.Options) *storage.Storage {
	o.Root, o.Recovery, o.Meta = n.core.root, n.keys.RecoveryRecipient, n.core.store.Meta
	o.Keeps, o.Objects = n.keepsObjects, n.objects
	n.storage = storage.New(o)
	return n.storage
}

// keepsObjects says whether an edge compiles buckets, and so has a store; of one that is
// not connected to this node that is not known.
func (n *Node) keepsObjects(edge string) bool {
	if n.feed == nil {
		return true
	}
	st, known := n.feed.Status()[edge]
	return !known || len(st.Kinds) == 0 || slices.Contains(st.Kinds, storage.PublishedBucket)
}

// runStorage makes passes over the keys of storage while this node leads.
func (n *Node) runStorage(ctx context.Context) {
	if n.storage == nil {
		return
	}
	n.storage.Reset()
	var seen uint64
	var last time.Time
	every(ctx, storageLook, func(ctx context.Context) {
		at, now := n.core.store.LastChange(), n.cfg.Clock.Now()
		due := now.Sub(last) >= storageEvery || now.Before(last)
		if !due && (at == seen || !placementChanged(n.core.store, seen, at)) {
			seen = max(seen, at)
			return
		}
		sealed, err := n.passStorage(ctx, now)
		if sealed > 0 {
			n.wakePublisher()
		}
		if err != nil {
			if ctx.Err() == nil {
				n.cfg.Logger.Error("seal the keys of storage", "err", err)
			}
			return
		}
		seen, last = at, now
	})
}

func (n *Node) passStorage(ctx context.Context, now time.Time) (int, error) {
	r, err := stateReader{n.core.store}.At(0)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return n.storage.Pass(ctx, r, n.core.store.Published, now)
}

// storageRecords are what the publisher keeps as it should be of storage.
func (n *Node) storageRecords() ([]kind.Record, error) {
	if n.storage == nil {
		return nil, nil
	}
	r, err := stateReader{n.core.store}.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return n.storage.Records(r, n.core.store.Published)
}

// wakePublisher has it look at once at what follows from no change.
func (n *Node) wakePublisher() {
	select {
	case n.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// placementChanged reports whether an edge or an organization changed between two
// revisions: most changes are of other kinds, and organizations are many.
func placementChanged(s *state.Store, from, to uint64) bool {
	for from < to {
		commits, err := s.Commits(from, 16)
		if err != nil || len(commits) == 0 {
			return true
		}
		for _, c := range commits {
			from = c.Revision
			for _, ref := range c.Changed {
				if ref.Kind == nodeKind || ref.Kind == organizationKind {
					return true
				}
			}
		}
	}
	return false
}
