package s3xml

import "time"

// Owner is an owner, an initiator or a grantee that is no group.
type Owner struct {
	ID          string // canonical user ID
	DisplayName string
}

// Entry is an object in a listing.
type Entry struct {
	Key          []byte
	LastModified time.Time
	ETag         []byte // without its quotes
	Size         int64
	Algorithm    string // of the checksum; empty for none
	Composite    bool   // type of the checksum
	StorageClass string // empty is STANDARD
	Owner        *Owner // nil leaves it out
}

// ListObjects answers ListObjects (version 1) and ListObjectsV2.
type ListObjects struct {
	Bucket, Prefix, Delimiter string
	MaxKeys                   int
	URL                       bool // encoding-type=url
	Truncated                 bool

	V2 bool
	// Of version 2: the tokens as the client sent and shall send them.
	ContinuationToken, NextContinuationToken, StartAfter string
	// Of version 1.
	Marker, NextMarker string

	Contents       []Entry
	CommonPrefixes [][]byte
}

// Append appends the document. It allocates nothing but what b needs to grow.
func (l *ListObjects) Append(b []byte) []byte {
	w := writer{b}
	w.root("ListBucketResult")
	w.text("Name", l.Bucket)
	name(&w, "Prefix", l.Prefix, l.URL)
	if l.V2 {
		l.pageV2(&w)
	} else {
		l.pageV1(&w)
	}
	for i := range l.Contents {
		l.Contents[i].write(&w, l.URL)
	}
	prefixes(&w, l.CommonPrefixes, l.URL)
	w.close("ListBucketResult")
	return w.b
}

func (l *ListObjects) pageV1(w *writer) {
	name(w, "Marker", l.Marker, l.URL)
	if l.NextMarker != "" {
		name(w, "NextMarker", l.NextMarker, l.URL)
	}
	w.integer("MaxKeys", int64(l.MaxKeys))
	l.tail(w)
}

func (l *ListObjects) pageV2(w *writer) {
	if l.StartAfter != "" {
		name(w, "StartAfter", l.StartAfter, l.URL)
	}
	w.optional("ContinuationToken", l.ContinuationToken)
	w.optional("NextContinuationToken", l.NextContinuationToken)
	w.integer("KeyCount", int64(len(l.Contents)+len(l.CommonPrefixes)))
	w.integer("MaxKeys", int64(l.MaxKeys))
	l.tail(w)
}

func (l *ListObjects) tail(w *writer) {
	if l.Delimiter != "" {
		name(w, "Delimiter", l.Delimiter, l.URL)
	}
	encodingType(w, l.URL)
	w.boolean("IsTruncated", l.Truncated)
}

func encodingType(w *writer, url bool) {
	if url {
		w.text("EncodingType", "url")
	}
}

func prefixes(w *writer, all [][]byte, url bool) {
	for _, p := range all {
		w.open("CommonPrefixes")
		name(w, "Prefix", p, url)
		w.close("CommonPrefixes")
	}
}

func (e *Entry) write(w *writer, url bool) {
	w.b = append(w.b, "<Contents>"...)
	name(w, "Key", e.Key, url)
	w.time("LastModified", e.LastModified)
	e.facts(w)
	w.b = append(w.b, "</Contents>"...)
}

// facts are the elements that objects and versions have in common.
func (e *Entry) facts(w *writer) {
	etag(w, e.ETag)
	if e.Algorithm != "" {
		w.text("ChecksumAlgorithm", e.Algorithm)
		w.text("ChecksumType", checksumType(e.Composite))
	}
	w.integer("Size", e.Size)
	w.owner("Owner", e.Owner)
	w.storageClass(e.StorageClass)
}

func checksumType(composite bool) string {
	if composite {
		return "COMPOSITE"
	}
	return "FULL_OBJECT"
}

func (w *writer) owner(name string, o *Owner) {
	if o == nil {
		return
	}
	w.open(name)
	w.text("ID", o.ID)
	w.optional("DisplayName", o.DisplayName)
	w.close(name)
}

func (w *writer) storageClass(class string) {
	if class == "" {
		w.b = append(w.b, "<StorageClass>STANDARD</StorageClass>"...)
		return
	}
	w.text("StorageClass", class)
}
