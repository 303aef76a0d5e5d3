package frame

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
)

// What opens was sealed: whatever else is fed in is refused, and nothing panics.
func FuzzOpen(f *testing.F) {
	key := testKey(1)
	data, _, err := Seal(key, testFrame())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	keys := NewKeys(Key{Public: public(key)})
	f.Fuzz(func(t *testing.T, in []byte) {
		HasDeny(in)
		fr, _, err := Open(in, keys)
		if err == nil && !proto.Equal(fr, testFrame()) {
			t.Fatalf("opened what was not sealed: %v", fr)
		}
	})
}

// A message that is read is exactly what was announced, never more than the limit.
func FuzzReadMsg(f *testing.F) {
	f.Add(AppendFrame(nil, []byte("x")))
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 12
		r := bytes.NewReader(in)
		got, err := ReadMsg(r, nil, limit)
		if err != nil {
			return
		}
		if len(got) > limit || !bytes.Equal(got, in[4:4+len(got)]) {
			t.Fatalf("read %d octets of %d", len(got), len(in))
		}
		FrameIn(got)
	})
}
