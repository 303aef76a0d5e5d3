package edge

import (
	"slices"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// proofOf is a proof as an edge has it; nothing of it is verified here.
func proofOf(t *testing.T, method, query string) string {
	t.Helper()
	canonical := strings.Join([]string{
		method, "/photos", query, "host:s3.test", "", "host", sigv4.Hex(sigv4.MAC(nil, "")),
	}, "\n")
	token, err := sigv4.Proof{
		Credential: "AK/20261201/dark/s3/aws4_request", Date: "20261201T000000Z", CanonicalRequest: []byte(canonical),
	}.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestASignedPartGoesUpWhole: where one field of a part changes, the change names them all;
// what the customer's request is not about goes up in none.
func TestASignedPartGoesUpWhole(t *testing.T) {
	const acl = "spec.grants spec.empty_acl"
	was := &storagev1.BucketSpec{Grants: []*storagev1.Grant{{}}}
	for name, c := range map[string]struct {
		query string
		spec  *storagev1.BucketSpec
		want  string
	}{
		"grants alone":     {"acl=", &storagev1.BucketSpec{Grants: []*storagev1.Grant{{}, {}}}, acl},
		"no grants":        {"acl=", &storagev1.BucketSpec{EmptyAcl: true}, acl},
		"an ACL, and tags": {"acl=", &storagev1.BucketSpec{Tags: map[string]string{"a": "b"}}, ""},
		"no part":          {"", &storagev1.BucketSpec{}, ""},
		"an unknown part":  {"zonk=", &storagev1.BucketSpec{}, ""},
		"another part":     {"tagging=", &storagev1.BucketSpec{}, ""},
	} {
		change := changed(was, c.spec)
		if len(change) == 0 {
			t.Fatalf("%s: the test changes nothing", name)
		}
		fields, err := signedFields(proofOf(t, "PUT", c.query), change)
		if c.want == "" {
			if !errs.Is(err, errs.Internal) {
				t.Errorf("%s: %v, %v", name, fields, err)
			}
			continue
		}
		if err != nil || !slices.Equal(fields, strings.Fields(c.want)) {
			t.Errorf("%s: %v, %v, want %s", name, fields, err, c.want)
		}
	}
}
