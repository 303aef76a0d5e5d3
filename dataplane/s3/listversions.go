package s3

import (
	"bytes"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// listVersions lists all versions and delete markers, newest first under each key.
func (q *request) listVersions() error {
	p, err := q.page("max-keys")
	if err != nil {
		return err
	}
	key, version := q.query.get("key-marker"), q.query.get("version-id-marker")
	if version != "" && key == "" {
		return s3xml.Argument("A version-id marker cannot be specified without a key marker.", "version-id-marker",
			version)
	}
	l := listings.Get().(*listing)
	defer l.release()
	l.prefix, l.delimiter, l.limit = p.prefix, p.delimiter, p.limit
	if p.limit > 0 {
		if err := q.fillVersions(l, key, version); err != nil {
			return err
		}
	}
	if l.needsURL && !p.url {
		return errNeedsURL()
	}
	answer := s3xml.ListVersions{
		Bucket: q.name, Prefix: p.prefix, Delimiter: p.delimiter, KeyMarker: key, VersionMarker: version,
		MaxKeys: p.limit, URL: p.url, Truncated: l.truncated, Versions: l.versions, CommonPrefixes: l.prefixes,
	}
	if l.truncated {
		answer.NextKeyMarker = string(l.last)
		if n := len(l.versions); n > 0 && bytes.Equal(l.versions[n-1].Key, l.last) {
			answer.NextVersionMarker = l.versions[n-1].VersionID
		}
	}
	return q.send(&answer)
}

func (q *request) fillVersions(l *listing, key, version string) error {
	space, err := q.space()
	if err != nil {
		return err
	}
	c, err := space.Scan(store.ScanOptions{Prefix: append([]byte{rowObject}, l.prefix...), Versions: true})
	if err != nil {
		return err
	}
	defer finish(c)
	ok, err := q.startVersions(l, c, key, version)
	if err != nil {
		return err
	}
	for ok {
		if l.full() {
			l.truncated = true
			break
		}
		row := c.Row()
		if group := l.common(row.Key[1:]); group != nil {
			l.last = l.keep(group)
			l.prefixes = append(l.prefixes, l.last)
			ok = skip(c, l.last)
			continue
		}
		l.addVersion(q, &row, c)
		ok = c.Next()
	}
	return l.ended(c)
}

func (l *listing) addVersion(q *request, row *store.Row, c *store.Cursor) {
	e := s3xml.VersionEntry{VersionID: idOf(row), Latest: row.Current, Marker: row.Marker}
	e.Key, e.LastModified, e.ETag, e.Size = l.keep(row.Key[1:]), row.Time, l.keep(row.Tag), row.Size
	e.Algorithm, e.Composite = algorithmOf(row.Flags), row.Flags&flagComposite != 0
	e.Owner = q.ownerOf(row, c)
	l.last = e.Key
	l.versions = append(l.versions, e)
}

// startVersions puts the cursor after a version of a key, or after all versions of it.
func (q *request) startVersions(l *listing, c *store.Cursor, key, version string) (bool, error) {
	if version == "" {
		return l.start(c, key), nil
	}
	row := objectRow(key)
	v, err := parseVersion(version)
	if err != nil {
		return false, err
	}
	if v == store.Null {
		return q.startAfterNull(c, row)
	}
	if !c.SeekVersion(row, v) {
		return false, nil
	}
	at := c.Row()
	if bytes.Equal(at.Key, row) && !at.Null && at.Version == v {
		return c.Next(), nil
	}
	return true, nil
}

// startAfterNull finds the null version among the others: its place says when it was
// written, not that it is the null one.
func (q *request) startAfterNull(c *store.Cursor, row []byte) (bool, error) {
	for ok := c.Seek(row); ok; ok = c.Next() {
		at := c.Row()
		if !bytes.Equal(at.Key, row) {
			return true, nil
		}
		if at.Null {
			return c.Next(), nil
		}
	}
	return false, c.Err()
}
