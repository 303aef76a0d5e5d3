package s3

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/checksum"
	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Bounds of a form before its file ("POST Object").
const (
	maxFormFields = 100
	maxForm       = 20 << 10 // octets of all fields but metadata's room in the policy
)

// form is a browser's upload: fields, then the file.
type form struct {
	fields signature.Fields
	file   *multipart.Part
	reader *multipart.Reader
	policy signature.Policy
}

func (f *form) get(name string) string {
	v, _ := f.fields.Get(name)
	return v
}

// postObject takes a browser's form (API reference, "POST Object"): the fields say what
// headers say elsewhere, the policy among them is signed, the file comes last.
func (q *request) postObject() error {
	f, err := q.readForm()
	if err != nil {
		return err
	}
	if err := q.authenticateForm(f); err != nil {
		return err
	}
	if err := q.formHeaders(f); err != nil {
		return err
	}
	if err := q.demand(policy.PutObject); err != nil {
		return err
	}
	q.authenticated()
	if err := q.beginBody(); err != nil {
		return err
	}
	return q.putForm(f)
}

// readForm reads the fields up to the file.
func (q *request) readForm() (*form, error) {
	kind, parameters, err := mime.ParseMediaType(q.header(hContentType))
	if err != nil || kind != "multipart/form-data" || parameters["boundary"] == "" {
		return nil, s3xml.Say(s3xml.PreconditionFailed, "At least one of the pre-conditions you specified did not hold",
			"Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	if q.r.ContentLength < 0 {
		return nil, s3xml.MissingContentLength
	}
	reader := multipart.NewReader(paced{q, q.r.Body}, parameters["boundary"])
	f := &form{reader: reader}
	left := int64(maxForm + signature.MaxPolicy)
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil, s3xml.Argument("POST requires exactly one file upload per request.", "file", "0")
		}
		if err != nil {
			return nil, s3xml.New(s3xml.MalformedPOSTRequest).Because(err)
		}
		name := part.FormName()
		if strings.EqualFold(name, "file") {
			f.file = part
			f.fields.Expand(part.FileName())
			return f, nil
		}
		value, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return nil, s3xml.New(s3xml.MalformedPOSTRequest).Because(err)
		}
		if err := q.hold(len(value) + len(name)); err != nil {
			return nil, err
		}
		if left -= int64(len(value) + len(name)); left < 0 || len(f.fields) == maxFormFields {
			return nil, s3xml.MaxPostPreDataLengthExceeded
		}
		f.fields = append(f.fields, signature.Field{Name: name, Value: string(value)})
	}
}

// authenticateForm finds out who signed the policy, and holds the fields against it. One
// who signed the request itself needs no policy.
func (q *request) authenticateForm(f *form) error {
	if q.who.key != nil {
		f.policy.MaxLength = MaxPut
		return nil
	}
	verifier := q.v.verifier(q.h.config.Denied, q.now)
	signed, p, err := verifier.VerifyForm(f.fields, q.name, q.now)
	if err != nil {
		return err
	}
	f.policy = p
	if signed.Method == signature.Anonymous {
		f.policy.MaxLength = MaxPut
	}
	q.identify(signed)
	return nil
}

// formHeaders makes headers of fields, which mean the same. Headers of the request itself
// are in no policy: whoever was handed a form could say by them what its signer did not.
func (q *request) formHeaders(f *form) error {
	q.key = f.get("key")
	if q.key == "" {
		return s3xml.Argument("Bucket POST must contain a field named 'key'.  If it is specified, please check the "+
			"order of the fields.", "key", "")
	}
	if err := s3xml.CheckKey(q.key); err != nil {
		return err
	}
	q.level = ofObject
	for name := range q.r.Header {
		if formHeader(name) && !presignParameters[name] {
			delete(q.r.Header, name)
		}
	}
	for _, field := range f.fields {
		name := http.CanonicalHeaderKey(field.Name)
		switch {
		case name == "Acl":
			name = "X-Amz-Acl"
		case name == "Tagging":
			name = "X-Amz-Tagging"
			text, err := formTags(field.Value)
			if err != nil {
				return err
			}
			field.Value = text
		case presignParameters[name] || !formHeader(name):
			continue
		}
		q.r.Header[name] = []string{asHeader(name, field.Value)}
	}
	return nil
}

