package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"net"
	"net/netip"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// What clients are told of server-side encryption.
const (
	sseS3  = "AES256"
	sseKMS = "aws:kms"
)

// customerKey is what SSE-C sends with each request.
type customerKey struct {
	key [32]byte
	md5 []byte
}

// Prefixes of SSE-C's headers.
const (
	forObject = "X-Amz-Server-Side-Encryption-Customer-"
	forSource = "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"
)

// customerKey reads the three headers of SSE-C ("Specifying server-side encryption with
// customer-provided keys"); nil where there are none.
func (q *request) customerKey(prefix string) (*customerKey, error) {
	if len(q.r.Header[prefix+"Algorithm"]) == 0 && len(q.r.Header[prefix+"Key"]) == 0 &&
		len(q.r.Header[prefix+"Key-Md5"]) == 0 {
		return nil, nil
	}
	if !q.secure() && !q.h.config.PlainKeys && !loopback(q.r.RemoteAddr) {
		return nil, invalidRequest("Requests specifying Server Side Encryption with Customer provided keys must be " +
			"made over a secure connection.")
	}
	algorithm, text, sum := q.header(prefix+"Algorithm"), q.header(prefix+"Key"), q.header(prefix+"Key-Md5")
	const name = "x-amz-server-side-encryption-customer-"
	switch {
	case algorithm == "":
		return nil, s3xml.Argument("Requests specifying Server Side Encryption with Customer provided keys must "+
			"provide a valid encryption algorithm.", name+"algorithm", "null")
	case algorithm != sseS3:
		return nil, s3xml.New(s3xml.InvalidEncryptionAlgorithmError, "ArgumentName", name+"algorithm", "ArgumentValue",
			algorithm)
	case text == "":
		return nil, s3xml.Argument("Requests specifying Server Side Encryption with Customer provided keys must "+
			"provide an appropriate secret key.", name+"key", "null")
	case sum == "":
		return nil, s3xml.Argument("Requests specifying Server Side Encryption with Customer provided keys must "+
			"provide the client calculated MD5 of the secret key.", name+"key-MD5", "null")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, s3xml.Argument("The secret key was invalid for the specified algorithm.", name+"key", "null")
	}
	have := md5.Sum(raw)
	if want, err := base64.StdEncoding.DecodeString(sum); err != nil || !bytes.Equal(want, have[:]) {
		return nil, s3xml.Argument("The calculated MD5 hash of the key did not match the hash that was provided.",
			name+"key-MD5", "null")
	}
	return &customerKey{key: [32]byte(raw), md5: have[:]}, nil
}

