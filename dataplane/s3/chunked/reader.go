package chunked

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
)

// Bounds of what is taken. A chunk is bounded by the decoded length alone, for nothing of
// it is kept; Amazon's least size of 8 KiB is not asked for.
const (
	MaxLine        = 4 << 10 // octets of a line before a chunk or in the trailer
	MaxTrailers    = 8       // names announced in x-amz-trailer
	maxBlankAtEnd  = 3       // CRLFs that clients were seen to add
	signatureField = "x-amz-trailer-signature"
)

// Options say how a body is encoded.
type Options struct {
	// Payload is Chunks, ChunksTrailer or UnsignedTrailer.
	Payload signature.Payload
	// Length in the clear, of x-amz-decoded-content-length.
	Length int64
	// Trailers that x-amz-trailer announced, in lower case; others are refused, and each
	// of these must come.
	Trailers []string
	// What chunk signatures begin with; see signature.Result.
	Key               [32]byte
	Seed, Date, Scope string
}

// Reader is the body in the clear.
type Reader struct {
	body     *bufio.Reader
	options  Options
	left     int64 // of this chunk
	rest     int64 // of the whole
	inside   bool  // of the body: the CRLF of a chunk is still to come
	err      error
	trailers map[string]string

	// Of signed chunks.
	hash     hash.Hash
	previous []byte // signature
	given    []byte // of this chunk
	toSign   []byte // room
}

// New reads the body as the options say. Lines have to fit in its buffer, which large reads
// pass by.
func New(body io.Reader, o Options) *Reader {
	r := &Reader{body: bufio.NewReaderSize(body, MaxLine), options: o, rest: o.Length, previous: []byte(o.Seed)}
	if o.Payload.SignedChunks() {
		r.hash = sha256.New()
	}
	return r
}

// Trailers are the announced fields that came after the last chunk, by names in lower
// case; they are there once Read gave io.EOF.
func (r *Reader) Trailers() map[string]string { return r.trailers }

// Read gives the next bytes in the clear, of more than one chunk where they have come
// already. io.EOF says that the body was whole, of the announced length and, where it is
// signed, signed to its end. Other errors are of AWS's codes, or what reading the body gave.
func (r *Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && r.err == nil && (n == 0 || r.body.Buffered() > 0) {
		m := r.read(p[n:])
		if m == 0 {
			break // an error, or a body that makes no progress
		}
		n += m
	}
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, r.err
}

// read gives bytes of one chunk, or sets err. What does not verify is not given.
func (r *Reader) read(p []byte) int {
	if r.left == 0 {
		if r.err = r.next(); r.err != nil {
			return 0
		}
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	if r.err = r.took(p[:n], err); r.err != nil {
		return 0
	}
	return n
}

// took accounts for bytes of a chunk, and at its end verifies it.
func (r *Reader) took(p []byte, err error) error {
	r.left -= int64(len(p))
	r.rest -= int64(len(p))
	if r.hash != nil {
		r.hash.Write(p)
		if r.left == 0 {
			if bad := r.verifyChunk(); bad != nil {
				return bad
			}
		}
	}
	if err != nil && (r.left > 0 || !errors.Is(err, io.EOF)) {
		return short(err)
	}
	return nil
}

// next goes to the next chunk that has bytes; at the last chunk it ends with io.EOF.
func (r *Reader) next() error {
	if r.inside {
		if err := r.crlf(); err != nil {
			return err
		}
	}
	size, err := r.header()
	if err != nil {
		return err
	}
	if size > r.rest {
		return incomplete("The chunks are longer than x-amz-decoded-content-length.")
	}
	r.left, r.inside = size, true
	if size > 0 {
		return nil
	}
	return r.finish()
}

// finish is what comes with the chunk of no bytes.
func (r *Reader) finish() error {
	if r.rest > 0 {
		return incomplete("The chunks are shorter than x-amz-decoded-content-length.")
	}
	if r.hash != nil {
		if err := r.verifyChunk(); err != nil {
			return err
		}
	}
	if err := r.trailer(); err != nil {
		return err
	}
	return io.EOF
}

// line reads up to the end of a line, which belongs to the buffer and is valid until the
// next read. Without its LF it is an error; CR is taken off.
func (r *Reader) line() ([]byte, error) {
	b, err := r.body.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, malformed("A line is too long.")
	}
	if err != nil {
		return b, err
	}
	b = b[:len(b)-1]
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b, nil
}

func (r *Reader) crlf() error {
	b, err := r.body.Peek(2)
	if err != nil {
		return short(err)
	}
	if b[0] != '\r' || b[1] != '\n' {
		return malformed("A chunk must end in CRLF.")
	}
	_, err = r.body.Discard(2)
	return err
}

// short: the body ended before its encoding did.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return incomplete("The body ended inside of a chunk.")
	}
	return err
}

func incomplete(why string) error {
	return s3xml.Say(s3xml.IncompleteBody, "You did not provide the number of bytes specified by the "+
		"x-amz-decoded-content-length HTTP header. "+why)
}

func malformed(why string) error {
	return s3xml.Say(s3xml.InvalidRequest, "The aws-chunked body is malformed. "+why)
}
