package s3

import (
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/cors"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// preflight answers a browser that asks before a cross-origin request (Fetch standard).
func (q *request) preflight() error {
	if q.level == ofService {
		return s3xml.New(s3xml.MethodNotAllowed, "Method", http.MethodOptions, "ResourceType", "SERVICE")
	}
	ask, err := cors.ReadPreflight(q.r.Header)
	if err != nil {
		return err
	}
	if q.bucket == nil {
		return cors.NoBucket(ask.Method, q.level == ofObject)
	}
	if err := cors.Preflight(q.w.Header(), q.bucket.Spec.GetCorsRules(), ask, q.level == ofObject); err != nil {
		return err
	}
	return q.empty(http.StatusOK)
}

// crossOrigin adds to an answer what a browser of another origin needs to see.
func (q *request) crossOrigin() {
	if q.bucket == nil || q.r.Method == http.MethodOptions {
		return
	}
	if rules := q.bucket.Spec.GetCorsRules(); len(rules) > 0 {
		// S3 looks at what a preflight would ask even where the request is none.
		method := q.header("Access-Control-Request-Method")
		if method == "" {
			method = q.r.Method
		}
		cors.Headers(q.w.Header(), rules, q.header("Origin"), method)
	}
}
