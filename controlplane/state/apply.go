package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Limits of what is proposed; larger things travel in several transactions.
const (
	MaxTransactionBytes = 512 << 10
	MaxEntryBytes       = 1 << 20
)

const checksumEvery = 1000 // entries

// outcome is what became of one transaction; the leader returns it to the proposer.
type outcome struct {
	revision uint64
	repeated bool
	refusal  *errs.Error
}

// applying is the state of one Apply: rows are read through and written into one batch.
type applying struct {
	s     *Store
	b     *pebble.Batch // indexed: reads see what was written before
	p     *statev1.Progress
	time  int64 // of the present entry; never before the entry before
	dirty map[string]bool
	// elapsed: the present entry says what time elapsed, and a.p.Elapsed counts it.
	elapsed bool
	// changed and meta are what the present transaction changed, for its Commit.
	changed []*statev1.Ref
	meta    []string
	// read are the latest versions that the present transaction has read: judging it and
	// carrying it out ask for the same ones, and reading through a batch is half of Apply.
	read map[string]*statev1.ResourceVersion
}

// Apply implements consensus.Machine. Each result is a []outcome, one a transaction.
func (s *Store) Apply(cmds []consensus.Command) []any {
	results := make([]any, len(cmds))
	err := s.db.With(func(db *pebble.DB) error {
		a := &applying{
			s: s, b: db.NewIndexedBatch(), dirty: map[string]bool{},
			read: map[string]*statev1.ResourceVersion{},
			p:    proto.Clone(s.at.Load()).(*statev1.Progress),
		}
		for i, c := range cmds {
			if c.Index <= a.p.Index {
				continue // applied before a restart; whoever waited for it is gone
			}
			r, err := a.entry(c)
			if err != nil {
				return fmt.Errorf("apply entry %d: %w", c.Index, err)
			}
			results[i] = r
		}
		if err := a.put([]byte{rowProgress}, a.p); err != nil {
			return err
		}
		if err := a.b.Commit(pebble.NoSync); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		s.publish(a.p)
		return nil
	})
	if err != nil {
		// Rows that cannot be written or read leave this member behind its log for good.
		s.opts.Diverged(err)
	}
	return results
}

// entry applies one entry: its transactions in order, then the books.
func (a *applying) entry(c consensus.Command) ([]outcome, error) {
	var e statev1.Entry
	if err := proto.Unmarshal(c.Data, &e); err != nil {
		return nil, err
	}
	from := a.b.Len()
	a.time = max(e.Time, a.p.Time)
	if a.elapsed = e.Elapsed != nil; a.elapsed {
		a.p.Elapsed = max(a.p.Elapsed, 1) + min(max(e.GetElapsed(), 0), maxElapsed) // 0 means never
	}
	outcomes := make([]outcome, len(e.Transactions))
	for i, tx := range e.Transactions {
		o, err := a.transaction(tx, c.Index)
		if err != nil {
			return nil, err
		}
		outcomes[i] = o
	}
	if err := errors.Join(a.forgetRequests(), a.forgetTombstones()); err != nil {
		return nil, err
	}
	if err := a.writeUsage(); err != nil {
		return nil, err
	}
	a.p.Index, a.p.Term, a.p.Time = c.Index, c.Term, a.time
	a.p.Hash = roll(a.p.Hash, c.Index, a.b.Repr()[from:])
	if c.Index%checksumEvery == 0 {
		a.p.CheckedHash, a.p.CheckedIndex = a.p.Hash, c.Index
	}
	return outcomes, nil
}

// roll chains what an entry wrote to all that was written before it.
func roll(hash []byte, index uint64, rows []byte) []byte {
	h := sha256.New()
	h.Write(hash)
	h.Write(binary.BigEndian.AppendUint64(nil, index))
	h.Write(rows)
	return h.Sum(nil)
}

