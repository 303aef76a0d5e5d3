package identity

import (
	"encoding/base64"
	"testing"
	"time"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// FuzzReadProof: whatever comes, nothing is verified without the secret, and nothing that
// is asked of another bucket is allowed.
func FuzzReadProof(f *testing.F) {
	for _, s := range []string{
		`{"credential":"DK/20300304/dark/s3/aws4_request","date":"20300304T050607Z","canonical_request":"PUT\n/b\n\nhost:x\n\nhost\nUNSIGNED-PAYLOAD","signature":"00"}`,
		`{"credential":"DK/20300304/dark/s3/aws4_request","date":"20300304T050607Z","canonical_request":"DELETE\n/b\npolicy=\nhost:b.x\n\nhost\n","signature":""}`,
		`{"credential":"////","date":"","canonical_request":""}`,
		`[]`, ``,
	} {
		f.Add(ProofPrefix + base64.RawURLEncoding.EncodeToString([]byte(s)))
	}
	now := time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC)
	key := &storagev1.AccessKey{Status: &storagev1.AccessKeyStatus{AccessKeyId: "DK"}}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := readProof(token)
		if err != nil {
			return
		}
		if p.verify("a secret that the fuzzer does not know", []string{"dark"}, now) == nil {
			t.Fatalf("verified: %s", token)
		}
		for _, req := range []*storagev1.DeleteBucketRequest{{Name: "buckets/never-named"}, {Name: "buckets/"}, {Name: "buckets/x/y"}} {
			if p.allows(key, "m", req) == nil && p.path != "/never-named" && p.path != "/never-named/" && p.path != "/" {
				t.Fatalf("%s %s is for %s", p.method, p.path, req.Name)
			}
		}
	})
}
