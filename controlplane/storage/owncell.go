package storage

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// OwnCell refuses what an edge asks for with a customer's signed request where it would
// place a bucket in another cell. S3 has no word for the cell, so that the signature does
// not cover it: the bucket is kept by the edge that the customer chose to ask, which this
// side knows by the edge's certificate.
func OwnCell(node string, s *feedv1.Submit) error {
	if !strings.HasPrefix(s.GetToken(), sigv4.Prefix) || !strings.HasSuffix(s.GetMethod(), ".BucketService/CreateBucket") {
		return nil
	}
	q := &storagev1.CreateBucketRequest{}
	if err := proto.Unmarshal(s.GetRequest(), q); err != nil {
		return errs.New(errs.Invalid, "the request of %s cannot be read", s.GetMethod())
	}
	if cell := q.GetBucket().GetSpec().GetCell(); cell != node {
		return errs.New(errs.Denied, "edge %s asks for a bucket in cell %q; with a signed S3 request it asks for its own only", node, cell)
	}
	return nil
}
