package sigv4

import (
	"net"
	"slices"
	"strings"
)

// Hosts are the base domains of an S3 endpoint: a request to BUCKET.DOMAIN is for that bucket
// (AWS calls it virtual-hosted style). The zero value has none, and then each bucket is in the
// path. Edges and control nodes read host names by this one type, so that they cannot disagree
// about which bucket was signed for.
type Hosts struct {
	bases []string // lower case, without a final dot; the longest first
}

// NewHosts returns the hosts of base domains; their case and a dot at their ends do not matter.
func NewHosts(domains ...string) Hosts {
	var h Hosts
	for _, d := range domains {
		if d = strings.ToLower(strings.Trim(d, ".")); d != "" && !slices.Contains(h.bases, d) {
			h.bases = append(h.bases, d)
		}
	}
	slices.SortFunc(h.bases, func(a, b string) int { return len(b) - len(a) })
	return h
}

// Domains are the base domains as they are compared.
func (h Hosts) Domains() []string { return slices.Clone(h.bases) }

// Bucket is the bucket that a Host header names, by the longest base domain that fits. It is
// empty for a base domain itself and for any other host: there the bucket is in the path.
func (h Hosts) Bucket(host string) string {
	if len(h.bases) == 0 {
		return ""
	}
	if strings.Contains(host, ":") {
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, base := range h.bases {
		if above, ok := strings.CutSuffix(host, base); ok && (above == "" || above[len(above)-1] == '.') {
			return strings.TrimSuffix(above, ".")
		}
	}
	return ""
}

// Target splits a request into bucket and key. DELETE /logs at photos.s3.example.com is about
// the object logs of the bucket photos; at s3.example.com it is about the bucket logs. virtual
// says that the host named the bucket. Nothing of the path is normalised.
func (h Hosts) Target(host, path string) (bucket, key string, virtual bool) {
	path = strings.TrimPrefix(path, "/")
	if bucket = h.Bucket(host); bucket != "" {
		return bucket, path, true
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key, false
}
