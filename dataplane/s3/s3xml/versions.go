package s3xml

// VersionEntry is a version or a delete marker in a listing of versions; a marker has no
// ETag, size or class.
type VersionEntry struct {
	Entry
	VersionID string
	Latest    bool
	Marker    bool
}

// ListVersions answers ListObjectVersions.
type ListVersions struct {
	Bucket, Prefix, Delimiter string
	KeyMarker, VersionMarker  string
	NextKeyMarker             string
	NextVersionMarker         string
	MaxKeys                   int
	URL                       bool // encoding-type=url
	Truncated                 bool

	Versions       []VersionEntry
	CommonPrefixes [][]byte
}

// Append appends the document. It allocates nothing but what b needs to grow.
func (l *ListVersions) Append(b []byte) []byte {
	w := writer{b}
	w.root("ListVersionsResult")
	w.text("Name", l.Bucket)
	name(&w, "Prefix", l.Prefix, l.URL)
	name(&w, "KeyMarker", l.KeyMarker, l.URL)
	w.text("VersionIdMarker", l.VersionMarker)
	if l.NextKeyMarker != "" {
		name(&w, "NextKeyMarker", l.NextKeyMarker, l.URL)
	}
	w.optional("NextVersionIdMarker", l.NextVersionMarker)
	w.integer("MaxKeys", int64(l.MaxKeys))
	if l.Delimiter != "" {
		name(&w, "Delimiter", l.Delimiter, l.URL)
	}
	encodingType(&w, l.URL)
	w.boolean("IsTruncated", l.Truncated)
	for i := range l.Versions {
		l.Versions[i].write(&w, l.URL)
	}
	prefixes(&w, l.CommonPrefixes, l.URL)
	w.close("ListVersionsResult")
	return w.b
}

func (e *VersionEntry) write(w *writer, url bool) {
	element := "Version"
	if e.Marker {
		element = "DeleteMarker"
	}
	w.open(element)
	name(w, "Key", e.Key, url)
	w.text("VersionId", e.VersionID)
	w.boolean("IsLatest", e.Latest)
	w.time("LastModified", e.LastModified)
	if e.Marker {
		w.owner("Owner", e.Owner)
	} else {
		e.facts(w)
	}
	w.close(element)
}
