package s3

import (
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// listUploads lists the uploads that go on, by key, then by ID.
func (q *request) listUploads() error {
	p, err := q.page("max-uploads")
	if err != nil {
		return err
	}
	answer := s3xml.ListUploads{
		Bucket: q.name, Prefix: p.prefix, Delimiter: p.delimiter, MaxUploads: p.limit, URL: p.url,
		KeyMarker: q.query.get("key-marker"), UploadMarker: q.query.get("upload-id-marker"),
	}
	if answer.KeyMarker == "" {
		answer.UploadMarker = "" // of no meaning alone (API reference)
	}
	if p.limit > 0 {
		if err := q.fillUploads(&answer); err != nil {
			return err
		}
	}
	if !p.url && uploadsNeedURL(&answer) {
		return errNeedsURL()
	}
	return q.send(&answer)
}

func (q *request) fillUploads(a *s3xml.ListUploads) error {
	space, err := q.space()
	if err != nil {
		return err
	}
	c, err := space.Scan(store.ScanOptions{Prefix: append([]byte{rowUpload}, a.Prefix...)})
	if err != nil {
		return err
	}
	defer finish(c)
	l := &listing{prefix: a.Prefix, delimiter: a.Delimiter, limit: a.MaxUploads}
	for ok := c.Seek(uploadsFrom(a)); ok; {
		row := c.Row()
		key, id := splitUpload(row.Key)
		if passed(a, string(key), id) {
			ok = c.Next()
			continue
		}
		if len(a.Uploads)+len(a.CommonPrefixes) >= a.MaxUploads {
			a.Truncated = true
			break
		}
		if group := l.common(key); group != nil {
			a.CommonPrefixes = append(a.CommonPrefixes, append([]byte{}, group...))
			a.NextKeyMarker, a.NextUploadMarker = string(group), ""
			next := after(append([]byte{rowUpload}, group...))
			ok = next != nil && c.Seek(next)
			continue
		}
		u, err := q.uploadEntry(&row, c, string(key), id)
		if err != nil {
			return err
		}
		a.Uploads = append(a.Uploads, u)
		a.NextKeyMarker, a.NextUploadMarker = string(key), id
		ok = c.Next()
	}
	if !a.Truncated {
		a.NextKeyMarker, a.NextUploadMarker = "", ""
	}
	return c.Err()
}

func uploadsNeedURL(a *s3xml.ListUploads) bool {
	return slices.ContainsFunc(a.Uploads, func(u s3xml.Upload) bool { return s3xml.NeedsURL(u.Key) }) ||
		slices.ContainsFunc(a.CommonPrefixes, func(p []byte) bool { return s3xml.NeedsURL(p) })
}

// uploadsFrom is where a page begins.
func uploadsFrom(a *s3xml.ListUploads) []byte {
	if a.KeyMarker > a.Prefix {
		return append([]byte{rowUpload}, a.KeyMarker...)
	}
	return append([]byte{rowUpload}, a.Prefix...)
}

// passed: it came on a page before.
func passed(a *s3xml.ListUploads, key, id string) bool {
	switch {
	case a.KeyMarker == "" || key > a.KeyMarker && !groupPassed(a, key):
		return false
	case key == a.KeyMarker && a.UploadMarker != "":
		return id <= a.UploadMarker
	}
	return true
}

// groupPassed: the marker is a common prefix that was given, and the key is of it.
func groupPassed(a *s3xml.ListUploads, key string) bool {
	return a.Delimiter != "" && strings.HasSuffix(a.KeyMarker, a.Delimiter) && strings.HasPrefix(key, a.KeyMarker) &&
		a.UploadMarker == ""
}

func (q *request) uploadEntry(row *store.Row, c *store.Cursor, key, id string) (s3xml.Upload, error) {
	value, err := c.Value()
	if err != nil {
		return s3xml.Upload{}, err
	}
	f, err := open(store.Row{Key: row.Key, Value: value})
	if err != nil {
		return s3xml.Upload{}, err
	}
	return s3xml.Upload{
		Key: []byte(key), UploadID: id, Initiator: q.initiator(&f), Owner: q.ownerOfObject(f.object),
		Initiated: row.Time, Algorithm: f.object.GetChecksumAlgorithm(), Composite: f.object.GetChecksumComposite(),
	}, nil
}

// initiator is who began an upload: its organization, by the name of its access key.
func (q *request) initiator(f *found) s3xml.Owner {
	id := f.object.GetInitiator()
	if k, ok := q.v.keys.get(id); ok {
		return s3xml.Owner{ID: k.caller.Canonical, DisplayName: k.caller.Key}
	}
	return s3xml.Owner{ID: q.bucket.owner.ID, DisplayName: id}
}

// listParts lists the parts of an upload by number.
func (q *request) listParts() error {
	u, err := q.upload()
	if err != nil {
		return err
	}
	limit, err := q.number("max-parts", maxKeys, maxKeys)
	if err != nil {
		return err
	}
	marker, err := q.number("part-number-marker", 0, s3xml.MaxPart)
	if err != nil {
		return err
	}
	answer := s3xml.ListParts{
		Bucket: q.name, Key: q.key, UploadID: q.query.get("uploadId"), URL: q.query.get("encoding-type") == "url",
		Initiator: q.initiator(&u), Owner: q.ownerOfObject(u.object), Marker: marker, MaxParts: limit,
		Algorithm: u.object.GetChecksumAlgorithm(), Composite: u.object.GetChecksumComposite(),
	}
	if err := q.fillParts(&answer); err != nil {
		return err
	}
	q.abortHeaders(u.Time)
	return q.send(&answer)
}

func (q *request) fillParts(a *s3xml.ListParts) error {
	c, err := q.store.Scan(store.ScanOptions{Prefix: append([]byte{rowPart}, a.UploadID...)})
	if err != nil {
		return err
	}
	defer finish(c)
	for ok := c.Seek(partRow(a.UploadID, a.Marker+1)); ok; ok = c.Next() {
		if len(a.Parts) >= a.MaxParts {
			a.Truncated = true
			break
		}
		row := c.Row()
		value, err := c.Value()
		if err != nil {
			return err
		}
		f, err := open(store.Row{Key: row.Key, Value: value})
		if err != nil {
			return err
		}
		n := partNumber(row.Key)
		a.Parts = append(a.Parts, s3xml.PartEntry{
			Number: n, LastModified: row.Time, ETag: string(row.Tag), Size: row.Size, Checksum: f.checksum(),
		})
		a.NextMarker = n
	}
	return c.Err()
}
