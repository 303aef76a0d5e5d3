package storage

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestAnEdgeMakesBucketsInItsOwnCell with a customer's signature, which says nothing of
// cells; who has a token of their own chooses.
func TestAnEdgeMakesBucketsInItsOwnCell(t *testing.T) {
	submit := func(token, method, cell string) error {
		b, err := proto.Marshal(&storagev1.CreateBucketRequest{Bucket: &storagev1.Bucket{Name: "buckets/a", Spec: &storagev1.BucketSpec{Cell: cell}}})
		if err != nil {
			t.Fatal(err)
		}
		return OwnCell("e1", &feedv1.Submit{Token: token, Method: "/dark.storage.v1.BucketService/" + method, Request: b})
	}
	for _, c := range []struct {
		token, method, cell string
		denied              bool
	}{
		{"sigv4.x.y", "CreateBucket", "e1", false},
		{"sigv4.x.y", "CreateBucket", "e2", true},
		{"sigv4.x.y", "CreateBucket", "", true},
		{"sigv4.x.y", "UpdateBucket", "e2", false},
		{"dk_token", "CreateBucket", "e2", false},
	} {
		if err := submit(c.token, c.method, c.cell); errs.Is(err, errs.Denied) != c.denied {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
