package feed

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

var unixEpoch = time.Unix(0, 0)

// What an edge sends is read or refused, and never takes a control node down.
func FuzzHello(f *testing.F) {
	for _, up := range []*feedv1.Up{
		{Message: &feedv1.Up_Hello{Hello: &feedv1.Hello{
			Cluster: "c", Epoch: 1,
			Positions: []*feedv1.Position{{Stream: "s", Revision: 3, Hash: []byte("h")}},
		}}},
		{Message: &feedv1.Up_Ack{Ack: &feedv1.Ack{Revision: 1, RefusedFrames: map[string]uint64{"gap": 1}}}},
		{},
	} {
		b, err := proto.Marshal(up)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, err := helloIn(msg)
		if err == nil && h == nil {
			t.Fatal("neither a Hello nor an error")
		}
		if err == nil {
			ahead(h, 1)
			newNodes().hello("n", h, unixEpoch)
		}
		if up, err := upIn(msg); err == nil {
			newNodes().ack(&nodeState{}, up.GetAck(), unixEpoch)
			_ = positionOf(up.GetResume().GetPosition())
		}
	})
}
