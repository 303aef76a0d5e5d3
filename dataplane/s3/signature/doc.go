// Package signature tells who made an S3 request: it verifies AWS Signature Version 4 in
// the Authorization header, in the query of a presigned URL, and in the form of a browser's
// POST with its policy. It follows "Authenticating Requests (AWS Signature Version 4)" of
// the Amazon S3 API Reference.
//
// There is no secret key here. A Verifier asks for kSigning, the key derived from the
// secret for one UTC day, one region and the service s3 (design: Keys, secrets, time);
// Derive makes one, for the control plane's tests and for ours.
//
// What S3 does otherwise than the rest of AWS: the path is decoded once and encoded once,
// never normalised, so that "//", "." and ".." are part of a key; "%2F" and "/" in it are
// the same octet; "+" in a path is a plus, in a query a space. Presigned URLs may carry in
// their query what others send as headers (X-Amz-Meta-A, x-amz-acl, ...): it is signed all
// the same, and the handler may take it from there.
//
// Requests are verified as package net/http gave them, with r.URL as it was parsed.
//
// A Verifier has no state of its own and may be used by all goroutines at once.
package signature
