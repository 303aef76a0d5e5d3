package chunked

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
)

// trailer reads what follows the last chunk: announced fields, their signature, an empty
// line. Some clients end a field in LF CR LF, which reads as an empty line too early: where
// a field or the signature is still to come, one is passed over.
func (r *Reader) trailer() error {
	r.trailers = make(map[string]string, len(r.options.Trailers))
	signed, blanks := false, 0
	for {
		line, err := r.line()
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return r.complete(signed)
		case err != nil:
			return short(err)
		case len(line) == 0:
			if blanks++; blanks > maxBlankAtEnd {
				return malformed("There is more after its end.")
			}
			continue
		case signed, blanks > 0 && r.complete(true) == nil && r.hash == nil:
			return malformed("There is more after its end.")
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return badTrailer("A field must be name:value.")
		}
		signed, err = r.field(strings.ToLower(string(name)), string(bytes.TrimSpace(value)))
		if err != nil {
			return err
		}
	}
}

// field takes one; that of the signature is the last.
func (r *Reader) field(name, value string) (last bool, err error) {
	if name == signatureField && r.options.Payload == signature.ChunksTrailer {
		return true, r.verifyTrailer(value)
	}
	if !r.options.Payload.Trailing() || !slices.Contains(r.options.Trailers, name) {
		return false, badTrailer("The field " + name + " was not announced in x-amz-trailer.")
	}
	if _, again := r.trailers[name]; again {
		return false, badTrailer("The field " + name + " is given twice.")
	}
	r.trailers[name] = value
	return false, nil
}

// verifyTrailer: the signature covers the fields, "name:value" LF each, sorted.
func (r *Reader) verifyTrailer(given string) error {
	names := make([]string, 0, len(r.trailers))
	for name := range r.trailers {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		b.WriteString(name + ":" + r.trailers[name] + "\n")
	}
	r.given = append(r.given[:0], given...)
	return r.verify("AWS4-HMAC-SHA256-TRAILER", "", sha256.Sum256([]byte(b.String())))
}

// complete: all that was announced came, with its signature.
func (r *Reader) complete(signed bool) error {
	for _, name := range r.options.Trailers {
		if _, ok := r.trailers[name]; !ok {
			return badTrailer("The field " + name + " was announced in x-amz-trailer and did not come.")
		}
	}
	if r.options.Payload == signature.ChunksTrailer && !signed {
		return badTrailer("There is no " + signatureField + ".")
	}
	return nil
}

func badTrailer(why string) error {
	return s3xml.Say(s3xml.MalformedTrailerError, "The request contained trailing data that was not well-formed. "+why)
}
