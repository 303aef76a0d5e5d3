package s3xml

import (
	"slices"
	"strconv"
	"time"
)

func decimal(n int) string { return strconv.Itoa(n) }

// Copied answers CopyObject and UploadPartCopy.
type Copied struct {
	Part         bool // of UploadPartCopy
	LastModified time.Time
	ETag         string // without its quotes
	Checksum     Checksum
}

// Append appends the document.
func (r *Copied) Append(b []byte) []byte {
	root := "CopyObjectResult"
	if r.Part {
		root = "CopyPartResult"
	}
	w := writer{b}
	w.root(root)
	w.time("LastModified", r.LastModified)
	etag(&w, r.ETag)
	if r.Part {
		w.checksum(r.Checksum)
	} else {
		w.checksumWithType(r.Checksum)
	}
	w.close(root)
	return w.b
}

// Deleted is what became of one key of DeleteObjects.
type Deleted struct {
	Key, VersionID  string
	Marker          bool // a marker was made, or what was deleted was one
	MarkerVersionID string
	Err             *Error // nil: it is gone
}

// DeleteResult answers DeleteObjects.
type DeleteResult struct {
	Quiet   bool // errors only
	Results []Deleted
}

// Append appends the document.
func (r *DeleteResult) Append(b []byte) []byte {
	w := writer{b}
	w.root("DeleteResult")
	for i := range r.Results {
		if d := &r.Results[i]; d.Err != nil {
			d.failed(&w)
		} else if !r.Quiet {
			d.done(&w)
		}
	}
	w.close("DeleteResult")
	return w.b
}

func (d *Deleted) done(w *writer) {
	w.open("Deleted")
	w.text("Key", d.Key)
	w.optional("VersionId", d.VersionID)
	if d.Marker {
		w.boolean("DeleteMarker", true)
		w.optional("DeleteMarkerVersionId", d.MarkerVersionID)
	}
	w.close("Deleted")
}

func (d *Deleted) failed(w *writer) {
	w.open("Error")
	w.text("Key", d.Key)
	w.optional("VersionId", d.VersionID)
	w.text("Code", string(d.Err.Code))
	w.text("Message", d.Err.Text())
	w.close("Error")
}

// AppendTagging appends the document of GetObjectTagging and GetBucketTagging, sorted by
// key: the same tags are always the same document.
func AppendTagging(b []byte, tags map[string]string) []byte {
	w := writer{b}
	w.root("Tagging")
	w.open("TagSet")
	for _, k := range sortedKeys(tags) {
		w.tag(k, tags[k])
	}
	w.close("TagSet")
	w.close("Tagging")
	return w.b
}

func (w *writer) tag(key, value string) {
	w.open("Tag")
	w.text("Key", key)
	w.text("Value", value)
	w.close("Tag")
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// AttributePart is a part that GetObjectAttributes tells of.
type AttributePart struct {
	Number   int
	Size     int64
	Checksum Checksum
}

// AttributeParts are the parts of GetObjectAttributes.
type AttributeParts struct {
	Total              int // of all parts
	Marker, NextMarker int
	Max                int
	Truncated          bool
	Parts              []AttributePart // only where they have checksums, as at AWS
}

// Attributes answers GetObjectAttributes; what was not asked for stays empty or nil.
type Attributes struct {
	ETag         string // without quotes, and written so: AWS has none here
	Checksum     Checksum
	Parts        *AttributeParts
	StorageClass string
	Size         *int64
}

// Append appends the document.
func (a *Attributes) Append(b []byte) []byte {
	w := writer{b}
	w.root("GetObjectAttributesResponse")
	w.optional("ETag", a.ETag)
	if a.Checksum.Algorithm != "" && len(a.Checksum.Sum) > 0 {
		// Without "-N", as at AWS: the type tells it, and ObjectParts how many.
		sum := Checksum{Algorithm: a.Checksum.Algorithm, Sum: a.Checksum.Sum}
		w.open("Checksum")
		w.checksum(sum)
		w.text("ChecksumType", checksumType(a.Checksum.Parts > 0))
		w.close("Checksum")
	}
	if a.Parts != nil {
		a.Parts.write(&w)
	}
	w.optional("StorageClass", a.StorageClass)
	if a.Size != nil {
		w.integer("ObjectSize", *a.Size)
	}
	w.close("GetObjectAttributesResponse")
	return w.b
}

func (p *AttributeParts) write(w *writer) {
	w.open("ObjectParts")
	// The element is PartsCount on the wire, TotalPartsCount in the SDKs.
	w.integer("PartsCount", int64(p.Total))
	if p.Max > 0 {
		w.integer("PartNumberMarker", int64(p.Marker))
		w.integer("NextPartNumberMarker", int64(p.NextMarker))
		w.integer("MaxParts", int64(p.Max))
		w.boolean("IsTruncated", p.Truncated)
	}
	for _, part := range p.Parts {
		w.open("Part")
		w.checksum(part.Checksum)
		w.integer("PartNumber", int64(part.Number))
		w.integer("Size", part.Size)
		w.close("Part")
	}
	w.close("ObjectParts")
}

// Posted answers a POST upload with success_action_status 201.
type Posted struct{ Location, Bucket, Key, ETag string }

// Append appends the document.
func (r *Posted) Append(b []byte) []byte {
	w := writer{append(b, header...)}
	w.open("PostResponse")
	w.text("Location", r.Location)
	w.text("Bucket", r.Bucket)
	w.text("Key", r.Key)
	etag(&w, r.ETag)
	w.close("PostResponse")
	return w.b
}
