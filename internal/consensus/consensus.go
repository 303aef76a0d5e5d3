// Package consensus gives replicated state machines: a Group is one Raft group
// (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm",
// 2014) of which a process runs many, and a Node is what they share: one listener
// with mutual TLS 1.3, one Pebble with all their logs, and calls between members.
//
// It is the only importer of hashicorp/raft. What that library leaves to its user is
// here: log and stable store on Pebble with a side file that tells a lost tail from
// an empty start (log.go, side.go), snapshots as directories (snapstore.go), the
// conditions under which a state machine may run without sync (start.go), and
// linearizable reads (read.go, watermark.go).
//
// Ownership: a group's machine belongs to raft's apply goroutine; a group's log to
// groupLog.mu; connections to the Node. Lock order: Node.mu, then groupLog.mu, then
// sideFile; no lock is held while a Machine is called.
package consensus

import (
	"github.com/cockroachdb/pebble/v2/vfs"
)

// MaxEntry bounds the data of one proposal, in bytes: the 1 MiB of an entry of the
// state machine and room for its envelope.
const MaxEntry = 1<<20 + 64<<10

// Command is one committed entry of a group's log.
type Command struct {
	Index, Term uint64
	// Data is shared with the log cache: a Machine reads it and never writes it.
	Data []byte
}

// Machine is a replicated state machine. The group's apply goroutine alone calls
// Apply, Restore and Checkpoint.
type Machine interface {
	// Apply applies cmds in log order and returns one result for each. Commands at
	// or below Applied are skipped with a nil result. Nothing need be synced. It must
	// be deterministic; a machine that cannot go on stops the process.
	Apply(cmds []Command) []any
	// Applied returns index and term of the last command in the machine as it is now
	// readable, durable or not; zeros when it is empty.
	Applied() (index, term uint64)
	// Checkpoint flushes and syncs past Applied, then writes or hard-links the whole
	// state into dir, which does not exist yet, and syncs it.
	Checkpoint(fs vfs.FS, dir string) error
	// Restore replaces the whole state by the checkpoint in dir, durably, or leaves
	// the old one. dir is not the machine's to change.
	Restore(fs vfs.FS, dir string) error
}

// ServerID names a member of a group. An id is never used again for a member that
// lost its log.
type ServerID string

// Server is a member of a group.
type Server struct {
	ID      ServerID
	Addr    string // host:port of its Node
	Learner bool   // gets the log, has no vote
}

// Result is what a proposal came to.
type Result struct {
	Index uint64
	Value any // what Machine.Apply returned for it
}
