package s3

import (
	"net/http"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
)

// caller is who makes a request; the zero value is somebody unknown.
type caller struct {
	signed       signature.Result
	key          *AccessKey
	organization string
}

// admit holds the number of requests at a time, once it is known who asks.
func (q *request) admit() error {
	q.holder = holder{organization: q.who.organization}
	if q.who.anonymous() {
		q.holder.source = sourceOf(q.r.RemoteAddr)
	}
	if !q.h.slots.take(q.holder, 1) {
		return s3xml.SlowDown
	}
	q.admitted = true
	if !q.who.anonymous() {
		q.authenticated()
	}
	return nil
}

// leave gives the request's place back.
func (q *request) leave() {
	if q.admitted {
		q.admitted = false
		q.h.slots.give(q.holder, 1)
	}
}

// authenticate finds out who asks. The body is held against the signature when it is read.
func (q *request) authenticate() error {
	if q.op == &opPreflight || q.op == &opPostObject && q.header("Authorization") == "" {
		return nil // a preflight has no credentials; a form has them in its fields
	}
	verifier := q.v.verifier(q.h.config.Denied, q.now)
	signed, err := verifier.Verify(q.r, q.now)
	if err != nil {
		return err
	}
	q.identify(signed)
	if signed.Method == signature.Query {
		q.hoist()
	}
	return nil
}

// identify notes who signed.
func (q *request) identify(signed signature.Result) {
	q.who.signed = signed
	if signed.AccessKeyID == "" {
		return
	}
	if k, ok := q.v.keys.get(signed.AccessKeyID); ok {
		q.who.key, q.who.organization = k, k.Organization
		k.used(q.now)
	}
}

// hoist makes headers of what a presigned URL carries as signed parameters: SDKs move
// x-amz-* headers there. Checksums in a URL are of no body and do not count, as at AWS:
// JavaScript's SDK signs that of an empty one into each.
func (q *request) hoist() {
	for _, p := range q.query {
		name := http.CanonicalHeaderKey(p.name)
		if !strings.HasPrefix(name, "X-Amz-") || presignParameters[name] || ofChecksum(name) ||
			q.r.Header[name] != nil {
			continue
		}
		q.r.Header[name] = []string{asHeader(name, p.value)}
	}
}

func ofChecksum(name string) bool {
	return strings.HasPrefix(name, "X-Amz-Checksum-") && name != "X-Amz-Checksum-Mode" ||
		name == "X-Amz-Sdk-Checksum-Algorithm"
}

var presignParameters = map[string]bool{
	"X-Amz-Algorithm": true, "X-Amz-Credential": true, "X-Amz-Date": true, "X-Amz-Expires": true,
	"X-Amz-Signedheaders": true, "X-Amz-Signature": true, "X-Amz-Security-Token": true, "X-Amz-Content-Sha256": true,
}

// anonymous: nobody signed.
func (c *caller) anonymous() bool { return c.key == nil }

// secure: the request came over TLS.
func (q *request) secure() bool { return q.r.TLS != nil }