func loopback(remote string) bool {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// sealingOf is what reading an object's body needs.
func (q *request) sealingOf(o *storagev1.Object) (store.Sealing, error) {
	k, err := q.customerKey(forObject)
	if err != nil {
		return store.Sealing{}, err
	}
	return openedWith(o, k)
}

func openedWith(o *storagev1.Object, k *customerKey) (store.Sealing, error) {
	switch sum := o.GetCustomerKeyMd5(); {
	case len(sum) == 0 && k != nil:
		return store.Sealing{}, invalidRequest("The encryption parameters are not applicable to this object.")
	case len(sum) == 0:
		return store.Sealing{Key: o.GetKmsKey()}, nil
	case k == nil:
		return store.Sealing{}, invalidRequest("The object was stored using a form of Server Side Encryption. The " +
			"correct parameters must be provided to retrieve the object.")
	case !bytes.Equal(sum, k.md5):
		return store.Sealing{}, s3xml.Say(s3xml.AccessDenied,
			"The provided encryption key does not match the one that was used when the object was stored.")
	}
	return store.Sealing{Customer: &k.key}, nil
}

// sealNew decides how what a request writes is encrypted, and notes it in the object: as
// its headers say, else as the bucket does, else with SSE-S3.
func (q *request) sealNew(o *storagev1.Object) (store.Sealing, error) {
	k, err := q.customerKey(forObject)
	if err != nil {
		return store.Sealing{}, err
	}
	mode, id := q.header(hSSE), q.header(hSSE+"-Aws-Kms-Key-Id")
	if err := q.bucketKey(o); err != nil {
		return store.Sealing{}, err
	}
	if k != nil {
		if mode != "" || id != "" {
			return store.Sealing{}, s3xml.Argument("Server Side Encryption with Customer provided key is "+
				"incompatible with the encryption method specified", "x-amz-server-side-encryption", mode)
		}
		o.CustomerKeyMd5, o.BucketKeyEnabled = k.md5, false
		return store.Sealing{Customer: &k.key}, nil
	}
	if mode == "" && id == "" {
		if mode = sseS3; q.bucket.Encryption.GetEncryptionKey() != "" {
			mode = sseKMS
		}
	}
	switch mode {
	case sseS3:
		if id != "" {
			return store.Sealing{}, s3xml.Argument("Server Side Encryption with AWS KMS managed key requires HTTP "+
				"header x-amz-server-side-encryption : aws:kms", "x-amz-server-side-encryption", mode)
		}
		o.Encryption, o.BucketKeyEnabled = sseS3, false
		return store.Sealing{}, nil
	case sseKMS:
		return q.sealKMS(o, id)
	case "aws:kms:dsse":
		return store.Sealing{}, notImplemented("x-amz-server-side-encryption")
	}
	return store.Sealing{}, s3xml.Argument("The encryption method specified is not supported",
		"x-amz-server-side-encryption", mode)
}

// bucketKey notes whether a bucket key is asked for: by the header, else by the bucket (API
// reference, PutObject).
func (q *request) bucketKey(o *storagev1.Object) (err error) {
	const name = hSSE + "-Bucket-Key-Enabled"
	if o.BucketKeyEnabled = q.bucket.Encryption.GetBucketKeyEnabled(); q.r.Header[name] != nil {
		o.BucketKeyEnabled, err = q.boolean(name)
	}
	return err
}

// sealKMS finds the key of SSE-KMS: the one that is named, else the bucket's. A key that
// is not known here makes the write fail, never fall back.
func (q *request) sealKMS(o *storagev1.Object, id string) (store.Sealing, error) {
	if id == "" {
		id = q.bucket.Encryption.GetEncryptionKey()
	}
	k, ok := q.v.encryptionKey(q.bucket.Organization, id)
	switch {
	case !ok:
		return store.Sealing{}, s3xml.Say(s3xml.KMSNotFoundException, "Key '"+id+"' does not exist")
	case k.Retired:
		return store.Sealing{}, s3xml.Say(s3xml.KMSDisabledException, k.ARN+" is disabled.")
	}
	if text := q.header(hSSE + "-Context"); text != "" {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return store.Sealing{}, s3xml.Argument("The header 'x-amz-server-side-encryption-context' must be base64 "+
				"of JSON.", "x-amz-server-side-encryption-context", text)
		}
		o.KmsContext = raw
	}
	o.Encryption, o.KmsKey = sseKMS, k.ARN
	return store.Sealing{Key: k.ARN}, nil
}

// encryptionHeaders tells how an object is encrypted.
func (q *request) encryptionHeaders(o *storagev1.Object) {
	if sum := o.GetCustomerKeyMd5(); len(sum) > 0 {
		q.set(forObject+"Algorithm", sseS3)
		q.set(forObject+"Key-Md5", base64.StdEncoding.EncodeToString(sum))
		return
	}
	q.setIf(hSSE, o.GetEncryption())
	if o.GetKmsKey() == "" {
		return
	}
	q.set(hSSE+"-Aws-Kms-Key-Id", o.GetKmsKey())
	if len(o.GetKmsContext()) > 0 {
		q.set(hSSE+"-Context", base64.StdEncoding.EncodeToString(o.GetKmsContext()))
	}
	if o.GetBucketKeyEnabled() {
		q.set(hSSE+"-Bucket-Key-Enabled", "true")
	}
}

// plainTag says whether an object's ETag is the MD5 of its body (API reference, Object):
// with SSE-S3 it is, with SSE-KMS and SSE-C it is not.
func plainTag(o *storagev1.Object) bool { return o.GetEncryption() == sseS3 }
