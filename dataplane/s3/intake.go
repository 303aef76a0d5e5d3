package s3

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/dark-ecosystem/dark/dataplane/s3/checksum"
	"github.com/dark-ecosystem/dark/dataplane/s3/chunked"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// intake is a request's body on its way in: taken out of its encoding, hashed in passing,
// and held against all that was said of it before anything of it counts.
type intake struct {
	q      *request
	body   io.Reader
	chunks *chunked.Reader // nil unless aws-chunked
	asked  checksum.Asked
	hasher *checksum.Hasher
	sums   checksum.Sums
	hashed bool  // the signature has the body's SHA-256
	want   int64 // octets in the clear; -1 where nobody told
	have   int64
}

// intake prepares to read the body of a new object or part.
func (q *request) intake(o *storagev1.Object) (*intake, error) {
	asked, err := checksum.Read(q.r.Header)
	if err != nil {
		return nil, err
	}
	in := &intake{q: q, asked: asked}
	if err := in.open(); err != nil {
		return nil, err
	}
	if in.want > MaxPut {
		return nil, s3xml.New(s3xml.EntityTooLarge, "ProposedSize", itoa(in.want), "MaxSizeAllowed", itoa(MaxPut))
	}
	algorithm, err := in.algorithm(o)
	if err != nil {
		return nil, err
	}
	in.hasher = checksum.NewHasher(checksum.Want{
		MD5: plainTag(o) || asked.MD5 != nil, SHA256: in.hashed,
		Algorithm: algorithm,
	})
	return in, nil
}

// open finds the body and its length in the clear.
func (in *intake) open() (err error) {
	q := in.q
	in.body = paced{q, q.r.Body}
	in.hashed = q.who.signed.Payload == signature.Hashed
	if !q.who.signed.Payload.Chunked() {
		in.want, err = q.length()
		return err
	}
	q.r.Body = paced{q, q.r.Body}
	if in.chunks, err = chunked.FromRequest(q.r, q.who.signed); err != nil {
		return err
	}
	in.body = in.chunks
	in.want, err = chunked.DecodedLength(q.r.Header)
	return err
}

// algorithm is the checksum to compute: the one that comes with the body, else the one
// that the upload has, else the one that the client names, else CRC64NVME, which AWS keeps
// of all objects since 2024.
func (in *intake) algorithm(o *storagev1.Object) (checksum.Algorithm, error) {
	upload, _ := checksum.ParseAlgorithm(o.GetChecksumAlgorithm())
	switch {
	case in.asked.Algorithm != checksum.None && upload != checksum.None && upload != in.asked.Algorithm:
		return 0, invalidRequest("Checksum Type mismatch occurred, expected checksum Type: " + upload.String() +
			", actual checksum Type: " + in.asked.Algorithm.String())
	case in.asked.Algorithm != checksum.None:
		return in.asked.Algorithm, nil
	case upload != checksum.None:
		return upload, nil
	}
	if named, ok := checksum.ParseAlgorithm(in.q.header("X-Amz-Checksum-Algorithm")); ok {
		return named, nil
	}
	return checksum.CRC64NVME, nil
}

// Read implements io.Reader. io.EOF comes when the body was whole.
func (in *intake) Read(p []byte) (int, error) {
	n, err := in.body.Read(p)
	in.have += int64(n)
	if n > 0 {
		in.hasher.Write(p[:n]) //nolint:errcheck // a hash never fails
	}
	if err == nil || errors.Is(err, io.EOF) && (in.have == in.want || in.want < 0) {
		return n, err
	}
	return n, in.broken(err)
}

// broken is what a client is told whose body did not come whole.
func (in *intake) broken(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return s3xml.New(s3xml.RequestTimeout).Because(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s3xml.New(s3xml.IncompleteBody).Because(err)
	}
	if _, known := errors.AsType[*s3xml.Error](err); known {
		return err
	}
	return s3xml.New(s3xml.IncompleteBody).Because(err)
}

// verify holds the body against its signature, its length and its checksums.
func (in *intake) verify() error {
	if in.have != in.want && in.want >= 0 {
		return s3xml.IncompleteBody
	}
	in.sums = in.hasher.Sums()
	if in.hashed {
		if err := in.sums.VerifySHA256(in.q.who.signed.SHA256); err != nil {
			return err
		}
	}
	if in.chunks != nil {
		if err := in.asked.FromTrailer(in.chunks.Trailers()); err != nil {
			return err
		}
	}
	return in.sums.Verify(in.asked)
}

// tag is the ETag of what came: its MD5 where AWS's is, else random.
func (in *intake) tag(o *storagev1.Object) []byte {
	if plainTag(o) {
		return hex.AppendEncode(nil, in.sums.MD5[:])
	}
	return randomTag()
}

func randomTag() []byte {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.AppendEncode(nil, b[:])
}

// note keeps the checksum with the object.
func (in *intake) note(o *storagev1.Object) {
	o.ChecksumAlgorithm, o.Checksum = in.sums.Algorithm.String(), in.sums.Checksum
}

func (in *intake) release() {
	if in.hasher != nil {
		_ = in.hasher.Close() // never fails
	}
}

// paced is a body whose client is waited for as long as there is patience.
type paced struct {
	q    *request
	body io.ReadCloser
}

func (p paced) Close() error { return p.body.Close() }

// document reads a request's XML or JSON of at most limit octets, held against its
// signature and checksums. needed: AWS wants a digest with it, Content-MD5 or a checksum; the
// hash that a signature covers is none.
func (q *request) document(limit int, needed bool) ([]byte, error) {
	asked, err := checksum.Read(q.r.Header)
	if err != nil {
		return nil, err
	}
	if needed && asked.MD5 == nil && asked.Algorithm == checksum.None {
		return nil, invalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return q.heldDocument(limit, asked)
}

// heldDocument reads a document that is held against what was asked.
func (q *request) heldDocument(limit int, asked checksum.Asked) ([]byte, error) {
	in := &intake{q: q, asked: asked, want: -1}
	if q.r.ContentLength < 0 && !q.who.signed.Payload.Chunked() {
		return nil, s3xml.MissingContentLength
	}
	if err := in.open(); err != nil {
		return nil, err
	}
	// What says that it is too large is refused unread: it needs none of the room for documents.
	if in.want > int64(limit) {
		return nil, s3xml.New(s3xml.MaxMessageLengthExceeded, "MaxMessageLengthBytes", strconv.Itoa(limit))
	}
	in.hasher = checksum.NewHasher(checksum.Want{MD5: asked.MD5 != nil, SHA256: in.hashed, Algorithm: asked.Algorithm})
	defer in.release()
	doc, err := s3xml.ReadDocument(in, limit)
	if err != nil {
		return nil, err
	}
	q.doc = doc
	return doc, in.verify()
}
