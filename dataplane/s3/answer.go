package s3

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// set sets a header of the answer; name is as it shall stand. net/http reads the values
// after the handler returned, so that they are the answer's own.
func (q *request) set(name, value string) {
	if len(q.values) == 0 {
		q.values = make([]string, 16)
	}
	q.values[0] = value
	q.w.Header()[name] = q.values[:1:1]
	q.values = q.values[1:]
}

// setIf sets a header unless the value is empty.
func (q *request) setIf(name, value string) {
	if value != "" {
		q.set(name, value)
	}
}

// Names of headers, as net/http has them: another spelling would cost an allocation there.
const (
	hETag         = "Etag"
	hVersionID    = "X-Amz-Version-Id"
	hDeleteMarker = "X-Amz-Delete-Marker"
	hSSE          = "X-Amz-Server-Side-Encryption"
	hRequestID    = "X-Amz-Request-Id"
	hContentType  = "Content-Type"
	hLength       = "Content-Length"
)

// head writes the answer's status and headers, once.
func (q *request) head(status int) {
	if q.status != 0 {
		return
	}
	q.status = status
	if q.r.ContentLength == 0 && q.expects() {
		// net/http says 100 only when a body is read. botocore asks for it with empty
		// bodies too, and without it takes the next answer apart wrongly.
		q.w.WriteHeader(http.StatusContinue)
	}
	q.set(hRequestID, q.id)
	q.set("X-Amz-Id-2", q.id+q.id)
	q.set("Server", "AmazonS3") // some clients look for it
	q.crossOrigin()
	q.w.WriteHeader(status)
}

// empty answers without a body.
func (q *request) empty(status int) error {
	if status != http.StatusNoContent {
		q.set(hLength, "0")
	}
	q.head(status)
	return nil
}

// body answers with what was appended to q.buf, or to another buffer.
func (q *request) body(status int, contentType string, b []byte) error {
	q.unseat()
	q.buf = b
	q.set(hContentType, contentType)
	q.set(hLength, strconv.Itoa(len(b)))
	q.head(status)
	if q.r.Method == http.MethodHead {
		return nil
	}
	return q.write(b)
}

const typeXML = "application/xml"

// xml answers 200 with a document.
func (q *request) xml(b []byte) error { return q.body(http.StatusOK, typeXML, b) }

// document is any answer of package s3xml.
type document interface{ Append([]byte) []byte }

func (q *request) send(d document) error { return q.xml(d.Append(q.buf[:0])) }

// refuse tells the client what went wrong, if it can still be told.
func (q *request) refuse(err error) {
	e := toldAs(err)
	q.told = e
	if status := e.HTTPStatus(); status >= 500 && !interrupted(err) && e.Code != s3xml.NotImplemented {
		q.h.config.Logger.Warn("request failed", "request", q.id, "operation", q.operation(), "bucket", q.name,
			"error", err.Error())
	}
	if q.status != 0 {
		if errors.Is(err, store.ErrGone) {
			q.h.config.Logger.Info("an object was replaced or deleted while it was sent, and is cut off", "request",
				q.id, "operation", q.operation(), "bucket", q.name)
		}
		return // half an answer: its length is wrong, and net/http closes the connection
	}
	if q.remains = q.unread(e.Code); q.remains {
		q.set("Connection", "close")
		_ = q.rc().EnableFullDuplex() // a recorder in a test knows of none
	}
	q.tell(e)
}

// tell answers with an error.
func (q *request) tell(e *s3xml.Error) {
	told := *e // a Code's error is shared by nobody, but a kept one might be
	told.Resource, told.RequestID, told.HostID = q.r.URL.Path, q.id, q.id+q.id
	status := told.HTTPStatus()
	if status == http.StatusNotModified || q.r.Method == http.MethodHead {
		q.head(status)
		return
	}
	_ = q.body(status, typeXML, s3xml.AppendError(q.buf[:0], &told))
}

// Bounds of what is read of a body only so that its sender comes to read the answer:
// before it, where that saves the connection, and after it. It is a courtesy, for so many
// at a time as Limits.Courtesy says, and nothing else is held for it.
const (
	drainFirst     = 256 << 10
	drainFirstTime = time.Second
	drainSize      = 64 << 20
	drainTime      = 10 * time.Second
)

// unread says whether a part of the refused body is still to come, after reading a short
// rest. A client that waits for 100 Continue has sent nothing, or lost its patience.
func (q *request) unread(c s3xml.Code) bool {
	q.r.Body = q.raw // net/http knows by it whether 100 Continue was said
	if q.raw == nil || q.raw == http.NoBody {
		return false
	}
	if q.polite = q.courteous(); !q.polite || closes(c) || q.expects() && !q.touched || !q.touched &&
		q.r.ContentLength > drainFirst {
		return true
	}
	_ = q.rc().SetReadDeadline(time.Now().Add(drainFirstTime)) // a recorder in a test takes none
	_, err := io.CopyN(io.Discard, q.raw, drainFirst)
	return !errors.Is(err, io.EOF)
}

// courteous takes a place for reading what is refused, if there is one. end gives it back.
func (q *request) courteous() bool {
	if q.h.bounds.courtesy.Add(1) <= int64(q.h.config.Limits.Courtesy) {
		return true
	}
	q.h.bounds.courtesy.Add(-1)
	return false
}

// drain sends the answer of a refused request and then reads what is left of its body: when
// a connection is closed whose client still sends, it sees a reset and not the answer. The
// request holds no place by now.
func (q *request) drain() {
	if !q.remains {
		return
	}
	if q.polite && q.told.Code != s3xml.SlowDown && q.rc().Flush() == nil {
		_ = q.rc().SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, q.raw, drainSize)
	}
	_ = q.rc().SetReadDeadline(time.Now()) // net/http reads no more of it either
}

// expects: the client waits for 100 Continue before it sends its body (RFC 9110 10.1.1).
func (q *request) expects() bool { return strings.EqualFold(q.header("Expect"), "100-continue") }

// closes says whether a connection ends with an error: its body was not read to its end.
func closes(c s3xml.Code) bool {
	switch c {
	case s3xml.RequestTimeout, s3xml.IncompleteBody, s3xml.EntityTooLarge, s3xml.MaxMessageLengthExceeded,
		s3xml.SlowDown:
		return true
	}
	return false
}

// operation names what was asked for, as far as it is known.
func (q *request) operation() string {
	if q.op == nil {
		return "Unknown"
	}
	return q.op.name
}

func (q *request) rc() *http.ResponseController { return http.NewResponseController(q.w) }

// stream is the answer's body: it sends the headers with the first octets, so that what
// cannot be read at all is still an error.
type stream struct {
	q      *request
	status int
}

func (s stream) Write(b []byte) (int, error) {
	s.q.head(s.status)
	if err := s.q.write(b); err != nil {
		return 0, errors.Join(errClientGone, err)
	}
	return len(b), nil
}

// errClientGone: nobody is left to tell.
var errClientGone = errors.New("the client is gone")

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// httpTime is a time as headers have it (RFC 9110 5.6.7).
func httpTime(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// finish ends what was read to its end, or is not wanted any more.
func finish(c io.Closer) { c.Close() }
