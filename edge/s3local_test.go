package edge

import (
	"bytes"
	"slices"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func TestSpacesAreNamedByTheirBuckets(t *testing.T) {
	n := BucketNames{store.ID{1}: "photos"}
	for text, want := range map[string]string{
		`the body of key "a" version 3 of space 01000000000000000000000000000000 (x)`: `the body of key "a" version 3 ` +
			`of bucket photos (x)`,
		`the body of key "oa\"b" version 3 of space 01000000000000000000000000000000 (x)`: `the body of object "a\"b" ` +
			`version 3 of bucket photos (x)`,
		`key "oa" of space 02000000000000000000000000000000`: `key "oa" of space 02000000000000000000000000000000`,
		"usage of space 02000000000000000000000000000000":    "usage of space 02000000000000000000000000000000",
		"space 01":     "space 01",
		"00000001.sst": "00000001.sst",
	} {
		if got := n.In(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// TestWhatGoesUpwardOfDamageIsBounded, and names objects.
func TestWhatGoesUpwardOfDamageIsBounded(t *testing.T) {
	v, _ := s3.NewView().With(s3.PutBucket(&storagev1.PublishedBucket{
		Bucket: "photos", Id: bytes.Repeat([]byte{1}, 16), Organization: "acme",
		Placement: &storagev1.Placement{Cell: "e1", Generation: 1},
		Spec:      &storagev1.BucketSpec{Versioning: storagev1.BucketSpec_VERSIONING_ENABLED},
	}))
	space := store.ID(bytes.Repeat([]byte{1}, 16))
	one := store.Damage{Cause: "it rotted \xff", Thing: store.Thing{
		Kind: store.DamagedExtent, Space: space, Key: []byte("oa/b\xfe"), Version: 7,
	}}
	got := damageTold([]store.Damage{one}, v)
	if d := got.Things; len(d) != 1 || d[0].Bucket != "photos" || d[0].Key != "a/b\uFFFD" || d[0].VersionId == "" ||
		!utf8.ValidString(d[0].What+d[0].Cause) || got.More {
		t.Errorf("%v", got)
	}
	many := slices.Repeat([]store.Damage{one}, toldDamage+1)
	if got := damageTold(many, v); len(got.Things) != toldDamage || !got.More {
		t.Errorf("%d things, more: %t", len(got.Things), got.More)
	}
	one.Key = append([]byte("o"), bytes.Repeat([]byte("k"), store.MaxKey-1)...)
	got = damageTold(slices.Repeat([]store.Damage{one}, 100), v)
	if proto.Size(got) > toldDamageBytes+10 || !got.More {
		t.Errorf("%d octets, more: %t", proto.Size(got), got.More)
	}
}
