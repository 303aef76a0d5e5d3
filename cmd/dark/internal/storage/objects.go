package storage

import (
	"context"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"
)

// listPage is the most that S3 gives at once.
const listPage = 1000

// objects yields the objects under a prefix, in the order of their keys' bytes. With a
// delimiter what is in folders is left out and the folders are yielded, ending in "/".
func (c *client) objects(ctx context.Context, in location, prefix string, recursive bool) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for o := range c.ListObjectsIter(ctx, in.bucket, minio.ListObjectsOptions{
			Prefix: prefix, Recursive: recursive,
			MaxKeys: listPage,
		}) {
			if o.Err != nil {
				yield(entry{}, explain(o.Err))
				return
			}
			if !yield(entryOf(in, prefix, &o), nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(entry{}, err)
		}
	}
}

func entryOf(in location, prefix string, o *minio.ObjectInfo) entry {
	return entry{
		rel: strings.TrimPrefix(o.Key, prefix), at: location{bucket: in.bucket, key: o.Key},
		size: o.Size, modified: o.LastModified, etag: strings.Trim(o.ETag, `"`),
	}
}

func (e entry) object() object { return object{e.at, e.version, e.etag, e.size, e.modified} }
