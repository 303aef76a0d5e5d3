package frame

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

func testKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func testFrame() *feedv1.Frame {
	return &feedv1.Frame{
		Cluster: "c", Stream: "org/a", Epoch: 1, PreviousRevision: 4, Revision: 7, PreviousHash: []byte("h"),
		Last:     true,
		Items:    []*feedv1.Item{{Kind: "k", Name: "n", Lane: 1, Value: []byte("v")}},
		SignedAt: time.Unix(1000, 0).UnixNano(),
	}
}

func TestSealedFramesOpen(t *testing.T) {
	key := testKey(1)
	data, hash, err := Seal(key, testFrame())
	if err != nil {
		t.Fatal(err)
	}
	f, got, err := Open(data, NewKeys(Key{Public: public(key)}))
	if err != nil || got != hash || !proto.Equal(f, testFrame()) {
		t.Fatalf("open: %v, %v", f, err)
	}
}

// Every flip of every bit is refused by name.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	key := testKey(1)
	data, _, _ := Seal(key, testFrame())
	keys := NewKeys(Key{Public: public(key)})
	reasons := map[string]int{}
	for i := range data {
		for bit := range 8 {
			bad := bytes.Clone(data)
			bad[i] ^= 1 << bit
			f, _, err := Open(bad, keys)
			if err == nil {
				t.Fatalf("bit %d of octet %d flipped: opened as %v", bit, i, f)
			}
			reasons[Reason(err)]++
		}
	}
	if reasons[ReasonBadSignature] == 0 || reasons[ReasonMalformed] == 0 || reasons[ReasonUnknownKey] == 0 {
		t.Fatalf("reasons %v", reasons)
	}
	for n := range data {
		if _, _, err := Open(data[:n], keys); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d octets: %v", n, err)
		}
	}
}

func TestKeysThatMaySign(t *testing.T) {
	key := testKey(1)
	data, _, _ := Seal(key, testFrame()) // signed at 1000 s
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	tests := []struct {
		name string
		keys Keys
		want error
	}{
		{"no keys", Keys{}, ErrUnknownKey},
		{"another key", NewKeys(Key{Public: public(testKey(2))}), ErrUnknownKey},
		{"active", NewKeys(Key{Public: public(key), Active: at(900)}), nil},
		{"active a little later: clocks differ", NewKeys(Key{Public: public(key), Active: at(1100)}), nil},
		{"not active yet", NewKeys(Key{Public: public(key), Active: at(2000)}), ErrUnknownKey},
		{"retires later", NewKeys(Key{Public: public(key), Retired: at(2000)}).At(at(1500)), nil},
		{"signed after it retired", NewKeys(Key{Public: public(key), Retired: at(900)}), ErrRetiredKey},
		{
			"claims to be signed before it retired", NewKeys(Key{Public: public(key), Retired: at(2000)}).At(at(2000)),
			ErrRetiredKey,
		},
		{
			"replaced by a retirement",
			NewKeys(Key{Public: public(key)}).With(Key{Public: public(key), Retired: at(1)}),
			ErrRetiredKey,
		},
	}
	for _, tt := range tests {
		if _, _, err := Open(data, tt.keys); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestSignatureIsBoundToItsUse(t *testing.T) {
	key := testKey(1)
	inner, _ := proto.Marshal(testFrame())
	data, _ := proto.Marshal(&feedv1.SignedFrame{
		Frame: inner, Signature: ed25519.Sign(key, inner),
		KeyId: func() []byte {
			id := KeyID(public(key))
			return id[:]
		}(),
	})
	if _, _, err := Open(data, NewKeys(Key{Public: public(key)})); !errors.Is(err, ErrBadSignature) {
		t.Fatalf("a signature without the domain: %v", err)
	}
}

func TestTooLargeFramesAreNotSealed(t *testing.T) {
	f := testFrame()
	f.Items[0].Value = make([]byte, MaxFrame)
	if _, _, err := Seal(testKey(1), f); err == nil {
		t.Fatal("sealed")
	}
}

func TestHasDeny(t *testing.T) {
	f := testFrame()
	data, _, _ := Seal(testKey(1), f)
	if HasDeny(data) {
		t.Error("a data frame has deny items")
	}
	f.Items = append(f.Items, &feedv1.Item{Kind: "k", Name: "x", Lane: 2})
	if data, _, _ = Seal(testKey(1), f); !HasDeny(data) {
		t.Error("a deny frame has none")
	}
}

func TestMessagesCrossTheWire(t *testing.T) {
	var wire bytes.Buffer
	ack := &feedv1.Up{Message: &feedv1.Up_Ack{Ack: &feedv1.Ack{Revision: 9}}}
	buf, err := WriteMsg(&wire, nil, ack)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = WriteMsg(&wire, buf, ack); err != nil {
		t.Fatal(err)
	}
	wire.Write(AppendFrame(nil, []byte("signed")))
	var got []byte
	for range 2 {
		if got, err = ReadMsg(&wire, got, MaxMessage); err != nil {
			t.Fatal(err)
		}
		var up feedv1.Up
		if err := proto.Unmarshal(got, &up); err != nil || up.GetAck().GetRevision() != 9 {
			t.Fatalf("read %v, %v", &up, err)
		}
	}
	if got, err = ReadMsg(&wire, got, MaxMessage); err != nil {
		t.Fatal(err)
	}
	if s, ok := FrameIn(got); !ok || string(s) != "signed" {
		t.Fatalf("frame %q, %v", s, ok)
	}
	if _, err = ReadMsg(&wire, got, MaxMessage); !errors.Is(err, io.EOF) {
		t.Fatalf("at the end: %v", err)
	}
}

func TestReadMsgRefusesWhatIsTooLargeOrCut(t *testing.T) {
	if _, err := ReadMsg(bytes.NewReader([]byte{0, 0, 0, 9}), nil, 8); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := ReadMsg(bytes.NewReader([]byte{0, 0, 0, 9, 1, 2}), nil, 9); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: %v", err)
	}
	if _, err := ReadMsg(bytes.NewReader([]byte{0, 0, 0, 9}), nil, 9); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut after the length: %v", err)
	}
}

func TestReadAndWriteReuseTheirBuffers(t *testing.T) {
	msg := AppendFrame(nil, make([]byte, 10_000))
	r := bytes.NewReader(msg)
	var buf []byte
	allocs := testing.AllocsPerRun(100, func() {
		r.Reset(msg)
		buf, _ = ReadMsg(r, buf, MaxMessage)
	})
	if allocs != 0 {
		t.Errorf("ReadMsg allocates %v times", allocs)
	}
}
