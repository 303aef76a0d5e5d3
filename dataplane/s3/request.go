package s3

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// MaxKey is the longest key, in octets of UTF-8 (Amazon S3 User Guide, "Naming objects").
const MaxKey = 1024

// request is one request on its way through the stages; it is used again for others.
type request struct {
	h   *Handler
	v   *View
	w   http.ResponseWriter
	r   *http.Request
	raw io.ReadCloser // the body as it came
	// touched: some of the body was asked for, so that its sender sends.
	touched bool
	// What it has of the bounds, and of whose share: octets of a document, a place to work on
	// one, and one to take a body.
	held            int64
	keeper, taker   holder
	working, taking bool
	seated          bool // it has a place for a row
	now             time.Time
	id              string

	// Parsed.
	op      *operation
	level   level
	name    string // of the bucket
	key     string
	query   query
	virtual bool // the bucket's name came by the host

	// Authenticated.
	who caller

	// Authorized.
	bucket    *Bucket
	store     *store.Space
	ask       policy.Request
	about     policy.Object
	peeked    *found            // what a decision needed to know of the object
	judged    judged            // the row of that
	listed    string            // the key that a decision about listing is about; empty but for mayList
	ownUpload bool              // the caller's organization began it
	tags      map[string]string // that the request brings in its body

	doc []byte // the document that was read as its body

	// Admitted.
	holder   holder
	admitted bool
	patience time.Duration // of which patience.go tells

	// Refused: a part of the body is still to come, and there is a place to read it.
	remains, polite bool

	// Counted.
	status  int
	in, out int64
	told    *s3xml.Error

	values []string // room for the answer's headers, not used again
	buf    []byte
	rowKey []byte
}

var requests = sync.Pool{New: func() any { return &request{buf: make([]byte, 0, 4<<10)} }}

// begin takes a request from the pool.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request) *request {
	q := requests.Get().(*request)
	q.h, q.v, q.w, q.r, q.now = h, h.view.Load(), w, r, h.config.Clock.Now()
	q.id, q.raw, q.patience = h.requestID(), r.Body, h.config.Limits.Stall
	return q
}

// end gives it back, with nothing in it of who asked for what.
func (q *request) end() {
	q.unbound()
	q.leave()
	if q.polite {
		q.h.bounds.courtesy.Add(-1)
	}
	buf, pairs := q.buf[:0], q.query[:0]
	clear(q.query)
	row := q.rowKey[:0]
	if cap(buf) > 1<<20 {
		buf = nil
	}
	*q = request{buf: buf, query: pairs, rowKey: row}
	requests.Put(q)
}

// requestID is 16 hexadecimal digits that no other request of this process had.
func (h *Handler) requestID() string {
	n := h.serial.Add(1) * 0x9e3779b97f4a7c15 // odd: a permutation of 64 bits
	n ^= h.salt
	var raw [8]byte
	for i := range raw {
		raw[i] = byte(n >> (56 - 8*i))
	}
	var text [16]byte
	hex.Encode(text[:], raw[:])
	for i, c := range text {
		if c >= 'a' {
			text[i] = c - 'a' + 'A'
		}
	}
	return string(text[:])
}

// parse finds out what is asked for: bucket, key and operation.
func (q *request) parse() error {
	if err := q.parseQuery(); err != nil {
		return err
	}
	q.parsePath()
	if err := q.pick(); err != nil {
		return err
	}
	if err := q.checkQuery(); err != nil {
		return err
	}
	if len(q.key) > MaxKey {
		return s3xml.New(s3xml.KeyTooLongError, "Size", itoa(int64(len(q.key))), "MaxSizeAllowed", itoa(MaxKey))
	}
	if !utf8.ValidString(q.key) || !utf8.ValidString(q.name) {
		return s3xml.New(s3xml.InvalidURI, "URI", q.r.URL.EscapedPath())
	}
	return nil
}

// parsePath splits host and path into bucket and key. Nothing is normalised: "//", ".."
// and "%2F" are as good as any other octets of a key. net/url has taken the escapes out
// once, "+" staying as it is.
func (q *request) parsePath() {
	q.name, q.key, q.virtual = q.h.hosts.Target(q.r.Host, q.r.URL.Path)
	switch {
	case q.name == "":
		q.level = ofService
	case q.key == "":
		q.level = ofBucket
	default:
		q.level = ofObject
	}
}

// query is the query's parameters in order, decoded.
type query []pair

type pair struct{ name, value string }

// maxParameters bounds what a query may hold.
const maxParameters = 256

func (q *request) parseQuery() error {
	raw := q.r.URL.RawQuery
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		if len(q.query) == maxParameters {
			return invalidRequest("Too many query parameters.")
		}
		name, value, _ := strings.Cut(part, "=")
		name, err1 := unescape(name)
		value, err2 := unescape(value)
		if err1 != nil || err2 != nil {
			return s3xml.New(s3xml.InvalidURI)
		}
		q.query = append(q.query, pair{name, value})
	}
	return nil
}

func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// get is the first value of a parameter.
func (q query) get(name string) string {
	for i := range q {
		if q[i].name == name {
			return q[i].value
		}
	}
	return ""
}

func (q query) has(name string) bool {
	for i := range q {
		if q[i].name == name {
			return true
		}
	}
	return false
}

// header is the first value of a request header; name is in canonical form.
func (q *request) header(name string) string {
	if v := q.r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// row is the key of a row of kind 'o', 'u' or 'p'. It is good until the next call.
func (q *request) row(kind byte, key string) []byte {
	q.rowKey = append(append(q.rowKey[:0], kind), key...)
	return q.rowKey
}

// space is the bucket's place in the store.
func (q *request) space() (*store.Space, error) {
	if q.store == nil {
		s, err := q.h.config.Store.At(q.bucket.Placement)
		if err != nil {
			return nil, err
		}
		q.store = s
	}
	return q.store, nil
}

// randomID is 128 random bits as text.
func randomID() string {
	var id store.ID
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
