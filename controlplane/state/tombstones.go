package state

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// A tombstone is what edges must be told of a thing when it ends: that a key is dead, that
// a bucket is to be erased. It is reserved when the thing begins and kept until its expiry,
// and charged to the organization all that time. So an organization at its bound may make
// nothing more, but ending what it has is never refused.

// LevelTombstones is the level of features from which transactions may hold tombstones.
const LevelTombstones = 3

// Bounds of tombstones. Each has at most maxTombstoneBytes, so that these are bounds of
// octets, too: 2.5 MB of an organization, 256 MB in all.
const (
	maxTombstones      = 10_000
	maxTombstonesInAll = 1_000_000
	maxTombstoneBytes  = 256
)

// tombstones is the name under which usage counts them, beside the kinds of resources.
const tombstones = "tombstones"

// tombstonesAnEntry is how many an entry forgets at most, so that no entry pauses.
const tombstonesAnEntry = 64

// withoutTombstones is a transaction that members of an earlier version know too.
func withoutTombstones(tx *statev1.Transaction) *statev1.Transaction {
	isTombstone := func(op *statev1.Op) bool { return op.GetTombstone() != nil }
	if !slices.ContainsFunc(tx.Ops, isTombstone) {
		return tx
	}
	tx = proto.Clone(tx).(*statev1.Transaction)
	tx.Ops = slices.DeleteFunc(tx.Ops, isTombstone)
	return tx
}

func tombstoneKey(t *statev1.Tombstone) []byte {
	return key(rowTombstone, t.GetStream(), t.GetKind(), t.GetName())
}

// tombstoneAt is the row by which a tombstone is forgotten.
func tombstoneAt(t *statev1.Tombstone) []byte {
	return append(number([]byte{rowTombstoneAt}, uint64(t.GetExpires())), tombstoneKey(t)...)
}

// judgeTombstone refuses one that no bound of octets holds for.
func judgeTombstone(t *statev1.Tombstone) *errs.Error {
	if n := len(t.GetStream()) + len(t.GetKind()) + len(t.GetName()); n > maxTombstoneBytes {
		return errs.New(errs.Invalid, "a tombstone has %d bytes, at most %d", n, maxTombstoneBytes)
	}
	return nil
}

// judgeTombstones refuses to reserve more than an organization, or all together, may have.
func (a *applying) judgeTombstones(tx *statev1.Transaction) (*errs.Error, error) {
	added := uint64(0)
	for _, op := range tx.Ops {
		t := op.GetTombstone()
		if t == nil || t.GetExpires() > 0 {
			continue
		}
		old, err := a.oldTombstone(t)
		if err != nil {
			return nil, err
		}
		if old == nil {
			added++
		}
	}
	if added == 0 {
		return nil, nil
	}
	own, err := a.use(tx.Organization)
	if err != nil {
		return nil, err
	}
	all, err := a.use("")
	if err != nil {
		return nil, err
	}
	if have := own.Resources[tombstones]; have+added > maxTombstones {
		return errs.New(errs.Exhausted, "organization %s has %d keys and buckets, with those that ended lately and "+
			"that edges still must refuse or erase, of at most %d: an API key counts for an hour after its end, an "+
			"S3 access key 24 days, a bucket 60", tx.Organization, have, maxTombstones), nil
	}
	if all.Resources[tombstones]+added > maxTombstonesInAll {
		return errs.New(errs.Exhausted, "the installation has %d keys and buckets, with those that ended lately, of "+
			"at most %d: ask its operators", all.Resources[tombstones], maxTombstonesInAll), nil
	}
	return nil, nil
}

// ends reports whether a transaction only ends things for which tombstones were reserved:
// no limit refuses it, as each of them was let in once.
func ends(tx *statev1.Transaction) bool {
	some := false
	for _, op := range tx.Ops {
		switch {
		case op.GetPutResource() != nil:
			return false
		case op.GetTombstone().GetExpires() > 0:
			some = true
		}
	}
	return some
}

// oldTombstone is what is kept of a tombstone; nil when there is none.
func (a *applying) oldTombstone(t *statev1.Tombstone) (*statev1.Tombstone, error) {
	old := &statev1.Tombstone{}
	err := getProto(a.b, tombstoneKey(t), old)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	return old, err
}

// tombstone reserves one or dates it.
func (a *applying) tombstone(t *statev1.Tombstone) error {
	old, err := a.oldTombstone(t)
	if err != nil {
		return err
	}
	if old == nil {
		err = a.countTombstone(t.GetOrganization(), 1)
	} else if old.GetExpires() > 0 {
		err = a.b.Delete(tombstoneAt(old), nil)
	}
	if err == nil && t.GetExpires() > 0 {
		err = a.b.Set(tombstoneAt(t), nil, nil)
	}
	return errors.Join(err, a.put(tombstoneKey(t), t))
}

// countTombstone charges one to its organization and to all together, or takes it off.
func (a *applying) countTombstone(organization string, n int) error {
	all, err := a.use("")
	if err != nil {
		return err
	}
	all.count(tombstones, n)
	if organization == "" {
		return nil
	}
	own, err := a.use(organization)
	if err != nil {
		return err
	}
	own.count(tombstones, n)
	return nil
}

// forgetTombstones forgets those that have expired, with the records by which edges were
// told of them.
func (a *applying) forgetTombstones() error {
	var old [][]byte
	until := number([]byte{rowTombstoneAt}, uint64(a.time/1e9)+1)
	err := scan(a.b, []byte{rowTombstoneAt}, until, func(k, _ []byte) error {
		if len(old) == tombstonesAnEntry {
			return errEnough
		}
		old = append(old, append([]byte(nil), k...))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, k := range old {
		if err := a.forgetTombstone(k); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) forgetTombstone(at []byte) error {
	t := &statev1.Tombstone{}
	if err := getProto(a.b, at[9:], t); err != nil {
		return err
	}
	return errors.Join(
		a.countTombstone(t.GetOrganization(), -1),
		a.b.Delete(at, nil),
		a.b.Delete(at[9:], nil),
		a.b.Delete(key(rowPublished, t.GetStream(), t.GetKind(), t.GetName()), nil),
	)
}
