package s3

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// describeNew reads from the headers what a new object says of itself.
func (q *request) describeNew(o *storagev1.Object) error {
	o.ContentType = q.header(hContentType)
	o.ContentEncoding = contentEncoding(q.r.Header["Content-Encoding"])
	o.ContentDisposition = q.header("Content-Disposition")
	o.ContentLanguage = q.header("Content-Language")
	o.CacheControl = q.header("Cache-Control")
	o.Expires = q.header("Expires")
	o.RedirectLocation = q.header("X-Amz-Website-Redirect-Location")
	if at := o.RedirectLocation; at != "" && !strings.HasPrefix(at, "/") && !strings.HasPrefix(at, "http://") &&
		!strings.HasPrefix(at, "https://") {
		return s3xml.Argument("The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
			"x-amz-website-redirect-location", at)
	}
	o.Metadata = q.metadata()
	if err := checkText(o); err != nil {
		return err
	}
	return s3xml.CheckMetadata(o.Metadata)
}

// checkText refuses headers that are not UTF-8, which is what objects are kept with, before
// a body is read. Other text has its encodings: RFC 8187 for file names, RFC 2047 for
// metadata ("Working with object metadata" of Amazon's user guide).
func checkText(o *storagev1.Object) error {
	for _, h := range []struct{ name, value string }{
		{"content-type", o.ContentType},
		{"content-encoding", o.ContentEncoding},
		{"content-disposition", o.ContentDisposition},
		{"content-language", o.ContentLanguage},
		{"cache-control", o.CacheControl},
		{"expires", o.Expires},
		{"x-amz-website-redirect-location", o.RedirectLocation},
	} {
		if !utf8.ValidString(h.value) {
			return notUTF8(h.name, h.value)
		}
	}
	for name, value := range o.Metadata { // values are text by now: decodeMetadata
		if !utf8.ValidString(name) {
			return notUTF8("x-amz-meta-"+name, value)
		}
	}
	return nil
}

func notUTF8(name, value string) error {
	name, value = strings.ToValidUTF8(name, "\uFFFD"), strings.ToValidUTF8(value, "\uFFFD")
	return s3xml.Argument("The header "+name+
		" is not UTF-8. Encode it: as UTF-8, by RFC 8187 (filename*=UTF-8''...), or by RFC 2047 (=?UTF-8?Q?...?=).",
		name, value)
}

// metadata is what x-amz-meta-* say, nil if there are none.
func (q *request) metadata() map[string]string {
	var m map[string]string
	for name, values := range q.r.Header {
		short, ok := strings.CutPrefix(name, "X-Amz-Meta-")
		if !ok || short == "" {
			continue
		}
		if m == nil {
			m = map[string]string{}
		}
		m[strings.ToLower(short)] = decodeMetadata(strings.Join(values, ","))
	}
	return m
}

// contentEncoding is the header as it was sent, but for aws-chunked, which is between the
// client and us.
func contentEncoding(values []string) string {
	if len(values) == 0 {
		return ""
	}
	var rest []string
	for one := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if !strings.EqualFold(strings.TrimSpace(one), "aws-chunked") {
			rest = append(rest, one)
		}
	}
	return strings.TrimSpace(strings.Join(rest, ","))
}

// futures are headers that ask for what comes later.
var futures = []string{
	"X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Object-Lock-Legal-Hold",
	"X-Amz-Write-Offset-Bytes", "X-Amz-Mfa", "X-Amz-Rename-Source",
}

// checkFutures refuses what is not there yet rather than do less than was asked for.
func (q *request) checkFutures() error {
	for _, name := range futures {
		if q.r.Header[name] != nil {
			return notImplemented(strings.ToLower(name))
		}
	}
	return nil
}

// checkPromises refuses headers that ask for a guarantee which the operation cannot give.
func (q *request) checkPromises() error {
	if err := q.checkFutures(); err != nil {
		return err
	}
	if q.op.sort == writes {
		for _, name := range conditions {
			if q.r.Header[name] != nil && !slices.Contains(q.op.conditions, name) {
				return notImplemented(name)
			}
		}
	}
	if q.op == &opGetObject || q.op == &opHeadObject || q.op == &opGetAttributes {
		return q.checkReadEncryption()
	}
	return nil
}

// checkReadEncryption: how an object is encrypted is said when it is written; of the headers
// that say it, a read takes only those of SSE-C (API reference, GetObject).
func (q *request) checkReadEncryption() error {
	for _, name := range [...]string{hSSE, hSSE + "-Aws-Kms-Key-Id", hSSE + "-Context", hSSE + "-Bucket-Key-Enabled"} {
		if q.r.Header[name] != nil {
			name = strings.ToLower(name)
			return s3xml.Argument(name+" header is not supported for this operation.", name, q.header(hSSE))
		}
	}
	return nil
}

// boolean reads a header that is true or false, whatever its case; false where it is missing.
func (q *request) boolean(name string) (bool, error) {
	switch v := q.header(name); strings.ToLower(v) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	default:
		name = strings.ToLower(name)
		return false, s3xml.Argument("The header "+name+" must be true or false.", name, v)
	}
}

// storageClass reads x-amz-storage-class: there is one, and REDUCED_REDUNDANCY is kept as
// it; the others come later.
func (q *request) storageClass() error {
	switch class := q.header("X-Amz-Storage-Class"); class {
	case "", "STANDARD", "REDUCED_REDUNDANCY":
		return nil
	case "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE", "OUTPOSTS",
		"SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS":
		return notImplemented("x-amz-storage-class")
	default:
		return s3xml.New(s3xml.InvalidStorageClass, "StorageClassRequested", class)
	}
}

// tagsNew reads x-amz-tagging.
func (q *request) tagsNew(o *storagev1.Object) (err error) {
	if text := q.header("X-Amz-Tagging"); text != "" {
		if err := q.demand("s3:PutObjectTagging"); err != nil {
			return err
		}
		o.Tags, err = s3xml.ParseTagHeader(text)
	}
	return err
}
