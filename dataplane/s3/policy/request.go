package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"time"
)

// Caller is who asks. The zero value is somebody unknown.
type Caller struct {
	// Organization that the access key acts for.
	Organization string
	// Key is the access key's name, without "accesskeys/".
	Key string
	// KeyID is the access key ID.
	KeyID string
	// Canonical is CanonicalID(Organization) where the caller has it at hand; else it is
	// computed when a policy or an ACL needs it.
	Canonical string
}

// Anonymous says that nobody signed.
func (c *Caller) Anonymous() bool { return c.Organization == "" }

func (c *Caller) canonical() string {
	if c.Canonical != "" || c.Anonymous() {
		return c.Canonical
	}
	return CanonicalID(c.Organization)
}

// CanonicalID is the canonical user ID of an organization: 64 hexadecimal digits.
func CanonicalID(organization string) string {
	sum := sha256.Sum256([]byte("dark canonical user\x00" + organization))
	return hex.EncodeToString(sum[:])
}

// Request is what is to be decided. Evaluation keeps nothing of it.
type Request struct {
	Action string // "s3:GetObject"
	Bucket string // empty for what is about no bucket
	Key    string // empty for what is about the bucket
	Caller Caller

	Now       time.Time
	SourceIP  netip.Addr
	TLS       uint16 // tls.VersionTLS13 and so on; 0 without TLS
	Region    string // of the installation
	Owner     string // organization that owns the bucket
	VersionID string // as it was asked for; empty if it was not

	// AuthType is REST-HEADER, REST-QUERY-STRING or POST; empty if anonymous.
	AuthType string
	// SignatureVersion is AWS4-HMAC-SHA256; empty if anonymous.
	SignatureVersion string
	// SignatureAge is how long ago it was signed, in queries.
	SignatureAge time.Duration

	// Header has the request's headers, those of a form or of a signed query with them.
	Header http.Header
	// Query gives a parameter; nil is none.
	Query func(name string) (string, bool)
	// RequestTags are the tags that the request brings.
	RequestTags map[string]string
	// ExistingTags gives the tags of the object; nil is none. It is called only where a
	// policy asks, see Policy.UsesObjectTags.
	ExistingTags func() map[string]string

	// OwnUpload: the multipart upload was begun by the caller's organization.
	OwnUpload bool
}

func (q *Request) query(name string) (string, bool) {
	if q.Query == nil {
		return "", false
	}
	return q.Query(name)
}
