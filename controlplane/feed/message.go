package feed

import (
	"crypto/rand"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

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

// upIn reads one message of an edge.
func upIn(msg []byte) (*feedv1.Up, error) {
	up := &feedv1.Up{}
	if err := proto.Unmarshal(msg, up); err != nil {
		return nil, fmt.Errorf("malformed message: %w", err)
	}
	return up, nil
}

// helloIn reads the first message of an edge, which must be a Hello.
func helloIn(msg []byte) (*feedv1.Hello, error) {
	up, err := upIn(msg)
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
