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
		b, err := proto.Marshal(&storagev1.CreateBucketRequest{Bucket: &storagev1.Bucket{
			Name: "buckets/a",
			Spec: &storagev1.BucketSpec{Cell: cell},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return OwnCell("e1", &feedv1.Submit{
			Token: token, Method: "/dark.storage.v1.BucketService/" + method,
			Request: b,
		}, nil)
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

// TestAnEdgeDeletesBucketsOfItsOwnCell with a customer's signature: a bucket that another
// edge keeps may hold objects, whatever this one says.
func TestAnEdgeDeletesBucketsOfItsOwnCell(t *testing.T) {
	published := func(stream, kind, name string) ([]byte, error) {
		if stream != "org/acme" || kind != PublishedBucket {
			return nil, nil
		}
		cell, ok := map[string]string{"buckets/mine": "e1", "buckets/theirs": "e2"}[name]
		if !ok {
			return nil, nil
		}
		return proto.Marshal(&storagev1.PublishedBucket{Placement: &storagev1.Placement{Cell: cell}})
	}
	for _, c := range []struct {
		token, organization, bucket string
		refusal                     errs.Kind
	}{
		{"sigv4.x.y", "acme", "mine", 0},
		{"sigv4.x.y", "acme", "theirs", errs.Denied},
		{"sigv4.x.y", "acme", "none", errs.NotFound},
		{"sigv4.x.y", "", "mine", errs.NotFound},
		{"sigv4.x.y", "other", "mine", errs.NotFound},
		{"dk_token", "acme", "theirs", 0},
	} {
		name := "buckets/" + c.bucket
		b, err := proto.Marshal(&storagev1.DeleteBucketRequest{Name: name, Force: name})
		if err != nil {
			t.Fatal(err)
		}
		err = OwnCell("e1", &feedv1.Submit{
			Token: c.token, Organization: c.organization,
			Method: bucketMethod + "DeleteBucket", Request: b,
		}, published)
		if (err == nil) != (c.refusal == 0) || err != nil && errs.KindOf(err) != c.refusal {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
