// Package peers holds no code, only the tests that drive the S3 endpoint of a real
// darkd dev with real clients: Debian's aws, boto3, s3cmd, rclone and restic, the current
// SDKs for Go and JavaScript, minio-go, and minio-go's own functional tests.
//
// Every client carries the same thousand files of odd names and sizes (corpus_test.go)
// both ways. What a client cannot carry is listed beside its test, with the reason. A
// client talks through a tap that reads along on the wire (tap_test.go); a test fails
// when the tap saw a 5xx status or a NotImplemented that its test does not name.
//
// With DARK_S3_DEV=FILE the tests use the running server that FILE, a dev.json, tells of,
// and start none.
package peers
