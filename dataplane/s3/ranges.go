package s3

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// span is the part of an object's body that a request is about: octets [from, to).
type span struct {
	from, to int64
	size     int64           // of the object
	partial  bool            // answered with 206
	number   int             // partNumber, 0 if it was not given
	of       *storagev1.Part // that part, of an object that was uploaded in parts
}

func (s span) length() int64 { return s.to - s.from }

// contentRange is the header of RFC 9110 14.4.
func (s span) contentRange(size int64) string {
	return "bytes " + itoa(s.from) + "-" + itoa(s.to-1) + "/" + itoa(size)
}

// part finds what a read asks for: all, a range, or one part of an upload.
func (q *request) part(f *found) (span, error) {
	all := span{to: f.Size, size: f.Size}
	text := q.header("Range")
	if q.query.has("partNumber") {
		if text != "" {
			return span{}, invalidRequest("Cannot specify both Range header and partNumber query parameter")
		}
		return q.numbered(f, all)
	}
	if text == "" || q.r.Method == http.MethodPut {
		return all, nil
	}
	if v := q.header("If-Range"); v != "" && !q.sameEntity(v, f) {
		return all, nil
	}
	from, to, ok := parseRange(text, f.Size)
	switch {
	case !ok:
		return all, nil // RFC 9110 14.2: what cannot be read is not there
	case from >= f.Size || from >= to:
		q.set("Content-Range", "bytes */"+itoa(f.Size))
		return span{}, s3xml.New(s3xml.InvalidRange, "RangeRequested", text, "ActualObjectSize", itoa(f.Size))
	}
	return span{from: from, to: to, size: f.Size, partial: true}, nil
}

// sameEntity judges If-Range (RFC 9110 13.1.5): a strong tag, or the exact date.
func (q *request) sameEntity(v string, f *found) bool {
	if strings.HasPrefix(v, `"`) {
		return unquoted(v) == string(f.Tag)
	}
	return v == httpTime(f.Time)
}

// numbered is the part of an object that partNumber names. An object that was not
// uploaded in parts has one.
func (q *request) numbered(f *found, all span) (span, error) {
	text := q.query.get("partNumber")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > s3xml.MaxPart {
		return span{}, s3xml.Argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber",
			text)
	}
	all.number, all.partial = n, f.Size > 0
	parts, err := partsOf(f.object)
	if err != nil {
		return span{}, err
	}
	if len(parts) == 0 {
		if n > 1 {
			return span{}, s3xml.New(s3xml.InvalidPartNumber, "PartNumberRequested", text, "ActualPartCount", "1")
		}
		return all, nil
	}
	// Parts are counted as they lie, whatever numbers they were uploaded under.
	if n > len(parts) {
		return span{}, s3xml.New(s3xml.InvalidPartNumber, "PartNumberRequested", text, "ActualPartCount",
			itoa(int64(len(parts))))
	}
	for _, p := range parts[:n-1] {
		all.from += p.GetSize()
	}
	all.of = parts[n-1]
	all.to = all.from + all.of.GetSize()
	return all, nil
}

// parseRange reads "bytes=A-B", "bytes=A-" or "bytes=-N" (RFC 9110 14.1.2). S3 knows no
// lists of ranges; ok is false for one, and for what is none.
func parseRange(text string, size int64) (from, to int64, ok bool) {
	unit, set, found := strings.Cut(text, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return 0, 0, false
	}
	first, last, found := strings.Cut(strings.TrimSpace(set), "-")
	if !found {
		return 0, 0, false
	}
	if first == "" {
		n, err := digits(last)
		if !err {
			return 0, 0, false
		}
		if n == 0 {
			return size, size, true // unsatisfiable
		}
		return max(0, size-n), size, true
	}
	from, ok = digits(first)
	if !ok {
		return 0, 0, false
	}
	if last == "" {
		return from, size, true
	}
	to, ok = digits(last)
	if !ok || to < from {
		return 0, 0, false
	}
	return from, min(size, to+1), true
}

// digits reads a number of digits alone; one that is too large counts as the largest.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 2, true
	}
	return min(n, 1<<63-2), true
}
