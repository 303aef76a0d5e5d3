package s3xml

import (
	"encoding/base64"
	"time"
)

// Checksum is a checksum as documents show it.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1, SHA256; empty for none
	Sum       []byte // raw
	Parts     int    // of a COMPOSITE one: how many; 0 for FULL_OBJECT
}

// Value is the checksum as headers and documents have it: base64, with "-N" if composite.
func (c Checksum) Value() string {
	v := base64.StdEncoding.EncodeToString(c.Sum)
	if c.Parts > 0 {
		v += "-" + decimal(c.Parts)
	}
	return v
}

func (w *writer) checksum(c Checksum) {
	if c.Algorithm != "" && len(c.Sum) > 0 {
		w.text("Checksum"+c.Algorithm, c.Value())
	}
}

func (w *writer) checksumWithType(c Checksum) {
	if c.Algorithm == "" || len(c.Sum) == 0 {
		return
	}
	w.checksum(c)
	w.text("ChecksumType", checksumType(c.Parts > 0))
}

// Initiated answers CreateMultipartUpload.
type Initiated struct{ Bucket, Key, UploadID string }

// Append appends the document.
func (r *Initiated) Append(b []byte) []byte {
	w := writer{b}
	w.root("InitiateMultipartUploadResult")
	w.text("Bucket", r.Bucket)
	w.text("Key", r.Key)
	w.text("UploadId", r.UploadID)
	w.close("InitiateMultipartUploadResult")
	return w.b
}

// Completed answers CompleteMultipartUpload.
type Completed struct {
	Location, Bucket, Key string
	ETag                  string // without its quotes
	Checksum              Checksum
}

// Append appends the document.
func (r *Completed) Append(b []byte) []byte {
	w := writer{b}
	w.root("CompleteMultipartUploadResult")
	w.text("Location", r.Location)
	w.text("Bucket", r.Bucket)
	w.text("Key", r.Key)
	etag(&w, r.ETag)
	w.checksumWithType(r.Checksum)
	w.close("CompleteMultipartUploadResult")
	return w.b
}

// Upload is an upload in a listing.
type Upload struct {
	Key              []byte
	UploadID         string
	Initiator, Owner Owner
	StorageClass     string // empty is STANDARD
	Initiated        time.Time
	Algorithm        string
	Composite        bool
}

// ListUploads answers ListMultipartUploads.
type ListUploads struct {
	Bucket, Prefix, Delimiter       string
	KeyMarker, UploadMarker         string
	NextKeyMarker, NextUploadMarker string
	MaxUploads                      int
	URL                             bool // encoding-type=url
	Truncated                       bool
	Uploads                         []Upload
	CommonPrefixes                  [][]byte
}

// Append appends the document.
func (l *ListUploads) Append(b []byte) []byte {
	w := writer{b}
	w.root("ListMultipartUploadsResult")
	w.text("Bucket", l.Bucket)
	name(&w, "KeyMarker", l.KeyMarker, l.URL)
	w.text("UploadIdMarker", l.UploadMarker)
	name(&w, "NextKeyMarker", l.NextKeyMarker, l.URL)
	w.text("NextUploadIdMarker", l.NextUploadMarker)
	if l.Delimiter != "" {
		name(&w, "Delimiter", l.Delimiter, l.URL)
	}
	name(&w, "Prefix", l.Prefix, l.URL)
	encodingType(&w, l.URL)
	w.integer("MaxUploads", int64(l.MaxUploads))
	w.boolean("IsTruncated", l.Truncated)
	for i := range l.Uploads {
		l.Uploads[i].write(&w, l.URL)
	}
	prefixes(&w, l.CommonPrefixes, l.URL)
	w.close("ListMultipartUploadsResult")
	return w.b
}

func (u *Upload) write(w *writer, url bool) {
	w.open("Upload")
	name(w, "Key", u.Key, url)
	w.text("UploadId", u.UploadID)
	w.owner("Initiator", &u.Initiator)
	w.owner("Owner", &u.Owner)
	w.storageClass(u.StorageClass)
	w.time("Initiated", u.Initiated)
	if u.Algorithm != "" {
		w.text("ChecksumAlgorithm", u.Algorithm)
		w.text("ChecksumType", checksumType(u.Composite))
	}
	w.close("Upload")
}

// PartEntry is a part in a listing.
type PartEntry struct {
	Number       int
	LastModified time.Time
	ETag         string // without its quotes
	Size         int64
	Checksum     Checksum
}

// ListParts answers ListParts.
type ListParts struct {
	Bucket, Key, UploadID string
	URL                   bool // encoding-type=url
	Initiator, Owner      Owner
	StorageClass          string // empty is STANDARD
	Marker, NextMarker    int
	MaxParts              int
	Truncated             bool
	Algorithm             string
	Composite             bool
	Parts                 []PartEntry
}

// Append appends the document.
func (l *ListParts) Append(b []byte) []byte {
	w := writer{b}
	w.root("ListPartsResult")
	w.text("Bucket", l.Bucket)
	name(&w, "Key", l.Key, l.URL)
	w.text("UploadId", l.UploadID)
	encodingType(&w, l.URL)
	w.owner("Initiator", &l.Initiator)
	w.owner("Owner", &l.Owner)
	w.storageClass(l.StorageClass)
	w.integer("PartNumberMarker", int64(l.Marker))
	w.integer("NextPartNumberMarker", int64(l.NextMarker))
	w.integer("MaxParts", int64(l.MaxParts))
	w.boolean("IsTruncated", l.Truncated)
	if l.Algorithm != "" {
		w.text("ChecksumAlgorithm", l.Algorithm)
		w.text("ChecksumType", checksumType(l.Composite))
	}
	for i := range l.Parts {
		l.Parts[i].write(&w)
	}
	w.close("ListPartsResult")
	return w.b
}

func (p *PartEntry) write(w *writer) {
	w.open("Part")
	w.integer("PartNumber", int64(p.Number))
	w.time("LastModified", p.LastModified)
	etag(w, p.ETag)
	w.integer("Size", p.Size)
	w.checksum(p.Checksum)
	w.close("Part")
}
