package edge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// The s3Server is the endpoint's s3.Control: what customers ask of buckets goes upward by
// Submit, with their own signed request as the credential, and is answered when this
// edge's view has it.

const bucketMethods = "/dark.storage.v1.BucketService/"

// CreateBucket implements s3.Control. The bucket is kept where the client asked for it:
// an edge does not pass on requests for buckets of other cells.
func (s *s3Server) CreateBucket(ctx context.Context, proof, organization string, b *storagev1.Bucket) error {
	if b.GetSpec().GetCell() == "" {
		b = proto.Clone(b).(*storagev1.Bucket)
		if b.Spec == nil {
			b.Spec = &storagev1.BucketSpec{}
		}
		b.Spec.Cell = s.c.Name
	}
	return s.submit(ctx, proof, organization, "CreateBucket", &storagev1.CreateBucketRequest{
		Bucket:    b,
		RequestId: requestID(), Reason: "S3",
	})
}

// UpdateBucket implements s3.Control. The change names all fields of the part that the customer's
// request is about, as that is a credential for the whole part and for nothing else.
func (s *s3Server) UpdateBucket(ctx context.Context, proof, organization string, b *storagev1.Bucket) error {
	now, ok := s.handler.View().Bucket(strings.TrimPrefix(b.GetName(), "buckets/"))
	if !ok {
		return errs.New(errs.NotFound, "%s does not exist", b.GetName())
	}
	if now.ETag != b.GetEtag() {
		return errs.New(errs.Conflict, "%s has changed meanwhile", b.GetName())
	}
	some := changed(now.Spec, b.GetSpec())
	if len(some) == 0 {
		return nil
	}
	paths, err := signedFields(proof, some)
	if err != nil {
		return err
	}
	return s.submit(ctx, proof, organization, "UpdateBucket", &storagev1.UpdateBucketRequest{
		Bucket: b, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}, RequestId: requestID(), Reason: "S3",
	})
}

// DeleteBucket implements s3.Control. That the bucket is empty was looked at before.
func (s *s3Server) DeleteBucket(ctx context.Context, proof, organization, name string) error {
	if !strings.HasPrefix(name, "buckets/") {
		name = "buckets/" + name
	}
	return s.submit(ctx, proof, organization, "DeleteBucket", &storagev1.DeleteBucketRequest{
		Name: name, Force: name,
		RequestId: requestID(), Reason: "S3",
	})
}

func (s *s3Server) submit(ctx context.Context, proof, organization, method string, req proto.Message) error {
	body, err := proto.Marshal(req)
	if err != nil {
		return err
	}
	subject, err := credential(proof)
	if err != nil {
		return err
	}
	_, _, err = s.c.node.Submit(ctx, config.Request{
		Subject: subject, Token: proof, Organization: organization,
		Method: bucketMethods + method, Body: body,
	})
	return err
}

// credential finds the subject that the deny set may have of a proof's access key.
func credential(proof string) (subject string, err error) {
	p, err := sigv4.ReadToken(proof)
	if err != nil {
		return "", errs.Wrap(errs.Internal, err, "the proof of a signed request cannot be read")
	}
	return "accesskey:" + p.AccessKeyID, nil
}

// signedFields are all fields of the part that a proof is about. Those that change are among them.
func signedFields(proof string, change []string) ([]string, error) {
	p, err := sigv4.ReadToken(proof)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the proof of a signed request cannot be read")
	}
	sub, part, _ := p.Part()
	for _, path := range change {
		if !slices.Contains(part.Fields, path) {
			return nil, errs.New(errs.Internal, "a signed request about %q would change %s", sub, path)
		}
	}
	return part.Fields, nil
}

// changed lists the fields in which two specs differ, as an update mask names them.
func changed(a, b *storagev1.BucketSpec) []string {
	var paths []string
	x, y := a.ProtoReflect(), b.ProtoReflect()
	fields := y.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if x.Has(fd) != y.Has(fd) || x.Has(fd) && !sameField(x, y, fd) {
			paths = append(paths, "spec."+string(fd.Name()))
		}
	}
	return paths
}

// sameField compares one field, in messages that have nothing else.
func sameField(a, b protoreflect.Message, fd protoreflect.FieldDescriptor) bool {
	x, y := a.New(), b.New()
	x.Set(fd, a.Get(fd))
	y.Set(fd, b.Get(fd))
	return proto.Equal(x.Interface(), y.Interface())
}

func requestID() string {
	var b [16]byte
	rand.Read(b[:])
	return "s3-" + hex.EncodeToString(b[:])
}
