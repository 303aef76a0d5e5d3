// Package s3 is the S3 endpoint of an edge: it speaks Amazon's S3 over HTTP, with buckets
// and keys as the control plane published them and objects in the edge's store. It holds
// no secret keys: requests are verified with signing keys derived for a date, a region
// and this service (AWS Signature Version 4).
//
// A request goes parse → authenticate → authorize → operate → answer → count; Handler's
// ServeHTTP reads as that list.
package s3
