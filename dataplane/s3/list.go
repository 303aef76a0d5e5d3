package s3

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// maxKeys is the longest page of any listing.
const maxKeys = 1000

// listing is a page of keys on its way: entries and common prefixes that follow each
// other in one order, at most limit of both.
type listing struct {
	prefix, delimiter string
	limit             int
	entries           []s3xml.Entry
	versions          []s3xml.VersionEntry
	prefixes          [][]byte
	truncated         bool
	last              []byte // the key or common prefix that came last
	arena             []byte // what entries point into
	needsURL          bool   // a key on the page is none that XML can carry
}

var listings = sync.Pool{New: func() any { return &listing{} }}

// release gives the listing's room back.
func (l *listing) release() {
	clear(l.entries)
	clear(l.versions)
	clear(l.prefixes)
	*l = listing{entries: l.entries[:0], versions: l.versions[:0], prefixes: l.prefixes[:0], arena: l.arena[:0]}
	if cap(l.arena) <= 2<<20 {
		listings.Put(l)
	}
}

// keep copies what the cursor takes away with its next step.
func (l *listing) keep(b []byte) []byte {
	l.needsURL = l.needsURL || s3xml.NeedsURL(b)
	if len(l.arena)+len(b) > cap(l.arena) {
		// What was kept points into the old one.
		l.arena = make([]byte, 0, max(64<<10, len(b)))
	}
	at := len(l.arena)
	l.arena = append(l.arena, b...)
	return l.arena[at:len(l.arena):len(l.arena)]
}

func (l *listing) full() bool { return len(l.entries)+len(l.versions)+len(l.prefixes) >= l.limit }

// common is the part of a key up to the delimiter that follows the prefix; nil if none does.
func (l *listing) common(key []byte) []byte {
	if l.delimiter == "" {
		return nil
	}
	i := bytes.Index(key[len(l.prefix):], []byte(l.delimiter))
	if i < 0 {
		return nil
	}
	return key[:len(l.prefix)+i+len(l.delimiter)]
}

// after is the first key that is greater than all that begin with prefix; nil if there is
// none. It is what skips a common prefix in one step, however many keys it has.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			next := append([]byte{}, prefix[:i+1]...)
			next[i]++
			return next
		}
	}
	return nil
}

// pageRequest is what all listings are asked.
type pageRequest struct {
	prefix, delimiter string
	limit             int
	url               bool
}

// page reads the parameters that all listings have.
func (q *request) page(limitName string) (p pageRequest, err error) {
	p.prefix, p.delimiter = q.query.get("prefix"), q.query.get("delimiter")
	switch v := q.query.get("encoding-type"); v {
	case "":
	case "url":
		p.url = true
	default:
		return p, s3xml.Argument("Invalid Encoding Method specified in Request", "encoding-type", v)
	}
	if !p.url && (s3xml.NeedsURL(p.prefix) || s3xml.NeedsURL(p.delimiter)) {
		return p, errNeedsURL()
	}
	p.limit, err = q.number(limitName, maxKeys, maxKeys)
	return p, err
}

// errNeedsURL refuses a page that would be no XML: most clients could read nothing of it, and
// would not know why.
func errNeedsURL() error {
	return s3xml.Argument("A key in this listing has a character that XML 1.0 cannot carry. List with "+
		"encoding-type=url.", "encoding-type", "")
}

// number reads a parameter that is a count; absent is the default, above most is most.
func (q *request) number(name string, absent, most int) (int, error) {
	text := q.query.get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, s3xml.Argument("Provided "+name+" not an integer or within integer range", name, text)
	}
	if n < 0 {
		return 0, s3xml.Argument("Argument "+name+" must be an integer between 0 and 2147483647", name, text)
	}
	return min(int(n), most), nil
}

// listObjects is version 1: markers are keys.
func (q *request) listObjects() error {
	p, err := q.page("max-keys")
	if err != nil {
		return err
	}
	l, err := q.listKeys(p, q.query.get("marker"), true)
	if err != nil {
		return err
	}
	defer l.release()
	answer := s3xml.ListObjects{
		Bucket: q.name, Prefix: p.prefix, Delimiter: p.delimiter, MaxKeys: p.limit, URL: p.url,
		Truncated: l.truncated, Marker: q.query.get("marker"), Contents: l.entries, CommonPrefixes: l.prefixes,
	}
	if l.truncated && p.delimiter != "" { // only then, as at AWS
		answer.NextMarker = string(l.last)
	}
	return q.send(&answer)
}

// listObjectsV2 goes on by tokens, which clients must not look into.
func (q *request) listObjectsV2() error {
	p, err := q.page("max-keys")
	if err != nil {
		return err
	}
	from, token := q.query.get("start-after"), q.query.get("continuation-token")
	if q.query.has("continuation-token") {
		if from, err = openToken(token); err != nil {
			return err
		}
	}
	owner, err := q.fetchOwner()
	if err != nil {
		return err
	}
	l, err := q.listKeys(p, from, owner)
	if err != nil {
		return err
	}
	defer l.release()
	answer := s3xml.ListObjects{
		V2: true, Bucket: q.name, Prefix: p.prefix, Delimiter: p.delimiter, MaxKeys: p.limit, URL: p.url,
		Truncated: l.truncated, ContinuationToken: token, StartAfter: q.query.get("start-after"),
		Contents: l.entries, CommonPrefixes: l.prefixes,
	}
	if l.truncated {
		answer.NextContinuationToken = closeToken(l.last)
	}
	return q.send(&answer)
}

