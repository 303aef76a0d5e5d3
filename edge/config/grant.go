package config

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

const addressKind = "dark.feed.v1.FeedAddress"

// granted is the latest grant that was taken: an earlier one, which any hand may send again,
// changes nothing. The zero value is none.
type granted struct{ epoch, revision uint64 }

func (g granted) before(other granted) bool {
	return g.epoch < other.epoch || g.epoch == other.epoch && g.revision < other.revision
}

func (g granted) write(b *pebble.Batch) error {
	if g == (granted{}) {
		return nil
	}
	return b.Set(keyGrant, append(number(g.epoch), number(g.revision)...), nil)
}

func readGranted(value []byte) (granted, error) {
	if len(value) != 16 {
		return granted{}, fmt.Errorf("%w: %q", errDamaged, keyGrant)
	}
	return granted{binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:])}, nil
}

// subscribed follows the streams that a signed grant for this edge names, and no others. A
// control node of an old version signs none: until there was a first grant its streams are
// added, and nothing is dropped for it.
func (s *session) subscribed(sub *feedv1.Subscription) error {
	c := s.c
	if len(sub.GetGrant()) == 0 {
		if c.granted == (granted{}) {
			c.follows(sub.GetStreams())
		}
		return nil
	}
	g, err := frame.OpenGrant(sub, c.keys.At(c.o.Clock.Now()))
	if err != nil {
		return s.refuse(frame.Reason(err))
	}
	next := granted{g.GetEpoch(), g.GetRevision()}
	switch {
	case g.GetCluster() != c.o.Cluster:
		return s.refuse(frame.WrongCluster.String())
	case g.GetEpoch() == 0 || c.epoch != 0 && g.GetEpoch() != c.epoch:
		return s.refuse(frame.WrongEpoch.String())
	case g.GetNode() != s.self.Node || g.GetInstance() != s.self.Instance:
		return s.refuse(frame.WrongStream.String())
	case next.before(c.granted):
		return nil
	}
	c.granted = next
	return c.own(c.takeGrant(g.GetStreams()))
}

func (c *Config) takeGrant(streams []string) error {
	if err := c.granted.write(c.open()); err != nil {
		return err
	}
	return c.subscribe(streams)
}

// addressFrom follows where control nodes are: their own word for it is not believed.
func (c *Config) addressFrom(b *pebble.Batch, stream string, item *feedv1.Item) error {
	if stream != systemStream || item.GetKind() != addressKind {
		return nil
	}
	a := &feedv1.FeedAddress{}
	if item.GetDeleted() {
		delete(c.feeds, item.GetName())
		return c.writeFeeds(b)
	}
	if err := proto.Unmarshal(item.GetValue(), a); err != nil || a.GetAddress() == "" {
		c.o.Log.Error("config: the address of a control node is malformed and ignored", "name", item.GetName())
		return nil //nolint:nilerr // it was signed: an error would stop the edge for good
	}
	if c.feeds == nil {
		c.feeds = map[string]string{}
	}
	c.feeds[item.GetName()] = a.GetAddress()
	return c.writeFeeds(b)
}

// ownFrom follows the records that the edge itself lives by.
func (c *Config) ownFrom(b *pebble.Batch, stream string, item *feedv1.Item) error {
	if err := c.keyFrom(b, stream, item); err != nil {
		return err
	}
	return c.addressFrom(b, stream, item)
}
