package seal

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"
)

// What was sealed once opens for ever: these stand as the first build wrote them.
const (
	oldChunk   = "66d9d9b2da6d1991d3e1b2a5c0e35c0fb97e03f78b"
	oldChunks  = "ec729b7f765b7c165dc6f7b602f622ba760d35f58b3695df96a32aa2cb003510"
	oldWrapped = "01fb355acec1453c3dcbd07b1016d360a13c1eada50bc30b3a2ef85c8b08d89b540677b4cfe0a8515ddb74c4b2b4b5d00c2fac698f65d1d4c57e49e352"
	oldValue   = "01d654f10e76dd92e2f75b2d640ba197b63e9b5bc36617da944b2d51fb5a2a1fc904"
)

func TestTheFormatStays(t *testing.T) {
	var key Key
	for i := range key {
		key[i] = byte(i)
	}
	id := [16]byte{0xaa, 0xbb}
	if got := fmt.Sprintf("%x", sealAll(&key, id, []byte("hello"))); got != oldChunk {
		t.Errorf("a chunk seals to %s", got)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(sealAll(&key, id, pattern(200_000)))); got != oldChunks {
		t.Errorf("chunks seal to others: %s", got)
	}
	hold := Hold{Tenant: "acme", Space: [16]byte{1}, Extent: [16]byte{2}, Slot: 3, Name: "k", Epoch: 4}
	if got, err := NewWrapper(&key).Unwrap(octets(t, oldWrapped), hold.Bind()); err != nil || got != (Key{9}) {
		t.Errorf("a wrapped key: %v", err)
	}
	got, err := NewValues(&key, [16]byte{1}).Open(nil, octets(t, oldValue), Bind("row", []byte("a"), Number(7)))
	if err != nil || string(got) != "value" {
		t.Errorf("a value: %q, %v", got, err)
	}
}

func octets(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
