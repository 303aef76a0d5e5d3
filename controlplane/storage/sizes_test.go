package storage

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// rules are CORS rules of about so many octets.
func rules(octets int) []*storagev1.CorsRule {
	var out []*storagev1.CorsRule
	for n := 0; n < octets; n += 1000 {
		out = append(out, &storagev1.CorsRule{
			AllowedMethods: []string{"GET"},
			AllowedOrigins: []string{"https://" + strings.Repeat("a", 980)},
		})
	}
	return out
}

// TestWhatIsAcceptedCanBePublished: each part of a bucket may be as large as AWS has it,
// all together fit into a record, and what is larger is refused by its field.
func TestWhatIsAcceptedCanBePublished(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	w.edge("e1", nil)
	tags := map[string]string{}
	for len(tags) < 50 {
		tags[strings.Repeat("k", 120)+string(rune('A'+len(tags)))] = strings.Repeat("v", 256)
	}
	var grants []*storagev1.Grant
	for range 100 {
		grants = append(grants, &storagev1.Grant{
			Grantee:    strings.Repeat("g", 256),
			Permission: storagev1.Grant_PERMISSION_READ,
		})
	}
	var lifecycle []*storagev1.LifecycleRule
	for range 1000 {
		lifecycle = append(lifecycle, &storagev1.LifecycleRule{
			Id:     strings.Repeat("i", 40),
			Prefix: strings.Repeat("p", 50), Enabled: true, ExpireDays: 30,
		})
	}
	whole := &storagev1.BucketSpec{
		Policy: strings.Repeat(" ", 20<<10), CorsRules: rules(63 << 10), Tags: tags, Grants: grants,
		LifecycleRules: lifecycle,
	}
	before := w.state.Revision()
	b := w.must("acme", w.s.Bucket(), &storagev1.Bucket{Name: "buckets/whole", Spec: whole}).(*storagev1.Bucket)
	w.publish("acme", w.s.Bucket(), "buckets/whole", before)
	value, err := w.read("org/acme", PublishedBucket, "buckets/whole")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(value); n > w.s.Bucket().RecordLimit() || n > kind.MaxRecord || n < 200<<10 {
		t.Errorf("the largest bucket is published in %d octets, at most %d", n, w.s.Bucket().RecordLimit())
	}
	if !proto.Equal(b.Spec, whole) {
		t.Error("it is not what was asked for")
	}
	for field, spec := range map[string]*storagev1.BucketSpec{
		"spec.corsRules": {CorsRules: rules(90 << 10)},
		"spec.policy":    {Policy: strings.Repeat("é", 11<<10)},
		"spec.tags":      {Tags: map[string]string{"k": strings.Repeat("é", 13<<10)}},
		"spec.lifecycleRules": {LifecycleRules: append(lifecycle,
			&storagev1.LifecycleRule{Prefix: strings.Repeat("p", 20<<10)})},
	} {
		_, err := w.put("acme", w.s.Bucket(), &storagev1.Bucket{Name: "buckets/large", Spec: spec}, admit.Options{})
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), field) || !strings.Contains(err.Error(),
			"at most") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
