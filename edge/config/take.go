package config

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// maxBatch is how much is gathered before it is made durable without a Progress.
const maxBatch = 4 << 20

const (
	systemStream   = "system"
	publishingKind = "dark.feed.v1.PublishingKey"
)

// pending is what was taken in and is not durable yet. It belongs to the follower.
type pending struct {
	batch *pebble.Batch
	deny  map[string]int64
	// changes since the last cut, whether durable or not.
	changes []view.Change
	arrived time.Time // of the first of them
}

// take judges a frame and takes it in. Anything but Take leaves everything as it was.
func (c *Config) take(data []byte) (frame.Verdict, string, error) {
	f, hash, err := frame.Open(data, c.keys.At(c.o.Clock.Now()))
	if err == nil {
		err = sound(f)
	}
	if err != nil {
		return frame.Gap, frame.Reason(err), nil
	}
	st := c.streams[f.GetStream()]
	var v frame.Verdict
	if f.GetSnapshot() {
		v = c.receiver().FollowSnapshot(st.snap(), f)
	} else {
		v = c.receiver().Follow(f, hash)
	}
	if v != frame.Take {
		if st != nil && v == frame.WrongHash {
			st.doubts++
		}
		return v, v.String(), nil
	}
	if f.GetSnapshot() {
		err = c.takeSnapshot(st, f)
	} else {
		err = c.takeFrame(st, f, hash)
	}
	if err == nil && (len(c.pending.deny) > 0 || c.pending.batch.Len() > maxBatch) {
		err = c.flush()
	}
	return v, "", err
}

func (st *stream) snap() frame.Snapshot {
	if st == nil {
		return frame.Snapshot{}
	}
	return st.snapshot
}

func (c *Config) receiver() frame.Receiver {
	return frame.Receiver{Cluster: c.o.Cluster, Epoch: c.epoch, Position: func(name string) (frame.Position, bool) {
		st := c.streams[name]
		if st == nil {
			return frame.Position{}, false
		}
		return st.position, true
	}}
}

// sound refuses a signed frame whose names could not be kept.
func sound(f *feedv1.Frame) error {
	if !plain(f.GetStream()) {
		return fmt.Errorf("%w: stream %q", frame.ErrMalformed, f.GetStream())
	}
	for _, item := range f.GetItems() {
		if !plain(item.GetKind()) || item.GetLane() < uint32(kind.LaneData) ||
			item.GetLane() > uint32(kind.LaneGated) || len(item.GetName()) > 4096 {
			return fmt.Errorf("%w: item %s", frame.ErrMalformed, short(item))
		}
	}
	return nil
}

// open begins a batch where there is none.
func (c *Config) open() *pebble.Batch {
	if c.pending.batch == nil {
		c.pending.batch = c.store.live.db.NewBatch()
	}
	return c.pending.batch
}

// adoptEpoch keeps the epoch of the first frame that is taken.
func (c *Config) adoptEpoch(b *pebble.Batch, f *feedv1.Frame) error {
	if c.epoch != 0 {
		return nil
	}
	c.epoch = f.GetEpoch()
	return b.Set(keyEpoch, number(c.epoch), nil)
}

