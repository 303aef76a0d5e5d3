package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Buckets is about buckets themselves; dark storage is about what is in them.
func Buckets(s *session) *cobra.Command {
	return group("buckets", "list, create and delete buckets, and rotate their keys",
		s.generic("list", "list the buckets", Get, "Bucket", cobra.NoArgs),
		s.generic("get NAME", "show one bucket", Get, "Bucket", cobra.ExactArgs(1)),
		s.bucketsCreate(), s.bucketsRotateKey(),
		s.generic("delete NAME", "delete a bucket", Delete, "Bucket", cobra.ExactArgs(1)))
}

func (s *session) bucketsCreate() *cobra.Command {
	var w write
	var versioning bool
	var quota uint64
	var key string
	c := &cobra.Command{
		Use: "create NAME", Short: "create a bucket; all that it keeps is encrypted",
		Example: "  dark buckets create photos --versioning",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			spec := &storagev1.BucketSpec{}
			if versioning {
				spec.Versioning = storagev1.BucketSpec_VERSIONING_ENABLED
			}
			if quota > 0 {
				spec.Quota = &storagev1.Quota{Bytes: quota}
			}
			if key != "" {
				spec.Encryption = &storagev1.Encryption{EncryptionKey: encryptionKeyName(key)}
			}
			return s.createBucket(c.Context(), bucketName(args[0]), spec, w)
		},
	}
	c.Flags().BoolVar(&versioning, "versioning", false, "keep what is written over and removed as versions")
	c.Flags().Uint64Var(&quota, "quota", 0, "most bytes that it may hold (default: no limit)")
	c.Flags().StringVar(&key, "encryption-key", "",
		"encrypt with this key (SSE-KMS) where a writer does not say (default: SSE-S3)")
	_ = c.RegisterFlagCompletionFunc("encryption-key", s.completeNames("EncryptionKey"))
	w.flags(c)
	return c
}

func (s *session) bucketsRotateKey() *cobra.Command {
	return s.rotates(rotation{
		kind: "Bucket", what: "key rotation", use: "rotate-key NAME",
		short: "make a new version of a bucket's key (SSE-S3); all that it keeps stays readable",
		rotate: func(ctx context.Context, c *client.Client, name string, w write) (made, uint32, error) {
			b, err := c.Buckets.GetBucket(ctx, &storagev1.GetBucketRequest{Name: bucketName(name)})
			if err != nil {
				return nil, 0, err
			}
			next := &storagev1.Bucket{
				Name: b.Name, Etag: b.Etag,
				Spec: &storagev1.BucketSpec{KeyRotation: b.GetSpec().GetKeyRotation() + 1},
			}
			b, err = c.Buckets.UpdateBucket(ctx, &storagev1.UpdateBucketRequest{
				Bucket: next, UpdateMask: mask("spec.key_rotation"), RequestId: w.id(), Reason: w.reason,
				ValidateOnly: w.dryRun,
			})
			return b, b.GetSpec().GetKeyRotation(), err
		},
	})
}

func (s *session) createBucket(ctx context.Context, name string, spec *storagev1.BucketSpec, w write) error {
	var b *storagev1.Bucket
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		b, err = c.Buckets.CreateBucket(ctx, &storagev1.CreateBucketRequest{
			Bucket: &storagev1.Bucket{Name: name, Spec: spec}, RequestId: w.id(), Reason: w.reason,
			ValidateOnly: w.dryRun,
		})
		return err
	})
	if err != nil {
		return err
	}
	return s.created("Bucket", b, w.dryRun)
}

// made is what every resource can tell of itself.
type made interface {
	proto.Message
	GetName() string
	GetRevision() uint64
}

// created tells of a new resource.
func (s *session) created(kind string, m made, dryRun bool) error {
	if s.output == "name" {
		fmt.Fprintln(s.Out, m.GetName())
		return nil
	}
	return s.message(m, func() error {
		if dryRun {
			_, err := fmt.Fprintf(s.Out, "%s %s would be created; nothing was changed\n", kind, m.GetName())
			return err
		}
		_, err := fmt.Fprintf(s.Out, "%s %s created at revision %d\n", kind, m.GetName(), m.GetRevision())
		return err
	})
}
