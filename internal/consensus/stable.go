package consensus

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/raft"
)

// raft's name for the current term in a StableStore.
const keyCurrentTerm = "CurrentTerm"

// Set implements raft.StableStore. A vote that is lost can be given twice, so the
// side file counts these writes as it counts entries.
func (l *groupLog) Set(key, val []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.db.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(l.stableKey(key), val, nil); err != nil {
		return err
	}
	if err := b.Set(l.key(prefixCount), binary.BigEndian.AppendUint64(nil, l.mu.stable+1), nil); err != nil {
		return err
	}
	if err := l.db.commit(b); err != nil {
		return err
	}
	l.mu.stable++
	c := l.mu.side.claim
	return l.claimLocked(c.index, c.term)
}

// Get implements raft.StableStore: an empty slice where there is nothing.
func (l *groupLog) Get(key []byte) ([]byte, error) {
	v, err := l.db.get(l.stableKey(key))
	if v == nil {
		v = []byte{}
	}
	return v, err
}

// SetUint64 implements raft.StableStore.
func (l *groupLog) SetUint64(key []byte, val uint64) error {
	return l.Set(key, binary.BigEndian.AppendUint64(nil, val))
}

// GetUint64 implements raft.StableStore: zero where there is nothing.
func (l *groupLog) GetUint64(key []byte) (uint64, error) {
	v, err := l.db.get(l.stableKey(key))
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

func (l *groupLog) stableKey(key []byte) []byte {
	return append(l.key(prefixStable), key...)
}

// bootstrap writes the first term and the first membership in one commit. raft's own
// BootstrapCluster makes two, and a crash between them leaves a member that neither
// has a membership nor takes one.
func (l *groupLog) bootstrap(members raft.Configuration) error {
	e := &raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(members)}
	return l.append([]*raft.Log{e}, func(b *pebble.Batch) error {
		one := binary.BigEndian.AppendUint64(nil, 1)
		return b.Set(l.stableKey([]byte(keyCurrentTerm)), one, nil)
	})
}
