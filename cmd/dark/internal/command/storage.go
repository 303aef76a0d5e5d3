package command

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/storage"
	"github.com/dark-ecosystem/dark/internal/contexts"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Storage is about objects in buckets.
func Storage(s *session) *cobra.Command {
	members := storage.Commands(&storage.Env{
		In: s.In, Out: s.Out, Err: s.Err,
		Output: func() string {
			return s.output
		}, Endpoint: s.s3, Terminal: isTerminal, Columns: columns, Buckets: s.bucketNames,
	})
	c := group("storage", "copy, sync, list and remove objects in buckets",
		append(members, s.storageStats(), s.storageDamage())...)
	c.Long = `Copy, sync, list and remove objects in buckets, over S3.

The endpoint and the key to it come from the context (darkd dev writes them), or from the
environment: DARK_S3_URL, DARK_S3_ACCESS_KEY, DARK_S3_SECRET_KEY and DARK_S3_REGION. AWS's
variables (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION) count where
an endpoint is named in the environment or the context has no key. Secrets are never flags:
every user of a machine can read those.`
	return c
}

// s3 finds the endpoint: the context's, and above it the environment.
func (s *session) s3() (storage.Endpoint, error) {
	c, err := s.base()
	if err != nil {
		return storage.Endpoint{}, err
	}
	env := os.Getenv
	if s.context != "" { // a flag is above the environment, here as in target
		env = func(string) string { return "" }
	}
	return storage.Resolve(endpointOf(c, s), env)
}

func endpointOf(c contexts.Context, s *session) storage.Endpoint {
	return storage.Endpoint{
		URL: c.S3.URL, Region: c.S3.Region, AccessKey: c.S3.AccessKey, SecretKey: c.S3.SecretKey,
		CA: firstOf(s.ca, os.Getenv("DARK_CA"), c.CA), Timeout: s.timeout,
	}
}

// bucketNames completes names of buckets.
func (s *session) bucketNames(c *cobra.Command, word string) []string {
	out, _ := s.completeResources(c, []string{"Bucket"}, word)
	return out
}

func bucketName(name string) string {
	return "buckets/" + strings.Trim(strings.TrimPrefix(strings.TrimPrefix(name, "darkstorage://"), "buckets/"), "/")
}

func (s *session) storageStats() *cobra.Command {
	return &cobra.Command{
		Use: "stats [BUCKET]", Short: "tell what edges keep, bucket by bucket, and how they are asked",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: s.completeFixed("Bucket"),
		RunE: func(c *cobra.Command, args []string) error {
			q := &storagev1.GetStorageStatsRequest{}
			if len(args) > 0 {
				q.Bucket = bucketName(args[0])
			}
			return s.stats(c.Context(), q)
		},
	}
}

const noStats = "no edge has told yet what it keeps; they tell every few seconds, and dark nodes shows which are " +
	"connected"

func (s *session) stats(ctx context.Context, q *storagev1.GetStorageStatsRequest) error {
	var r *storagev1.GetStorageStatsResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Buckets.GetStorageStats(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if s.output == "name" {
		for _, e := range r.Edges {
			for _, b := range e.Buckets {
				fmt.Fprintln(s.Out, bucketName(b.Bucket))
			}
		}
		return nil
	}
	return s.message(r, func() error {
		if len(r.Edges) == 0 {
			_, err := fmt.Fprintln(s.Err, noStats)
			return err
		}
		return s.statsTables(r.Edges, q.Bucket == "")
	})
}

// statsTables writes the edges, unless one bucket is asked for, and then the buckets.
func (s *session) statsTables(edges []*storagev1.StorageStats, all bool) error {
	t := render.NewTable("EDGE", "ON DISK", "LIVE", "FREE", "EXTENTS", "DAMAGED", "SCRUBBED", "PROGRESS", "READ-ONLY")
	b := render.NewTable("BUCKET", "EDGE", "OBJECTS", "SIZE", "UPLOADS", "READS", "WRITES", "LISTS", "4XX", "5XX", "IN",
		"OUT")
	for _, e := range edges {
		t.Row(e.Node, storage.Size(e.SegmentBytes), storage.Size(e.LiveBytes), storage.Size(e.FreeBytes),
			fmt.Sprint(e.Extents), fmt.Sprint(e.Damaged), unixTime(e.Scrubbed), perMille(e.Progress), e.ReadOnly)
		for _, k := range e.Buckets {
			row := []string{
				strings.TrimPrefix(k.Bucket, "buckets/"), e.Node, fmt.Sprint(k.Objects),
				storage.Size(k.Bytes),
			}
			for _, n := range []uint64{k.Uploads, k.Reads, k.Writes, k.Lists, k.Refused, k.Failed} {
				row = append(row, fmt.Sprint(n))
			}
			b.Row(append(row, storage.Size(k.BytesIn), storage.Size(k.BytesOut))...)
		}
	}
	if all {
		if err := t.Flush(s.Out); err != nil {
			return err
		}
		fmt.Fprintln(s.Out)
	}
	return b.Flush(s.Out)
}

func unixTime(t int64) string {
	if t == 0 {
		return "never"
	}
	return time.Unix(t, 0).UTC().Format(time.RFC3339)
}

func perMille(n uint32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d%%", n/10, n%10)
}