// formHeader says whether a field of that name stands for a header.
func formHeader(name string) bool {
	switch name {
	case "Cache-Control", hContentType, "Content-Disposition", "Content-Encoding", "Content-Language", "Expires":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-")
}

// formTags makes of a form's tagging document what the header would say.
func formTags(doc string) (string, error) {
	tags, err := s3xml.ParseTagging([]byte(doc), s3xml.MaxObjectTags)
	if err != nil {
		return "", err
	}
	v := url.Values{}
	for name, value := range tags {
		v.Set(name, value)
	}
	return v.Encode(), nil
}

// putForm stores the file.
func (q *request) putForm(f *form) error {
	o := &storagev1.Object{Initiator: q.who.id()}
	if err := q.describeObject(o); err != nil {
		return err
	}
	how, err := q.sealNew(o)
	if err != nil {
		return err
	}
	t, err := q.takeFile(f, o, how)
	if err != nil {
		return err
	}
	defer t.abort()
	r, err := q.commitObject(o, t, store.Condition{})
	if err != nil {
		return err
	}
	q.wrote(o, t.tag, t.size, &r)
	return q.posted(f, t.tag)
}

// takeFile reads the file, whose length nobody told, within the policy's bounds.
func (q *request) takeFile(f *form, o *storagev1.Object, how store.Sealing) (taken, error) {
	in := &intake{q: q, want: -1, body: &bounded{
		r: f.file, left: min(f.policy.MaxLength, MaxPut),
		least: f.policy.MinLength, after: f.checkRest,
	}}
	var err error
	if in.asked, err = checksum.Read(q.r.Header); err != nil {
		return taken{}, err
	}
	algorithm, err := in.algorithm(o)
	if err != nil {
		return taken{}, err
	}
	in.hasher = checksum.NewHasher(checksum.Want{MD5: plainTag(o) || in.asked.MD5 != nil, Algorithm: algorithm})
	defer in.release()
	return q.takeFrom(in, o, how)
}

// bounded is a file that must have between least and left octets.
type bounded struct {
	r           io.Reader
	left, least int64
	have        int64
	after       func() error // judges what follows the file
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.have += int64(n)
	switch {
	case b.have > b.left:
		return 0, s3xml.New(s3xml.EntityTooLarge, "ProposedSize", itoa(b.have), "MaxSizeAllowed", itoa(b.left))
	case errors.Is(err, io.EOF) && b.have < b.least:
		return 0, s3xml.New(s3xml.EntityTooSmall, "ProposedSize", itoa(b.have), "MinSizeAllowed", itoa(b.least))
	case errors.Is(err, io.EOF) && b.after != nil:
		after := b.after
		b.after = nil
		if err := after(); err != nil {
			return 0, err
		}
	}
	return n, err
}

// checkRest reads what follows the file: fields there count for nothing, as at AWS, and a
// second file is refused.
func (f *form) checkRest() error {
	left := int64(maxForm)
	for {
		part, err := f.reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s3xml.New(s3xml.MalformedPOSTRequest).Because(err)
		}
		if strings.EqualFold(part.FormName(), "file") {
			return s3xml.Argument("POST requires exactly one file upload per request.", "file", "2")
		}
		n, err := io.Copy(io.Discard, io.LimitReader(part, left+1))
		if err != nil {
			return s3xml.New(s3xml.MalformedPOSTRequest).Because(err)
		}
		if left -= n; left < 0 {
			return s3xml.MalformedPOSTRequest
		}
	}
}

// posted answers as the form wants: by a redirect, or with 200, 201 or 204.
func (q *request) posted(f *form, tag []byte) error {
	q.set("Location", q.location())
	at := f.get("success_action_redirect")
	if at == "" {
		at = f.get("redirect")
	}
	if to, err := url.Parse(at); err == nil && at != "" && (to.Scheme == "http" || to.Scheme == "https") {
		v := to.Query()
		v.Set("bucket", q.name)
		v.Set("key", q.key)
		v.Set("etag", quoted(tag))
		to.RawQuery = v.Encode()
		q.set("Location", to.String())
		return q.empty(http.StatusSeeOther)
	}
	switch f.get("success_action_status") {
	case "200":
		return q.empty(http.StatusOK)
	case "201":
		d := s3xml.Posted{Location: q.location(), Bucket: q.name, Key: q.key, ETag: string(tag)}
		return q.body(http.StatusCreated, typeXML, d.Append(q.buf[:0]))
	}
	return q.empty(http.StatusNoContent)
}
