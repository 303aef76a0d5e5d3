package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// strict stands before each REST endpoint. It finds out who calls before it reads the
// body, and refuses all that the generated code of the gateway would ignore: a field of
// the query that the method does not take, no body where one belongs, a second document
// after the first, a name in the body that differs from the path.
func (s *Server) strict(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		pattern, _ := runtime.HTTPPattern(r.Context())
		rt, ok := s.routes[r.Method+" "+pattern.String()]
		if !ok {
			s.refuse(w, r, "", errs.New(errs.Internal, "no route for %s", pattern))
			return
		}
		v := &visit{lanes: s.lanes}
		defer v.end()
		if err := s.prepare(w, r, rt, v, params); err != nil {
			s.refuse(w, r, rt.full, err)
			return
		}
		next(w, r, params)
	}
}

func (s *Server) prepare(w http.ResponseWriter, r *http.Request, rt *route, v *visit,
	params map[string]string,
) (err error) {
	if err := headersAreText(r.Header); err != nil {
		return err
	}
	most := MaxRequest
	if s.table[rt.full].open {
		most = openBody
		err = s.enterOpen(r, v, rt.full)
	} else if v.caller, err = s.caller(r.Context(), s.metadataOf(r)); err == nil {
		authenticated(r.Context())
	}
	if err != nil {
		return err
	}
	if err := rt.checkQuery(r.URL.RawQuery); err != nil {
		return err
	}
	for name, value := range params {
		if !utf8.ValidString(value) {
			return errs.Bad(errs.Field{Name: jsonPath(name), Text: notText})
		}
	}
	if rt.body == "" {
		if err := s.noBody(w, r); err != nil {
			return err
		}
		return v.enter(r.Context(), s.lanes.of(rt.full))
	}
	if rt.file != nil {
		if err := rt.file.checkMedia(r.Header.Get("Content-Type")); err != nil {
			return err
		}
		if err := v.begin(filePiece); err != nil {
			return err
		}
		return v.enter(r.Context(), s.lanes.of(rt.full))
	}
	body, err := s.readBody(w, r, v, most)
	if err != nil {
		return err
	}
	// The gateway takes JSON whatever the header says, and must not take a body for a form.
	r.Header.Set("Content-Type", "application/json")
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := checkBody(body); err != nil {
		return err
	}
	if err := s.sameNames(rt, body, params); err != nil {
		return err
	}
	return v.enter(r.Context(), s.lanes.of(rt.full))
}

// refuse answers, counts and logs a request that does not come to its method.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, full string, err error) {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	c := &call{s: s, method: full, id: r.Header.Get(headerRequestID), start: time.Now(), from: host}
	var whole *runtime.HTTPStatusError
	code := 0
	if errors.As(err, &whole) {
		code, err = whole.HTTPStatus, whole.Err
	}
	err = c.end(r.Context(), err, nil)
	if code != 0 {
		err = &runtime.HTTPStatusError{HTTPStatus: code, Err: err}
	}
	_, out := runtime.MarshalerForRequest(s.mux, r)
	httpError(r.Context(), s.mux, out, w, r, err)
}

// metadataOf is what the gateway will make of a request's headers, as far as the caller
// depends on it.
func (s *Server) metadataOf(r *http.Request) metadata.MD {
	md := metadata.MD{}
	for _, h := range []string{"Authorization", "Dark-Organization"} {
		if v := r.Header.Values(h); len(v) > 0 {
			md.Set(strings.ToLower(h), v...)
		}
	}
	return metadata.Join(md, s.localMetadata(r.Context(), r))
}

const notText = "is not UTF-8"

// headersAreText refuses what no gRPC metadata may hold.
func headersAreText(h http.Header) error {
	for _, v := range h.Values("Dark-Organization") {
		if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
			return errs.Bad(errs.Field{Name: "Dark-Organization", Text: "the header is not printable ASCII"})
		}
	}
	return nil
}

// checkQuery refuses fields that the method does not take from its query.
func (rt *route) checkQuery(raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return errs.New(errs.Invalid, "the query cannot be read: %v", err)
	}
	var bad []errs.Field
	for key, all := range values {
		if text := rt.wrongField(key, all); text != "" {
			bad = append(bad, errs.Field{Name: strings.ToValidUTF8(key, "\uFFFD"), Text: text})
		}
	}
	if bad == nil {
		return nil
	}
	slices.SortFunc(bad, func(a, b errs.Field) int { return strings.Compare(a.Name, b.Name) })
	return errs.Bad(bad...)
}

// wrongField says why a field may not stand in the query, "" where it may.
func (rt *route) wrongField(key string, values []string) string {
	path, ok := fieldPath(rt.input, key)
	switch {
	case rt.body == "*":
		return "this method takes its fields in the body; put it there"
	case !ok:
		return "unknown field"
	case slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }):
		return notText
	case rt.body != "" && (path == rt.body || strings.HasPrefix(path, rt.body+".")):
		return "is given by the body; put it there"
	case slices.ContainsFunc(rt.vars, func(v string) bool { return v == path || strings.HasPrefix(v, path+".") }):
		return "is given by the path"
	}
	return ""
}

