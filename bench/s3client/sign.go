// Package s3client is a client of S3 endpoints that costs little, for measuring them: it
// signs (AWS Signature Version 4) and writes requests by hand on one connection.
package s3client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Credentials are an access key of a server.
type Credentials struct{ Access, Secret, Region string }

// The forms of a payload that the clients send (AWS Signature Version 4).
const (
	emptyPayload    = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// header is a further header that is signed; it comes after x-amz-date in the order of
// names.
type header struct{ name, value string }

// signed is the Authorization header of a request with those headers that must be signed.
func (c Credentials) signed(method, path, query, host, payload string, more []header,
	at time.Time,
) (date, authorization string) {
	date = at.UTC().Format("20060102T150405Z")
	scope := date[:8] + "/" + c.Region + "/s3/aws4_request"
	names := "host;x-amz-content-sha256;x-amz-date"
	canonical := method + "\n" + path + "\n" + query + "\nhost:" + host + "\nx-amz-content-sha256:" + payload +
		"\nx-amz-date:" + date + "\n"
	for _, h := range more {
		names += ";" + h.name
		canonical += h.name + ":" + h.value + "\n"
	}
	canonical += "\n" + names + "\n" + payload
	hash := sha256.Sum256([]byte(canonical))
	text := "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	signature := hex.EncodeToString(sum(c.key(date[:8]), text))
	return date, "AWS4-HMAC-SHA256 Credential=" + c.Access + "/" + scope + ", SignedHeaders=" + names + ", Signature=" +
		signature
}

// key is kSigning of a day.
func (c Credentials) key(day string) []byte {
	return sum(sum(sum(sum([]byte("AWS4"+c.Secret), day), c.Region), "s3"), "aws4_request")
}

func sum(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
