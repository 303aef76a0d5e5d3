// Package sigv4 is what an edge and the control plane must agree on about a signed S3
// request: the keys that are derived from a secret (AWS Signature Version 4), the proof by
// which an edge hands a customer's request up, and the table of a bucket's configuration,
// which says for each sub-resource of S3 its actions, its field of a Bucket and how large
// its document may be.
//
// The edge verifies requests with derived keys (dataplane/s3/signature); the control plane
// has the secret, verifies the proof again and applies only what its octets say.
package sigv4
