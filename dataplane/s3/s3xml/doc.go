// Package s3xml is what S3 says and hears in XML, without any HTTP: its errors, its
// answers, its requests, and the rules of its names (Amazon S3 API Reference, API version
// 2006-03-01).
//
// Answers are appended to a buffer of the caller's, written by hand: a listing of 1,000
// keys is hot. Requests come from outside: each Parse function takes a document of
// bounded size (see ReadDocument), of bounded depth and number of elements, without DTD
// or entities of its own, and refuses with AWS's code what AWS refuses. Values that the
// control plane keeps are those of proto/dark/storage/v1.
//
// The package holds no state; all functions may be called by any goroutine.
package s3xml
