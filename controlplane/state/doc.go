// Package state is the replicated state machine of the control plane and its readers
// at a revision.
//
// Apply is a function of the log entry and of the rows before it: no clock, no
// randomness, no network, no compiling. What enters is a marshalled statev1.Entry,
// proposed by a Log on the leader; what leaves are readers, watches, and the frames and
// records that the feed sends to edges.
//
// One goroutine, the consensus group's, owns all writing (Apply, Restore, Checkpoint).
// Readers take Pebble snapshots and may run beside it. The rows are not synced by
// Apply: the Raft log is, and design/state.md says how the two are kept together.
package state
