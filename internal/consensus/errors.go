package consensus

import (
	"errors"
	"fmt"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/hashicorp/raft"
)

// ErrUnknown is matched by errors after which the request may or may not have had its
// effect. Errors that do not match it say that it had none.
var ErrUnknown = errors.New("outcome unknown")

// ErrClosed is returned after Close.
var ErrClosed error = errs.New(errs.Unavailable, "this member is shutting down")

// ErrRefused is matched by errors of calls to a member whose door turned this one away: it was
// removed, or another machine has its name. TLS does not say which.
var ErrRefused = errors.New("it refuses this node, which was removed or whose name another machine has")

// ErrDiskFull is matched by refusals for want of space on this member's disk. They had no
// effect.
var ErrDiskFull = errors.New("disk full")

// fullError is a refusal that matches ErrDiskFull.
type fullError struct{ error }

func (e fullError) Unwrap() []error { return []error{ErrDiskFull, e.error} }

// NotLeaderError says that the request had no effect because this member does not
// lead the group, and who does, where that is known.
type NotLeaderError struct {
	Leader ServerID // "" when nobody is known to lead
	Addr   string
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "not the leader; no leader is known"
	}
	return fmt.Sprintf("not the leader; the leader is %s at %s", e.Leader, e.Addr)
}

// Unwrap gives the error its kind.
func (e *NotLeaderError) Unwrap() error {
	return errs.New(errs.Unavailable, "this member does not lead its group, try again")
}

// unknownError is an error that matches ErrUnknown.
type unknownError struct{ cause error }

func (e *unknownError) Error() string { return "outcome unknown: " + e.cause.Error() }

func (e *unknownError) Unwrap() []error {
	return []error{ErrUnknown, errs.New(errs.Unavailable, "the outcome is unknown, read before trying again"), e.cause}
}

// unknown marks err as leaving the outcome open.
func unknown(err error) error { return &unknownError{err} }

// CorruptError says that what a member finds on its disk is less than, or other than,
// what it acknowledged. It must not take part with it: the member is wiped (Wipe) and
// added again as a learner under a new id.
type CorruptError struct {
	Group string // "" when it concerns all of them
	Dir   string
	Text  string
	cause error
}

func (e *CorruptError) Error() string {
	what := "the log"
	if e.Group != "" {
		what = "group " + e.Group
	}
	s := fmt.Sprintf("%s in %s is corrupt: %s", what, e.Dir, e.Text)
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s + "; this member refuses to start. Where a majority of the other members is well, wipe it with `darkd " +
		"rejoin`, and it joins again as a new one;" +
		" where there is none, keep its directory as it is (docs/operations/quorum.md)"
}

// Unwrap returns the cause.
func (e *CorruptError) Unwrap() error { return e.cause }

// translate turns raft's errors into ours. certain errors had no effect.
func (g *Group) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader):
		return g.notLeader()
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return errs.Wrap(errs.Unavailable, err, "group %s is handing over its leadership, try again", g.name)
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return errs.Wrap(errs.Unavailable, err, "group %s is overloaded, try again", g.name)
	}
	return unknown(err)
}

func (g *Group) notLeader() error {
	id, addr, _ := g.Leader()
	if id == g.node.cfg.ID { // raft steps down before it forgets that it led
		id, addr = "", ""
	}
	return &NotLeaderError{Leader: id, Addr: addr}
}
