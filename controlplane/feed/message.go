package feed

import (
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// maxStreams is the most streams that one edge may name in its Hello.
const maxStreams = 200_000

// maxAbout is how many octets its version and kinds may have, which are kept.
const maxAbout = 64 << 10

func newTicketKey(key *[32]byte) error {
	if _, err := rand.Read(key[:]); err != nil {
		return fmt.Errorf("feed: key of session tickets: %w", err)
	}
	return nil
}

// maxElements is how many messages and repeated values one message of an edge may have
// within it. Each costs some hundred octets when it is read, and two on the wire.
const maxElements = 100_000

var upType = (&feedv1.Up{}).ProtoReflect().Descriptor()

// upIn reads one message of an edge.
func upIn(msg []byte) (*feedv1.Up, error) { return upWithin(msg, maxElements) }

// upWithin reads a message that has at most so many elements, which are counted first.
func upWithin(msg []byte, most int) (*feedv1.Up, error) {
	if left := most; !elements(msg, upType, &left) {
		return nil, fmt.Errorf("malformed message, or more than %d elements in it", most)
	}
	up := &feedv1.Up{}
	if err := proto.Unmarshal(msg, up); err != nil {
		return nil, fmt.Errorf("malformed message: %w", err)
	}
	return up, nil
}

// helloIn reads the first message of an edge, which must be a Hello.
func helloIn(msg []byte) (*feedv1.Hello, error) {
	up, err := upWithin(msg, maxStreams+maxElements)
	if err != nil {
		return nil, err
	}
	h := up.GetHello()
	if h == nil {
		return nil, errors.New("the first message is no Hello")
	}
	if len(h.GetPositions()) > maxStreams {
		return nil, fmt.Errorf("%d positions, at most %d", len(h.GetPositions()), maxStreams)
	}
	if n := proto.Size(&feedv1.Hello{Version: h.GetVersion(), Kinds: h.GetKinds()}); n > maxAbout {
		return nil, fmt.Errorf("version and kinds of %d octets, at most %d", n, maxAbout)
	}
	return h, nil
}

// elements counts what is repeated and what is a message in an encoded message, down from
// left; false when there is more than that, or when it cannot be read. It allocates nothing.
func elements(b []byte, of protoreflect.MessageDescriptor, left *int) bool {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return false
		}
		value := b[:n]
		b = b[n:]
		field := of.Fields().ByNumber(number)
		if field == nil {
			continue // kept as it is, in octets
		}
		within := field.Message() != nil && typ == protowire.BytesType
		if within || field.IsList() {
			if *left--; *left < 0 {
				return false
			}
		}
		if within {
			inner, m := protowire.ConsumeBytes(value)
			if m < 0 || !elements(inner, field.Message(), left) {
				return false
			}
		}
	}
	return true
}
