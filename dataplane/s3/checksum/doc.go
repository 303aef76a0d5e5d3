// Package checksum knows the checksums that S3 requests carry ("Checking object integrity"
// of the Amazon S3 User Guide): CRC-32, CRC-32C, CRC-64/NVME, SHA-1 and SHA-256 in
// x-amz-checksum-*, in a header or in the trailer, besides Content-MD5 and
// x-amz-content-sha256; their types for multipart objects, COMPOSITE and FULL_OBJECT; and
// a Hasher that computes what a request needs in one pass.
//
// Values are pure; a Hasher belongs to one goroutine, and keeps one of its own while it
// is in use.
package checksum
