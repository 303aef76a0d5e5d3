package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// stream is where the edge is in one stream. It belongs to the follower's goroutine.
type stream struct {
	content  uint32 // current content number
	position frame.Position
	staged   []*feedv1.Frame // parts of the unfinished revision
	snapshot frame.Snapshot  // how far a snapshot is in content+1
	doubts   int             // refusals since a frame was taken
}

// content is everything that a start reads.
type content struct {
	streams  map[string]*stream
	deny     []denied // by rising subject
	keys     map[[8]byte]*feedv1.PublishingKey
	epoch    uint64
	revision uint64
	contact  int64 // Unix nanoseconds
	feeds    map[string]string
	granted  granted
	changes  []view.Change
	leftover map[string]bool // streams with records of an unfinished snapshot
}

// load reads a whole generation, and with it looks at every checksum.
func load(db *pebble.DB) (*content, error) {
	c := &content{streams: map[string]*stream{}, keys: map[[8]byte]*feedv1.PublishingKey{}, leftover: map[string]bool{}}
	// Positions first: they say which records are current.
	if err := scan(db, []byte{spacePosition}, c.readPosition); err != nil {
		return nil, err
	}
	items := itemReader{c: c}
	err := errors.Join(
		scan(db, []byte{spaceDeny}, c.readDeny),
		scan(db, []byte{spaceStaged}, c.readStaged),
		scan(db, []byte{spaceItem}, items.read),
		scan(db, []byte{spaceKey}, c.readKey),
		scan(db, []byte{spaceMeta}, c.readMeta),
	)
	if err != nil {
		return nil, err
	}
	return c, c.check()
}

// scan calls f for every key of a space, of all when the prefix is nil; what it is given
// is not kept. The iterator is closed whatever happens.
func scan(db pebble.Reader, prefix []byte, f func(key, value []byte) error) (err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = f(it.Key(), v)
		}
		if err != nil {
			return err
		}
	}
	return it.Error()
}

func (c *content) readPosition(key, value []byte) error {
	p := &feedv1.Position{}
	if len(value) < 4 {
		return fmt.Errorf("%w: position %q", errDamaged, key)
	}
	if err := proto.Unmarshal(value[4:], p); err != nil {
		return fmt.Errorf("%w: position %q: %w", errDamaged, key, err)
	}
	c.streams[string(key[1:])] = &stream{
		content:  binary.BigEndian.Uint32(value),
		position: frame.Position{Revision: p.GetRevision(), Part: p.GetPart(), Last: p.GetLast(), Hash: p.GetHash()},
	}
	return nil
}

// positionValue is the reverse of readPosition.
func (st *stream) positionValue(name string) []byte {
	v := binary.BigEndian.AppendUint32(nil, st.content)
	v, err := proto.MarshalOptions{}.MarshalAppend(v, st.toProto(name))
	if err != nil {
		panic(err) // a message of ours with plain fields always marshals
	}
	return v
}

func (st *stream) toProto(name string) *feedv1.Position {
	p := st.position
	return &feedv1.Position{Stream: name, Revision: p.Revision, Part: p.Part, Last: p.Last, Hash: p.Hash}
}

func (c *content) readDeny(key, value []byte) error {
	e, err := readDeny(key, value)
	c.deny = append(c.deny, e)
	return err
}

func (c *content) readStaged(key, value []byte) error {
	f := &feedv1.Frame{}
	if err := proto.Unmarshal(value, f); err != nil {
		return fmt.Errorf("%w: staged part: %w", errDamaged, err)
	}
	st := c.streams[f.GetStream()]
	if st == nil {
		return fmt.Errorf("%w: staged part of %q, which has no position", errDamaged, f.GetStream())
	}
	st.staged = append(st.staged, f)
	return nil
}

func (c *content) readKey(key, value []byte) error {
	k := &feedv1.PublishingKey{}
	if err := proto.Unmarshal(value, k); err != nil || len(key) != 9 {
		return fmt.Errorf("%w: publishing key %x", errDamaged, key)
	}
	c.keys[[8]byte(key[1:])] = k
	return nil
}

func (c *content) readMeta(key, value []byte) error {
	switch string(key) {
	case string(keyFeeds):
		w := &feedv1.Welcome{}
		if err := proto.Unmarshal(value, w); err != nil {
			return fmt.Errorf("%w: feeds: %w", errDamaged, err)
		}
		c.feeds = w.GetFeeds()
		return nil
	case string(keyGrant):
		var err error
		c.granted, err = readGranted(value)
		return err
	case string(keyEpoch), string(keyRevision), string(keyContact):
		if len(value) != 8 {
			return fmt.Errorf("%w: %q", errDamaged, key)
		}
	}
	switch n := value; string(key) {
	case string(keyEpoch):
		c.epoch = binary.BigEndian.Uint64(n)
	case string(keyRevision):
		c.revision = binary.BigEndian.Uint64(n)
	case string(keyContact):
		c.contact = int64(binary.BigEndian.Uint64(n))
	}
	return nil
}

// check holds what was read against itself.
func (c *content) check() error {
	for name, st := range c.streams {
		if st.position.Last != (len(st.staged) == 0) {
			return fmt.Errorf("%w: stream %s is at part %d of revision %d with %d staged parts", errDamaged, name,
				st.position.Part, st.position.Revision, len(st.staged))
		}
	}
	return nil
}

// itemReader builds changes of records in bulk: values share large blocks, the names of
// kinds and streams are shared.
type itemReader struct {
	c      *content
	prefix string // of the last key: stream and content
	stream string
	org    string
	in     bool // the last prefix is current
	kind   string
	block  []byte
}

func (r *itemReader) read(key, value []byte) error {
	name, content, k, n, ok := splitItem(key)
	if !ok || len(value) < itemHeader {
		return fmt.Errorf("%w: record %q", errDamaged, key)
	}
	if name != r.stream || r.prefix != string(key[:len(name)+6]) {
		r.stream, r.org, r.prefix = name, organization(name), string(key[:len(name)+6])
		st := r.c.streams[name]
		r.in = st != nil && st.content == content
		if !r.in {
			r.c.leftover[name] = true
		}
	}
	if r.in {
		r.c.changes = append(r.c.changes, r.change(k, n, value))
	}
	return nil
}

func (r *itemReader) change(k, name, value []byte) view.Change {
	if r.kind != string(k) {
		r.kind = string(k)
	}
	return view.Change{
		Stream: r.stream,
		Lane:   kind.Lane(value[0]),
		Change: kind.Change{
			Kind: r.kind, Organization: r.org, Name: string(name),
			Revision: binary.BigEndian.Uint64(value[1:]), Value: r.keep(value[itemHeader:]),
		},
	}
}

// keep copies a value into a block shared with others. It is never nil, as that stands
// for a record that ended.
func (r *itemReader) keep(v []byte) []byte {
	if len(v) > 64<<10 {
		return append([]byte(nil), v...)
	}
	if len(r.block)+len(v) > cap(r.block) {
		r.block = make([]byte, 0, 256<<10)
	}
	from := len(r.block)
	r.block = append(r.block, v...)
	return r.block[from:len(r.block):len(r.block)]
}

// organization is whose stream it is; empty for one of the installation.
func organization(stream string) string {
	org, ok := strings.CutPrefix(stream, "org/")
	if !ok {
		return ""
	}
	return org
}

// short shows a message in an error.
func short(m proto.Message) string {
	b, err := protojson.Marshal(m)
	if err != nil || len(b) > 200 {
		return string(m.ProtoReflect().Descriptor().Name())
	}
	return string(b)
}
