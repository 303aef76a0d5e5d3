package chunked

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
)

// FromRequest reads a request's body as its headers say; res is what signature.Verify gave
// for it, and its Payload must be Chunked.
func FromRequest(r *http.Request, res signature.Result) (*Reader, error) {
	o := Options{Payload: res.Payload, Key: res.Key, Seed: res.Signature, Date: res.Date, Scope: res.Scope}
	var err error
	if o.Length, err = DecodedLength(r.Header); err != nil {
		return nil, err
	}
	if o.Trailers, err = announced(r.Header); err != nil {
		return nil, err
	}
	if len(o.Trailers) > 0 && !o.Payload.Trailing() {
		return nil, s3xml.Say(s3xml.InvalidRequest,
			"x-amz-trailer needs an x-amz-content-sha256 that ends in -TRAILER.")
	}
	return New(r.Body, o), nil
}

// DecodedLength is x-amz-decoded-content-length, which an aws-chunked body must have.
func DecodedLength(h http.Header) (int64, error) {
	text := h.Get("X-Amz-Decoded-Content-Length")
	if text == "" {
		return 0, s3xml.New(s3xml.MissingContentLength)
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, s3xml.Argument("The x-amz-decoded-content-length must be a number.", "x-amz-decoded-content-length",
			text)
	}
	return int64(n), nil
}

// announced are the names in x-amz-trailer.
func announced(h http.Header) ([]string, error) {
	var names []string
	for _, v := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
				continue
			}
			if len(names) == MaxTrailers || slices.Contains(names, name) || name == signatureField {
				return nil, s3xml.Say(s3xml.InvalidRequest,
					"The value specified in the x-amz-trailer header is not supported.")
			}
			names = append(names, name)
		}
	}
	return names, nil
}
