package feed

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
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

// A message of many small things costs no memory before it is refused. An honest Hello with
// as many streams as there may be is read.
func TestManySmallThingsAreRefusedUnread(t *testing.T) {
	for what, thing := range map[string][]byte{
		"positions": {0x1A, 0x00}, // field 3 of Hello, of no octets
		"kinds":     {0x2A, 0x00}, // field 5
	} {
		inner := bytes.Repeat(thing, 8<<20-16)
		msg := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), inner)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := helloIn(msg)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
			t.Errorf("%s: %v, %d octets", what, err, took)
		}
	}
	honest := &feedv1.Hello{}
	for i := range maxStreams {
		honest.Positions = append(honest.Positions, &feedv1.Position{
			Stream: fmt.Sprint("org/", i), Revision: 1, Hash: make([]byte, 32),
		})
	}
	msg, err := proto.Marshal(&feedv1.Up{Message: &feedv1.Up_Hello{Hello: honest}})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := helloIn(msg); err != nil || len(h.GetPositions()) != maxStreams {
		t.Error(err)
	}
}
