package consensustest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/consensus/replica"
)

// Ledger is a Machine that counts how often each command was applied, and remembers at
// which index. The result of a command is that count.
type Ledger struct {
	rep *replica.Replica
	// Gate, where set, is called before each batch is applied.
	Gate func()
}

// OpenLedger opens a Ledger below dir.
func OpenLedger(fsys vfs.FS, dir string) (*Ledger, error) {
	rep, err := replica.Open(fsys, dir, &pebble.Options{Logger: quiet{}, MemTableSize: 256 << 10})
	if err != nil {
		return nil, err
	}
	return &Ledger{rep: rep}, nil
}

var appliedKey = []byte{'a'}

func countKey(cmd []byte) []byte { return append([]byte{'c'}, cmd...) }

// Apply implements consensus.Machine.
func (l *Ledger) Apply(cmds []consensus.Command) []any {
	if l.Gate != nil {
		l.Gate()
	}
	out := make([]any, len(cmds))
	applied, _ := l.Applied()
	b := l.rep.DB().NewIndexedBatch()
	for i, c := range cmds {
		if c.Index <= applied {
			continue
		}
		n := count(b, c.Data) + 1
		must(b.Set(countKey(c.Data), binary.BigEndian.AppendUint64(nil, n), nil))
		v := binary.BigEndian.AppendUint64(nil, c.Index)
		must(b.Set(appliedKey, binary.BigEndian.AppendUint64(v, c.Term), nil))
		out[i] = n
	}
	must(b.Commit(pebble.NoSync))
	return out
}

func count(r pebble.Reader, cmd []byte) uint64 {
	v, closer, err := r.Get(countKey(cmd))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0
	}
	must(err)
	defer func() { must(closer.Close()) }()
	return binary.BigEndian.Uint64(v)
}

// Applied implements consensus.Machine.
func (l *Ledger) Applied() (index, term uint64) {
	err := l.rep.With(func(db *pebble.DB) error {
		v, closer, err := db.Get(appliedKey)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		index, term = binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])
		return closer.Close()
	})
	if !errors.Is(err, replica.ErrClosed) {
		must(err)
	}
	return index, term
}

// Checkpoint implements consensus.Machine.
func (l *Ledger) Checkpoint(fsys vfs.FS, dir string) error { return l.rep.Checkpoint(fsys, dir) }

// Restore implements consensus.Machine.
func (l *Ledger) Restore(fsys vfs.FS, dir string) error { return l.rep.Restore(fsys, dir) }

// Count returns how often cmd was applied.
func (l *Ledger) Count(cmd string) (n uint64) {
	must(l.rep.With(func(db *pebble.DB) error {
		n = count(db, []byte(cmd))
		return nil
	}))
	return n
}

// All returns every command with its count.
func (l *Ledger) All() map[string]uint64 {
	out := map[string]uint64{}
	must(l.rep.With(func(db *pebble.DB) error {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'c'}, UpperBound: []byte{'d'}})
		if err != nil {
			return err
		}
		for it.First(); it.Valid(); it.Next() {
			out[string(it.Key()[1:])] = binary.BigEndian.Uint64(it.Value())
		}
		return errors.Join(it.Error(), it.Close())
	}))
	return out
}

// Close closes the ledger; call it after its group is closed.
func (l *Ledger) Close() error { return l.rep.Close() }

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("ledger: %v", err))
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