func (q *request) fetchOwner() (bool, error) {
	switch v := q.query.get("fetch-owner"); strings.ToLower(v) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, s3xml.Argument("Invalid value for fetch-owner", "fetch-owner", v)
	}
}

// Tokens are the last key, with a mark of their version.
func closeToken(key []byte) string { return "1" + base64.RawURLEncoding.EncodeToString(key) }

func openToken(token string) (string, error) {
	if len(token) > 1 && token[0] == '1' {
		if key, err := base64.RawURLEncoding.DecodeString(token[1:]); err == nil {
			return string(key), nil
		}
	}
	return "", s3xml.Argument("The continuation token provided is incorrect", "continuation-token", token)
}

// listKeys makes a page of keys after a key.
func (q *request) listKeys(p pageRequest, from string, owner bool) (*listing, error) {
	space, err := q.space()
	if err != nil {
		return nil, err
	}
	l := listings.Get().(*listing)
	l.prefix, l.delimiter, l.limit = p.prefix, p.delimiter, p.limit
	if p.limit == 0 {
		return l, nil // AWS says that nothing was left out
	}
	c, err := space.Scan(store.ScanOptions{Prefix: append([]byte{rowObject}, p.prefix...)})
	if err != nil {
		l.release()
		return nil, err
	}
	defer finish(c)
	q.fill(l, c, from, owner)
	if err = l.ended(c); err == nil && l.needsURL && !p.url {
		err = errNeedsURL()
	}
	if err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// fill goes over the rows until the page is full or they end.
func (q *request) fill(l *listing, c *store.Cursor, from string, owner bool) {
	for ok := l.start(c, from); ok; {
		row := c.Row()
		key := row.Key[1:]
		if l.full() {
			l.truncated = true
			return
		}
		if group := l.common(key); group != nil {
			l.last = l.keep(group)
			l.prefixes = append(l.prefixes, l.last)
			ok = skip(c, l.last)
			continue
		}
		e := s3xml.Entry{Key: l.keep(key), LastModified: row.Time, ETag: l.keep(row.Tag), Size: row.Size}
		e.Algorithm, e.Composite = algorithmOf(row.Flags), row.Flags&flagComposite != 0
		if owner {
			e.Owner = q.ownerOf(&row, c)
		}
		l.last = e.Key
		l.entries = append(l.entries, e)
		ok = c.Next()
	}
}

// ended is why the walk ended, if it was not its end. Rows that may be lost end a page: what
// comes before them is given, and the page after it is refused and says where to go on.
func (l *listing) ended(c *store.Cursor) error {
	err := c.Err()
	if damaged := (*store.Damaged)(nil); !errors.As(err, &damaged) {
		return err
	}
	if len(l.last) > 0 {
		l.truncated = true
		return nil
	}
	behind, lost := c.Behind()
	switch {
	case !lost:
		return err
	case len(behind) == 0 || behind[0] != rowObject:
		text := "The keys from here on may be lost: they are where the disk cannot be read."
		return s3xml.Say(s3xml.InternalError, text).Because(err)
	}
	key, lostToo := bytes.CutSuffix(behind[1:], []byte{0})
	text := fmt.Sprintf("The keys from here to %q may be lost: they are where the disk cannot be read. List with "+
		"start-after, marker or key-marker at that key for those behind it.", key)
	if !lostToo {
		text += " That key itself is not lost."
	}
	return s3xml.Say(s3xml.InternalError, text).Because(err)
}

// start puts the cursor on the first row after a key. A common prefix that was given
// before is passed as a whole.
func (l *listing) start(c *store.Cursor, from string) bool {
	if from == "" || from < l.prefix {
		return c.Seek(append([]byte{rowObject}, l.prefix...))
	}
	key := append([]byte{rowObject}, from...)
	if len(from) > len(l.prefix) {
		if group := l.common([]byte(from)); group != nil && len(group) == len(from) {
			return skip(c, group)
		}
	}
	return c.Seek(append(key, 0)) // the first key that comes after it
}

// skip goes to the first row after all keys that begin with a prefix.
func skip(c *store.Cursor, prefix []byte) bool {
	next := after(append([]byte{rowObject}, prefix...))
	return next != nil && c.Seek(next)
}

// ownerOf is an object's owner, which but for ACLs is the bucket's.
func (q *request) ownerOf(row *store.Row, c *store.Cursor) *s3xml.Owner {
	if row.Flags&flagOwner == 0 {
		return q.bucket.owner
	}
	value, err := c.Value()
	if err != nil {
		return nil
	}
	f, err := open(store.Row{Key: row.Key, Value: value})
	if err != nil {
		return nil
	}
	o := ownerOf(f.object.GetOwner())
	return &o
}
