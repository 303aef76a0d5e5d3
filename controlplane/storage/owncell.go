package storage

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// bucketMethod is what the names of BucketService's methods begin with.
const bucketMethod = "/dark.storage.v1.BucketService/"

// OwnCell refuses what an edge asks for with a customer's signed request where that is
// about a bucket of another cell. S3 has no word for the cell, so that the signature does
// not cover it: a new bucket is kept by the edge that the customer chose to ask, which this
// side knows by the edge's certificate, and only the edge that keeps a bucket can say that
// it is empty and closed.
//
// published reads a published record of this member's state.
func OwnCell(node string, s *feedv1.Submit, published func(stream, kind, name string) ([]byte, error)) error {
	if !strings.HasPrefix(s.GetToken(), sigv4.Prefix) {
		return nil
	}
	switch s.GetMethod() {
	case bucketMethod + "CreateBucket":
		return placedHere(node, s)
	case bucketMethod + "DeleteBucket":
		return keptHere(node, s, published)
	}
	return nil
}

func placedHere(node string, s *feedv1.Submit) error {
	q := &storagev1.CreateBucketRequest{}
	if err := proto.Unmarshal(s.GetRequest(), q); err != nil {
		return errs.New(errs.Invalid, "the request of %s cannot be read", s.GetMethod())
	}
	if cell := q.GetBucket().GetSpec().GetCell(); cell != node {
		return errs.New(errs.Denied, "edge %s asks for a bucket in cell %q; with a signed S3 request it asks for its "+
			"own only", node, cell)
	}
	return nil
}

func keptHere(node string, s *feedv1.Submit, published func(stream, kind, name string) ([]byte, error)) error {
	q := &storagev1.DeleteBucketRequest{}
	if err := proto.Unmarshal(s.GetRequest(), q); err != nil {
		return errs.New(errs.Invalid, "the request of %s cannot be read", s.GetMethod())
	}
	value, err := published(stream(s.GetOrganization()), PublishedBucket, q.GetName())
	if err != nil {
		return err
	}
	b := &storagev1.PublishedBucket{}
	if err := proto.Unmarshal(value, b); err != nil {
		return errs.Wrap(errs.Internal, err, "the published record of %s cannot be read", q.GetName())
	}
	switch cell := b.GetPlacement().GetCell(); {
	case value == nil:
		return errs.New(errs.NotFound, "%s does not exist", q.GetName())
	case cell != node:
		return errs.New(errs.Denied, "edge %s asks to delete %s, which edge %s keeps; only that one can say that it "+
			"is empty", node, q.GetName(), cell)
	}
	return nil
}