// fieldPath finds the field that a key of a query names, and returns its proto names
// joined by dots. A key of a map stands in brackets: labels[team].
func fieldPath(d protoreflect.MessageDescriptor, key string) (string, bool) {
	if !utf8.ValidString(key) {
		return "", false
	}
	key, inMap, isMap := strings.Cut(key, "[")
	var names []string
	var fd protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(key, ".") {
		if d == nil {
			return "", false
		}
		if fd = d.Fields().ByTextName(name); fd == nil {
			fd = d.Fields().ByJSONName(name)
		}
		if fd == nil {
			return "", false
		}
		names = append(names, string(fd.Name()))
		if d = fd.Message(); fd.Cardinality() == protoreflect.Repeated {
			d = nil
		}
	}
	return strings.Join(names, "."), isMap == fd.IsMap() && (!isMap || strings.HasSuffix(inMap, "]"))
}

// noBody refuses a body where the method takes none.
func (s *Server) noBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.bodyTime))
	var one [1]byte
	n, err := r.Body.Read(one[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return control.SetReadDeadline(time.Time{}) // an answer that is a stream goes on longer
	}
	return errs.New(errs.Invalid, "this method takes no body; its fields go into the path and the query")
}

// readBody reads the body within its bounds of size and time.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, v *visit, most int) ([]byte, error) {
	if r.ContentLength > int64(most) {
		return nil, tooLarge(most)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.bodyTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, counted{r.Body, v}, int64(most)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge(most)
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		slow := errs.New(errs.Unavailable, "the body did not arrive within %s", s.bodyTime)
		return nil, &runtime.HTTPStatusError{HTTPStatus: http.StatusRequestTimeout, Err: slow}
	case errs.Is(err, errs.Exhausted):
		return nil, err
	case err != nil:
		return nil, errs.New(errs.Invalid, "the body ended before its end: %v", err)
	}
	return body, nil
}

// counted counts the octets of a body for its caller.
type counted struct {
	io.ReadCloser
	v *visit
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	if n > 0 {
		if terr := c.v.begin(n); terr != nil {
			return 0, terr
		}
	}
	return n, err
}

func tooLarge(most int) error {
	err := admit.Because(errs.Exhausted, admit.ReasonTooLarge,
		"the body is larger than %d octets, the most that a request may have; send it in parts", most)
	return &runtime.HTTPStatusError{HTTPStatus: http.StatusRequestEntityTooLarge, Err: err}
}

// checkBody refuses what is not one JSON object. Errors of syntax within it are left to
// the decoder, which knows line and column.
func checkBody(body []byte) error {
	text := bytes.TrimSpace(body)
	switch {
	case len(text) == 0:
		return errs.New(errs.Invalid, "the request has no body; send a JSON object")
	case !utf8.Valid(body):
		return errs.Bad(errs.Field{Name: notUTF8In(body), Text: notText})
	case text[0] != '{':
		return errs.New(errs.Invalid, "the body is no JSON object")
	case json.Valid(body):
		return nil
	}
	var first json.RawMessage
	d := json.NewDecoder(bytes.NewReader(body))
	if d.Decode(&first) == nil {
		return errs.New(errs.Invalid, "after the JSON object, which ends at octet %d, there is more; send one object",
			d.InputOffset())
	}
	return nil
}

// sameNames refuses a field of the body that the path gives too, and differently.
func (s *Server) sameNames(rt *route, body []byte, params map[string]string) error {
	for name, want := range params {
		inBody, ok := strings.CutPrefix(name, rt.body+".")
		if rt.body == "*" {
			inBody, ok = name, true
		}
		if !ok {
			continue
		}
		got, ok := textAt(body, inBody)
		if ok && got != "" && !s.sameName(rt.full, got, want) {
			return errs.Bad(errs.Field{Name: jsonPath(inBody), Text: fmt.Sprintf("%q is not the name in the path, %q",
				got, want)})
		}
	}
	return nil
}

func (s *Server) sameName(full, a, b string) bool {
	if k := s.kindOfMethod[full]; k != nil {
		ca, erra := admit.Canonical(k, a)
		cb, errb := admit.Canonical(k, b)
		return a == b || erra == nil && errb == nil && ca == cb
	}
	return a == b
}

// textAt returns the text at a path of proto names within a JSON object.
func textAt(object []byte, path string) (string, bool) {
	name, rest, deeper := strings.Cut(path, ".")
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return "", false
	}
	value, ok := fields[name]
	if !ok {
		value, ok = fields[jsonPath(name)]
	}
	if !ok || deeper {
		return textAt(value, rest)
	}
	var text string
	return text, json.Unmarshal(value, &text) == nil
}

// routingError answers where no endpoint fits. For a path that has other methods it
// lists them (RFC 9110 15.5.6).
func (s *Server) routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter,
	r *http.Request, code int,
) {
	err := errs.New(errs.NotFound, "there is nothing at %s; /openapi.json lists all paths",
		strings.ToValidUTF8(r.URL.Path, "\uFFFD"))
	switch code {
	case http.StatusMethodNotAllowed:
		allowed := strings.Join(s.routes.allow(r.URL.EscapedPath()), ", ")
		w.Header().Set("Allow", allowed)
		err = errs.New(errs.Invalid, "%s is not a method of this path; it has %s", r.Method, allowed)
	case http.StatusBadRequest:
		err = errs.New(errs.Invalid, "the path cannot be read")
	}
	s.refuse(w, r, "", &runtime.HTTPStatusError{HTTPStatus: code, Err: err})
}