// takeFrame takes the next frame of a stream: a part of an unfinished revision is kept
// aside, the last part makes all of them current.
func (c *Config) takeFrame(st *stream, f *feedv1.Frame, hash [32]byte) error {
	b := c.open()
	if err := c.adoptEpoch(b, f); err != nil {
		return err
	}
	if err := c.denyFrom(b, f); err != nil {
		return err
	}
	st.doubts = 0
	st.position = frame.Position{Revision: f.GetRevision(), Part: f.GetPart(), Last: f.GetLast(), Hash: hash[:]}
	if !f.GetLast() {
		return c.stage(b, st, f)
	}
	for _, part := range append(st.staged, f) {
		if err := c.merge(b, st, part); err != nil {
			return err
		}
	}
	if len(st.staged) > 0 {
		st.staged = nil
		from, to := stagedRange(f.GetStream())
		if err := b.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	return b.Set(spaced(spacePosition, f.GetStream()), st.positionValue(f.GetStream()), nil)
}

func (c *Config) stage(b *pebble.Batch, st *stream, f *feedv1.Frame) error {
	st.staged = append(st.staged, f)
	raw, err := proto.Marshal(f)
	if err != nil {
		return err
	}
	if err := b.Set(stagedKey(f.GetStream(), f.GetPart()), raw, nil); err != nil {
		return err
	}
	return b.Set(spaced(spacePosition, f.GetStream()), st.positionValue(f.GetStream()), nil)
}

// merge makes a frame's items current.
func (c *Config) merge(b *pebble.Batch, st *stream, f *feedv1.Frame) error {
	prefix := contentPrefix(f.GetStream(), st.content)
	org := organization(f.GetStream())
	for _, item := range f.GetItems() {
		if !c.kept(item) {
			continue
		}
		if err := putItem(b, prefix, f.GetRevision(), item); err != nil {
			return err
		}
		if err := c.ownFrom(b, f.GetStream(), item); err != nil {
			return err
		}
		c.change(view.Change{Stream: f.GetStream(), Lane: kind.Lane(item.GetLane()), Change: kind.Change{
			Kind: item.GetKind(), Organization: org, Name: item.GetName(), Revision: f.GetRevision(),
			Value: valueOf(item), Prefix: item.GetPrefix(),
		}})
	}
	return nil
}

// kept reports whether an item becomes a record. Of the deny lane only what some service
// compiles does: the deny set has the rest, and forgets it when it expires.
func (c *Config) kept(item *feedv1.Item) bool {
	if kind.Lane(item.GetLane()) != kind.LaneDeny {
		return true
	}
	return slices.Contains(c.o.Kinds, item.GetKind()) && !item.GetDeleted() && !item.GetPrefix()
}

func valueOf(item *feedv1.Item) []byte {
	if item.GetDeleted() || item.GetPrefix() {
		return nil
	}
	if item.GetValue() == nil {
		return []byte{} // a message without fields, not a record that ended
	}
	return item.GetValue()
}

func putItem(b *pebble.Batch, prefix []byte, revision uint64, item *feedv1.Item) error {
	key := itemKey(prefix, item.GetKind(), item.GetName())
	switch {
	case item.GetPrefix():
		return b.DeleteRange(key, after(key), nil)
	case item.GetDeleted():
		return b.Delete(key, nil)
	}
	return b.Set(key, itemValue(item.GetLane(), revision, item.GetValue()), nil)
}

func (c *Config) change(ch view.Change) {
	if len(c.pending.changes) == 0 {
		c.pending.arrived = time.Now()
	}
	c.pending.changes = append(c.pending.changes, ch)
}

// denyFrom adds a frame's deny entries, of whatever part: they wait for nothing.
func (c *Config) denyFrom(b *pebble.Batch, f *feedv1.Frame) error {
	for _, item := range f.GetItems() {
		if kind.Lane(item.GetLane()) != kind.LaneDeny || item.GetDeleted() || item.GetPrefix() {
			continue
		}
		subject, expires := denyEntry(item)
		if c.deny.expiry(subject) >= expires {
			continue
		}
		if c.pending.deny == nil {
			c.pending.deny = map[string]int64{}
		}
		c.pending.deny[subject] = max(c.pending.deny[subject], expires)
		if err := writeDeny(b, subject, c.pending.deny[subject]); err != nil {
			return err
		}
	}
	return nil
}

// keyFrom follows the publishing keys. One whose record ended is kept as retired: the
// key pinned at the join would otherwise come back to life.
func (c *Config) keyFrom(b *pebble.Batch, stream string, item *feedv1.Item) error {
	if stream != systemStream || item.GetKind() != publishingKind {
		return nil
	}
	if item.GetPrefix() {
		for id := range c.keyRecords {
			if name := hex.EncodeToString(id[:]); len(name) >= len(item.GetName()) &&
				name[:len(item.GetName())] == item.GetName() {
				if err := c.retire(b, id); err != nil {
					return err
				}
			}
		}
		return nil
	}
	id, err := hex.DecodeString(item.GetName())
	if err != nil || len(id) != 8 {
		return nil //nolint:nilerr // no name that a key can have: never found by a frame either
	}
	if item.GetDeleted() {
		return c.retire(b, [8]byte(id))
	}
	rec := &feedv1.PublishingKey{}
	if err := proto.Unmarshal(item.GetValue(), rec); err != nil || len(rec.GetPublicKey()) != ed25519.PublicKeySize ||
		frame.KeyID(rec.GetPublicKey()) != [8]byte(id) {
		c.o.Log.Error("config: a publishing key's record is malformed and ignored", "name", item.GetName())
		return nil //nolint:nilerr // it was signed: an error would stop the edge for good
	}
	return c.setKey(b, [8]byte(id), rec)
}

func (c *Config) retire(b *pebble.Batch, id [8]byte) error {
	key, ok := c.keys.Get(id)
	if !ok {
		return nil
	}
	return c.setKey(b, id, &feedv1.PublishingKey{PublicKey: key.Public, RetiredAt: 1})
}

func (c *Config) setKey(b *pebble.Batch, id [8]byte, rec *feedv1.PublishingKey) error {
	raw, err := proto.Marshal(rec)
	if err != nil {
		return err
	}
	c.keyRecords[id] = rec
	c.keys = c.keys.With(keyOf(rec))
	return b.Set(spaced(spaceKey, string(id[:])), raw, nil)
}

func keyOf(rec *feedv1.PublishingKey) frame.Key {
	k := frame.Key{Public: rec.GetPublicKey()}
	if rec.GetActiveFrom() != 0 {
		k.Active = time.Unix(rec.GetActiveFrom(), 0)
	}
	if rec.GetRetiredAt() != 0 {
		k.Retired = time.Unix(rec.GetRetiredAt(), 0)
	}
	return k
}

// flush makes what was taken durable; deny entries are active from here on.
func (c *Config) flush() error {
	b := c.pending.batch
	if b == nil {
		return nil
	}
	c.pending.batch = nil
	deny := c.pending.deny
	c.pending.deny = nil
	if err := c.store.commit(b, len(deny) > 0); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	c.deny.add(deny)
	if len(deny) > 0 {
		c.judgeAgain()
	}
	return nil
}
