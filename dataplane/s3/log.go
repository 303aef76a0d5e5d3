package s3

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// entry is a line of the request log. No secret is in it: signatures in queries and keys
// of SSE-C are left out.
type entry struct {
	Time         string `json:"time"`
	Request      string `json:"request"`
	Remote       string `json:"remote"`
	Requester    string `json:"requester,omitempty"` // organization
	AccessKey    string `json:"access_key,omitempty"`
	Operation    string `json:"operation"`
	Bucket       string `json:"bucket"`
	Key          string `json:"key,omitempty"`
	Method       string `json:"method"`
	Path         string `json:"path"`
	Query        string `json:"query,omitempty"`
	Status       int    `json:"status"`
	Error        string `json:"error,omitempty"`
	BytesIn      int64  `json:"bytes_in"`
	BytesOut     int64  `json:"bytes_out"`
	Microseconds int64  `json:"microseconds"`
	Agent        string `json:"agent,omitempty"`
	TLS          bool   `json:"tls"`
}

// requestLog writes lines in a goroutine of its own, which close waits for. What does not
// fit in its queue is dropped and counted.
type requestLog struct {
	lines   chan entry
	done    chan struct{}
	once    sync.Once
	dropped atomic.Uint64
}

func startLog(out func([]byte), backlog int) *requestLog {
	l := &requestLog{done: make(chan struct{})}
	if out == nil {
		close(l.done)
		return l
	}
	l.lines = make(chan entry, backlog)
	go func() {
		defer close(l.done)
		for e := range l.lines {
			if b, err := json.Marshal(&e); err == nil {
				out(append(b, '\n'))
			}
		}
	}()
	return l
}

func (l *requestLog) close() {
	l.once.Do(func() {
		if l.lines != nil {
			close(l.lines)
		}
	})
	<-l.done
}

func (l *requestLog) line(q *request) {
	if l.lines == nil {
		return
	}
	e := entry{
		Time: q.now.UTC().Format(time.RFC3339Nano), Request: q.id, Remote: q.r.RemoteAddr,
		Requester: q.who.organization, AccessKey: q.who.id(), Operation: q.operation(), Bucket: q.name, Key: q.key,
		Method: q.r.Method, Path: q.r.URL.EscapedPath(), Query: redacted(q.r.URL.RawQuery), Status: q.status,
		BytesIn: q.in, BytesOut: q.out, Microseconds: q.h.config.Clock.Now().Sub(q.now).Microseconds(),
		Agent: q.header("User-Agent"), TLS: q.secure(),
	}
	if q.told != nil && q.told.Code != s3xml.NotModified {
		e.Error = string(q.told.Code)
	}
	select {
	case l.lines <- e:
	default:
		l.dropped.Add(1)
	}
}

// redacted is a query without what lets a request be made again, or opens an object.
func redacted(query string) string {
	if query == "" {
		return ""
	}
	parts := strings.Split(query, "&")
	for i, p := range parts {
		name, _, _ := strings.Cut(p, "=")
		switch lower := strings.ToLower(name); {
		case lower == "x-amz-signature", lower == "signature", lower == "x-amz-security-token",
			strings.HasSuffix(lower, "-customer-key"):
			parts[i] = name + "=REDACTED"
		}
	}
	return strings.Join(parts, "&")
}
