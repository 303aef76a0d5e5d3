package s3

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func TestTheTreeIsAMapThatKeepsItsOldVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var now tree[int]
		model := map[string]int{}
		type version struct {
			tree  tree[int]
			model map[string]int
		}
		var old []version
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			e := &edit{}
			for range rapid.IntRange(1, 4).Draw(t, "batch") {
				key := rapid.StringMatching(`[a-d]{0,3}`).Draw(t, "key")
				if rapid.Bool().Draw(t, "put") {
					now, model[key] = now.put(e, key, i), i
				} else {
					now = now.drop(e, key)
					delete(model, key)
				}
			}
			old = append(old, version{now, maps.Clone(model)})
		}
		for _, v := range old {
			var keys []string
			v.tree.from("", func(key string, value int) bool {
				if v.model[key] != value {
					t.Fatalf("%q: %d", key, value)
				}
				keys = append(keys, key)
				return true
			})
			if want := slices.Sorted(maps.Keys(v.model)); !slices.Equal(keys, want) || v.tree.size != len(want) {
				t.Fatalf("%q, want %q (%d)", keys, want, v.tree.size)
			}
		}
	})
}

func published(i int) *storagev1.PublishedBucket {
	return &storagev1.PublishedBucket{
		Bucket: fmt.Sprintf("bucket-%06d", i), Id: fmt.Appendf(nil, "%016d", i),
		Organization: "acme",
	}
}

// TestAddingABucketCopiesAPath: a change costs the same beside 100,000 buckets.
func TestAddingABucketCopiesAPath(t *testing.T) {
	const n = 100_000
	changes := make([]Change, n)
	for i := range changes {
		changes[i] = PutBucket(published(i))
	}
	v := ok(NewView().With(changes...))(t)
	if v.buckets.size != n || v.owned.size != n {
		t.Fatal(v.buckets.size)
	}
	i := n
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ok(v.With(PutBucket(published(i))))(b)
			i++
		}
	}).AllocedBytesPerOp()
	if allocated > 32<<10 {
		t.Fatalf("a change allocates %d octets", allocated)
	}
}

func TestABadSpecIsNamedFieldByField(t *testing.T) {
	for field, spec := range map[string]*storagev1.BucketSpec{
		"spec.policy": {Policy: "{"},
		"spec.corsRules[0]": {CorsRules: []*storagev1.CorsRule{{
			AllowedOrigins: []string{"**"},
			AllowedMethods: []string{"GET"},
		}}},
		"spec.lifecycleRules": {LifecycleRules: []*storagev1.LifecycleRule{{Id: "a", Enabled: true}}},
		"spec.tags[aws:x]":    {Tags: map[string]string{"aws:x": "1"}},
		"spec.grants[0].grantee": {Grants: []*storagev1.Grant{{
			Grantee:    "me",
			Permission: storagev1.Grant_PERMISSION_READ,
		}}},
		"spec.grants[0].permission":     {Grants: []*storagev1.Grant{{Grantee: "http://acs.amazonaws.com/groups/global/AllUsers"}}},
		"spec.versioning":               {Versioning: 9},
		"spec.ownership":                {Ownership: 9},
		"spec.encryption.encryptionKey": {Encryption: &storagev1.Encryption{EncryptionKey: "main"}},
	} {
		bad := ValidateBucketSpec(spec, "box")
		if len(bad) != 1 || bad[0].Field != field || bad[0].Text == "" {
			t.Errorf("%s: %+v", field, bad)
		}
	}
	if bad := ValidateBucketSpec(&storagev1.BucketSpec{}, "No"); len(bad) != 1 || bad[0].Field != "name" {
		t.Errorf("%+v", bad)
	}
}
