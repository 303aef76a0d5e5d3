package identity

import (
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// FuzzReadProof: whatever comes, nothing is verified without the secret, and nothing that
// is asked of another bucket is allowed.
func FuzzReadProof(f *testing.F) {
	for _, p := range []sigv4.Proof{
		{
			Credential: "DK/20300304/dark/s3/aws4_request", Date: "20300304T050607Z",
			CanonicalRequest: []byte("PUT\n/b\n\nhost:x\n\nhost\nUNSIGNED-PAYLOAD"), Signature: "00",
		},
		{
			Credential: "DK/20300304/dark/s3/aws4_request", Date: "20300304T050607Z",
			CanonicalRequest: []byte("DELETE\n/b\npolicy=\nhost:b.x\n\nhost\n"), Body: []byte("{}"),
		},
		{Credential: "////"},
	} {
		token, err := p.Token()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Add(ProofPrefix + "W10.")
	f.Add(ProofPrefix)
	now := time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC)
	key := &storagev1.AccessKey{Status: &storagev1.AccessKeyStatus{AccessKeyId: "DK"}}
	keys := &AccessKeys{Allow: func([]*storagev1.Scope, string, string) bool { return true }}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := sigv4.ReadToken(token)
		if err != nil {
			return
		}
		if p.Verify("a secret that the fuzzer does not know", []string{"dark"}, now) == nil {
			t.Fatalf("verified: %s", token)
		}
		for _, req := range []*storagev1.DeleteBucketRequest{
			{Name: "buckets/never-named"},
			{Name: "buckets/"},
			{Name: "buckets/x/y"},
		} {
			if keys.allows("acme", key, p, "m", req) == nil && p.Path != "/never-named" && p.Path != "/never-named/" &&
				p.Path != "/" {
				t.Fatalf("%s %s is for %s", p.Method, p.Path, req.Name)
			}
		}
	})
}
