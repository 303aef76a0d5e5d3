package signature

import (
	"encoding/hex"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Payload says how the body is covered by the signature: what x-amz-content-sha256 had.
type Payload uint8

// The kinds of payload.
const (
	// Unsigned: the body is not covered (UNSIGNED-PAYLOAD, presigned, anonymous).
	Unsigned Payload = iota
	// Hashed: the body must have Result.SHA256.
	Hashed
	// Chunks: aws-chunked, each chunk signed (STREAMING-AWS4-HMAC-SHA256-PAYLOAD).
	Chunks
	// ChunksTrailer: the same with a signed trailer (…-PAYLOAD-TRAILER).
	ChunksTrailer
	// UnsignedTrailer: aws-chunked without signatures (STREAMING-UNSIGNED-PAYLOAD-TRAILER).
	UnsignedTrailer
)

var payloadNames = [...]string{
	Unsigned:        "UNSIGNED-PAYLOAD",
	Hashed:          "SHA256",
	Chunks:          "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	ChunksTrailer:   "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
	UnsignedTrailer: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}

// String is the value of x-amz-content-sha256, "SHA256" for Hashed.
func (p Payload) String() string { return payloadNames[p] }

// Chunked: the body is aws-chunked and must go through package chunked.
func (p Payload) Chunked() bool { return p >= Chunks }

// SignedChunks: each chunk has a signature, the first one chained to the request's.
func (p Payload) SignedChunks() bool { return p == Chunks || p == ChunksTrailer }

// Trailing: a trailer may follow the last chunk.
func (p Payload) Trailing() bool { return p == ChunksTrailer || p == UnsignedTrailer }

// parsePayload reads a value of x-amz-content-sha256.
func parsePayload(v string) (p Payload, sum [32]byte, err *Error) {
	if len(v) == 2*len(sum) {
		var text [64]byte
		copy(text[:], v)
		if _, bad := hex.Decode(sum[:], text[:]); bad == nil {
			return Hashed, sum, nil
		}
	}
	switch v {
	case payloadNames[Unsigned]:
		return Unsigned, sum, nil
	case payloadNames[Chunks]:
		return Chunks, sum, nil
	case payloadNames[ChunksTrailer]:
		return ChunksTrailer, sum, nil
	case payloadNames[UnsignedTrailer]:
		return UnsignedTrailer, sum, nil
	case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
		return 0, sum, errV4A()
	}
	return 0, sum, s3xml.Say(s3xml.InvalidArgument, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "+
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "+
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.").
		With("ArgumentName", "x-amz-content-sha256").With("ArgumentValue", v)
}
