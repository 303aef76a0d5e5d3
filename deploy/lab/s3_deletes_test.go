package lab

import (
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestFullDiskComesBackByDeleting: what is deleted makes room, without a restart.
func TestFullDiskComesBackByDeleting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	smallDisk(t, filepath.Join(dir, "edge"))
	p := startPlatform(t, dir)
	acked := p.fill(t)
	var half []types.ObjectIdentifier
	for key := range acked {
		if len(half) < len(acked)-10 {
			half = append(half, types.ObjectIdentifier{Key: aws.String(key)})
		}
	}
	p.until(t, "deletions are taken", func() bool {
		_, err := p.client.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
			Bucket: &p.bucket,
			Delete: &types.Delete{Objects: half},
		})
		return err == nil
	})
	for _, o := range half {
		delete(acked, *o.Key)
	}
	p.until(t, "writes come back after deletions", func() bool {
		return p.put(t, "after deletions", make([]byte, 1<<20), acked)
	})
	p.reads(t, acked)
}
