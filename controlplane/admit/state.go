// Package admit turns what a caller asks for into a transaction that the state machine
// can apply without thinking: it canonicalises names, checks every constraint, calls
// the kind's own Admit, and gathers operations, claims and preconditions. What an edge
// could not load is refused here, because a kind's Admit calls the compiler that the
// edge runs. It knows kinds only as values and imports no service.
//
// A Tx belongs to one request and one goroutine; Kinds is immutable after the start.
package admit

import (
	"context"
	"time"

	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Version is one version of one resource as the state keeps it.
type Version struct {
	Kind, Organization, Name string // Name is the stored name
	Revision                 uint64 // of this change
	Created                  uint64 // revision of its creation
	CreatedTime, Time        time.Time
	Value                    []byte // marshalled message; empty when Deleted
	Deleted                  bool
}

// Reader reads desired state at one revision. It is closed after use.
type Reader interface {
	Revision() uint64
	Close()
	// Get returns a live resource.
	Get(kind, organization, name string) (Version, bool, error)
	// Scan yields live resources with stored names after `after` that begin with prefix,
	// by name, until yield returns false.
	Scan(kind, organization, prefix, after string, yield func(Version) bool) error
	// ScanAll yields the live resources of a kind in all organizations.
	ScanAll(kind string, yield func(Version) bool) error
}

// State is this member's copy of the replicated state.
type State interface {
	Revision() uint64
	// Oldest revision that can still be read.
	Oldest() uint64
	// At reads at a revision, 0 for the latest: Expired when it is compacted, NotFound
	// when this member has not reached it.
	At(revision uint64) (Reader, error)
	// History yields versions before a revision (0: all), newest first, deletions too.
	History(kind, organization, name string, before uint64, limit int) ([]Version, error)
	// Commits returns accepted transactions after a revision, in order.
	Commits(after uint64, limit int) ([]*statev1.Commit, error)
	// WaitRevision returns when Revision is above after.
	WaitRevision(ctx context.Context, after uint64) error
	// Published returns a published record's value, nil when there is none.
	Published(stream, kind, name string) ([]byte, error)
	// Meta returns a key of the installation's own, nil when there is none.
	Meta(key string) (value []byte, revision uint64, err error)
	// VerifyAudit computes the audit chain again.
	VerifyAudit() (checked uint64, brokenAt uint64, head []byte, err error)
}

// Outcome is what became of a proposed transaction.
type Outcome struct {
	Revision uint64
	Index    uint64
	// Repeated: its request id had been seen, and Revision is the first one's.
	Repeated bool
}

// Proposer carries transactions to the leader.
type Proposer interface {
	Propose(ctx context.Context, tx *statev1.Transaction) (Outcome, error)
	// Current returns when this member's state holds all that was committed before the call.
	Current(ctx context.Context) error
}