// transaction judges first and writes then, so that a refused one leaves no row.
func (a *applying) transaction(tx *statev1.Transaction, index uint64) (outcome, error) {
	if o, done, err := a.seenRequest(tx); done || err != nil {
		return o, err
	}
	clear(a.read)
	refusal, err := a.judge(tx)
	if err != nil || refusal != nil {
		return outcome{refusal: refusal}, err
	}
	a.p.Revision++
	a.changed, a.meta = nil, nil
	for _, op := range tx.Ops {
		if err := a.op(op); err != nil {
			return outcome{}, err
		}
	}
	if len(a.changed) > 0 {
		a.p.LastChange = a.p.Revision
	}
	if err := a.commit(tx, index); err != nil {
		return outcome{}, err
	}
	return outcome{revision: a.p.Revision}, a.rememberRequest(tx)
}

// commit writes the transaction's line of the change log, chained to the one before.
func (a *applying) commit(tx *statev1.Transaction, index uint64) error {
	c := &statev1.Commit{
		Revision: a.p.Revision, Time: a.time, Organization: tx.Organization,
		Origin: tx.Origin, RequestId: tx.RequestId, Changed: a.changed, Meta: a.meta, Index: index,
	}
	hash, err := chain(a.p.AuditHead, c)
	if err != nil {
		return err
	}
	c.Hash, a.p.AuditHead = hash, hash
	return a.put(commitKey(c.Revision), c)
}

// chain is the hash of c after head; c has no hash yet.
func chain(head []byte, c *statev1.Commit) ([]byte, error) {
	b, err := deterministic.Marshal(c)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(head)
	h.Write(b)
	return h.Sum(nil), nil
}

func (a *applying) op(op *statev1.Op) error {
	switch o := op.Op.(type) {
	case *statev1.Op_PutResource:
		return a.putResource(o.PutResource)
	case *statev1.Op_DeleteResource:
		return a.deleteResource(o.DeleteResource)
	case *statev1.Op_PutMeta:
		a.meta = append(a.meta, o.PutMeta.Key)
		return a.put(key(rowMeta, o.PutMeta.Key), &statev1.MetaValue{Value: o.PutMeta.Value, Revision: a.p.Revision})
	case *statev1.Op_DeleteMeta:
		a.meta = append(a.meta, o.DeleteMeta)
		return a.b.Delete(key(rowMeta, o.DeleteMeta), nil)
	case *statev1.Op_Publish:
		return a.publish(o.Publish)
	case *statev1.Op_CompactTo:
		return a.compact(o.CompactTo)
	case *statev1.Op_DropPrefix:
		return a.dropPrefix(o.DropPrefix)
	case *statev1.Op_Checksum:
		a.checksum(o.Checksum)
		return nil
	case *statev1.Op_TakeLease:
		return a.takeLease(o.TakeLease)
	case *statev1.Op_RaiseFeatureLevel:
		a.p.FeatureLevel = max(a.p.FeatureLevel, o.RaiseFeatureLevel)
		return nil
	case *statev1.Op_SetLimits:
		return a.setLimits(o.SetLimits)
	case *statev1.Op_Tombstone:
		return a.tombstone(o.Tombstone)
	}
	// judge refuses what this version does not know, so this is ours to mend.
	return fmt.Errorf("no way to apply %T", op.Op)
}

func (a *applying) putResource(o *statev1.PutResource) error {
	old, err := a.latest(o.Ref)
	if err != nil {
		return err
	}
	v := &statev1.ResourceVersion{
		Value: o.Value, Revision: a.p.Revision, Time: a.time, Claims: o.Claims,
		CreatedRevision: a.p.Revision, CreatedTime: a.time,
	}
	if old != nil && !old.Deleted {
		v.CreatedRevision, v.CreatedTime = old.CreatedRevision, old.CreatedTime
	}
	if err := a.replace(o.Ref, old, v); err != nil {
		return err
	}
	return a.holdClaims(o.Ref, o.Claims)
}

func (a *applying) deleteResource(ref *statev1.Ref) error {
	old, err := a.latest(ref)
	if err != nil || old == nil || old.Deleted {
		return err
	}
	return a.replace(ref, old, &statev1.ResourceVersion{
		Deleted: true, Revision: a.p.Revision, Time: a.time,
		CreatedRevision: old.CreatedRevision, CreatedTime: old.CreatedTime,
	})
}

