package storage

import (
	"mime"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/tags"
	"github.com/spf13/pflag"
)

// describing is what flags say of objects that are uploaded.
type describing struct {
	contentType, cacheControl, contentEncoding, disposition, acl string
	metadata, tags                                               map[string]string
}

func (d *describing) flags(f *pflag.FlagSet) {
	f.StringVar(&d.contentType, "content-type", "", "Content-Type of what is uploaded (default: by the name's ending)")
	f.StringVar(&d.cacheControl, "cache-control", "", "Cache-Control of what is uploaded: max-age=3600")
	f.StringVar(&d.contentEncoding, "content-encoding", "", "Content-Encoding of what is uploaded: gzip")
	f.StringVar(&d.disposition, "content-disposition", "", "Content-Disposition of what is uploaded: attachment")
	f.StringToStringVar(&d.metadata, "metadata", nil, "user metadata of what is uploaded: NAME=VALUE; may be repeated")
	f.StringToStringVar(&d.tags, "tag", nil, "tags of what is uploaded: NAME=VALUE; may be repeated")
	f.StringVar(&d.acl, "acl", "", "canned ACL of what is uploaded, where the bucket has ACLs: public-read")
}

// cannedACLs are those of an object (API reference, PutObject).
const cannedACLs = " private public-read public-read-write authenticated-read aws-exec-read bucket-owner-read " +
	"bucket-owner-full-control "

// check refuses what no upload could have; download says that nothing is uploaded.
func (d *describing) check(download bool) error {
	given := d.contentType+d.cacheControl+d.contentEncoding+d.disposition+d.acl != "" || len(d.metadata)+len(d.tags) > 0
	switch {
	case given && download:
		return usage("the command without it",
			"--content-type, --metadata, --tag, --acl and their like are for what is uploaded from here")
	case d.acl != "" && !strings.Contains(cannedACLs, " "+d.acl+" "):
		return usage("--acl private or public-read", "%q is no canned ACL of an object", d.acl)
	case len(d.tags) > 10:
		return usage("at most ten --tag", "an object has at most 10 tags")
	}
	// The library leaves out all tags where it does not know one.
	if _, err := tags.NewTags(d.tags, true); err != nil {
		return usage("--tag name=value, of ASCII letters, digits, blanks and + - = . _ : / @", "tags: %w", err)
	}
	for name := range d.metadata {
		if name == "" || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return usage("--metadata name=value", "%q is no name of metadata: letters, digits, - _ and .", name)
		}
	}
	return nil
}

// describe puts it into the request. Metadata that is not ASCII goes as RFC 2047 has it.
func (d *describing) describe(o *minio.PutObjectOptions) {
	o.ContentType, o.CacheControl, o.ContentEncoding, o.ContentDisposition = d.contentType, d.cacheControl,
		d.contentEncoding, d.disposition
	o.UserTags = d.tags
	o.UserMetadata = map[string]string{}
	for name, value := range d.metadata {
		o.UserMetadata["X-Amz-Meta-"+name] = mime.BEncoding.Encode("UTF-8", value)
	}
	if d.acl != "" {
		o.UserMetadata["X-Amz-Acl"] = d.acl
	}
}
