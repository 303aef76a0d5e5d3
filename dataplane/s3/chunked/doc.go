// Package chunked reads bodies in aws-chunked encoding, in its three forms: chunks that
// are signed, each signature chained to the one before ("Transferring Payload in Multiple
// Chunks (Chunked Upload)" of the Amazon S3 API Reference), the same with a signed trailer
// ("…Including Trailing Headers"), and unsigned chunks with a trailer, which SDKs send by
// default since 2025. It is no chunked coding of HTTP (RFC 9112 7.1): it lies inside of the
// body, and its length in the clear is told in x-amz-decoded-content-length.
//
//	5;chunk-signature=64 hex digits CRLF hello CRLF
//	0;chunk-signature=64 hex digits CRLF
//	x-amz-checksum-crc32c:base64 CRLF
//	x-amz-trailer-signature:64 hex digits CRLF
//	CRLF
//
// A Reader streams: bytes are handed on while their chunk's hash still runs, and the
// signature is verified before the last bytes of the chunk are. Whoever reads must throw
// away what it has when Read fails, and must read up to io.EOF, which comes only after
// everything was verified. A Reader belongs to one goroutine.
package chunked