// replace makes v the latest version of ref, keeps the one before as history, and lets
// go of the names that it held.
func (a *applying) replace(ref *statev1.Ref, old, v *statev1.ResourceVersion) error {
	a.changed = append(a.changed, ref)
	u, err := a.use(ref.Organization)
	if err != nil {
		return err
	}
	if old != nil {
		if err := a.releaseClaims(old.Claims); err != nil {
			return err
		}
		// Within one transaction the last write of a resource is the one that counts.
		if old.Revision != a.p.Revision {
			kept, err := deterministic.Marshal(old)
			if err != nil {
				return err
			}
			u.HistoryBytes += uint64(len(kept))
			if err := a.b.Set(olderKey(ref, old.Revision), kept, nil); err != nil {
				return err
			}
		}
	}
	u.count(ref.Kind, live(v)-live(old))
	k := latestKey(ref)
	a.read[string(k)] = v
	return a.put(k, v)
}

func live(v *statev1.ResourceVersion) int {
	if v == nil || v.Deleted {
		return 0
	}
	return 1
}

// latest returns the latest version of ref, nil when there never was one.
func (a *applying) latest(ref *statev1.Ref) (*statev1.ResourceVersion, error) {
	k := latestKey(ref)
	if v, ok := a.read[string(k)]; ok {
		return v, nil
	}
	v := &statev1.ResourceVersion{}
	err := getProto(a.b, k, v)
	if errors.Is(err, pebble.ErrNotFound) {
		v, err = nil, nil
	}
	if err == nil {
		a.read[string(k)] = v
	}
	return v, err
}

func (a *applying) checksum(c *statev1.Checksum) {
	if c.Index == a.p.CheckedIndex && !bytes.Equal(c.Hash, a.p.CheckedHash) {
		a.s.opts.Diverged(fmt.Errorf("rows at index %d hash to %x, the leader's to %x: wipe this member with `darkd "+
			"rejoin`", c.Index, a.p.CheckedHash, c.Hash))
	}
}

func (a *applying) takeLease(o *statev1.TakeLease) error {
	var l statev1.Lease
	if err := getProto(a.b, key(rowLease, o.Lease), &l); err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	return a.put(key(rowLease, o.Lease), &statev1.Lease{Holder: o.Holder, Generation: l.Generation + 1})
}

// dropPrefix forgets resources without history: generations of record sets that ended,
// or never began.
func (a *applying) dropPrefix(ref *statev1.Ref) error {
	clear(a.read)
	n := 0
	from := prefixKey(rowLatest, ref.Kind, ref.Organization, ref.Name)
	err := scan(a.b, from, after(from), func(_, value []byte) error {
		v := &statev1.ResourceVersion{}
		if err := proto.Unmarshal(value, v); err != nil {
			return err
		}
		n += live(v)
		return nil
	})
	if err != nil {
		return err
	}
	u, err := a.use(ref.Organization)
	if err != nil {
		return err
	}
	u.count(ref.Kind, -n)
	older := prefixKey(rowOlder, ref.Kind, ref.Organization, ref.Name)
	err = scan(a.b, older, after(older), func(_, value []byte) error {
		u.HistoryBytes -= min(u.HistoryBytes, uint64(len(value)))
		return nil
	})
	return errors.Join(err, a.b.DeleteRange(from, after(from), nil), a.b.DeleteRange(older, after(older), nil))
}

// deterministic: rows are hashed, so the same message must always be the same bytes.
var deterministic = proto.MarshalOptions{Deterministic: true}

func (a *applying) put(k []byte, m proto.Message) error {
	b, err := deterministic.Marshal(m)
	if err != nil {
		return err
	}
	return a.b.Set(k, b, nil)
}

// scan calls f for each row from lower to upper.
func scan(r pebble.Reader, lower, upper []byte, f func(k, v []byte) error) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := f(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

// sortedKeys is what makes walking a map part of a deterministic Apply.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
