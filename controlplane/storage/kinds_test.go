package storage

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func bucket(name string, spec *storagev1.BucketSpec) *storagev1.Bucket {
	return &storagev1.Bucket{Name: "buckets/" + name, Spec: spec}
}

func two(t *testing.T) *world {
	w := newWorld(t)
	w.organization("acme", nil)
	w.organization("other", nil)
	w.edge("e1", nil)
	w.edge("e2", nil)
	return w
}

func TestNamesOfBuckets(t *testing.T) {
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"abc", true},
		{"my.bucket-1", true},
		{"1234", true},
		{strings.Repeat("a", 63), true},
		{"1.2.3.4.5", true},
		{"ab", false},
		{strings.Repeat("a", 64), false},
		{"Abc", false},
		{"a_c", false},
		{"a..c", false},
		{".abc", false},
		{"abc-", false},
		{"-abc", false},
		{"192.168.5.4", false},
		{"xn--abc", false},
		{"sthree-abc", false},
		{"amzn-s3-demo-x", false},
		{"abc-s3alias", false},
		{"abc--ol-s3", false},
		{"abc.mrap", false},
		{"abc--x-s3", false},
		{"abc--table-s3", false},
		{"a\x00c", false},
		{"bücher", false},
	} {
		if err := bucketName(c.name); (err == nil) != c.ok {
			t.Errorf("%q: %v, want ok %v", c.name, err, c.ok)
		}
	}
}

// TestNamesBelongToTheInstallation: one organization's bucket keeps its name from all
// others, and the two refusals are told apart.
func TestNamesBelongToTheInstallation(t *testing.T) {
	w := two(t)
	w.must("acme", w.s.Bucket(), bucket("photos", nil))
	_, err := w.put("acme", w.s.Bucket(), bucket("photos", nil), admit.Options{MustNotExist: true})
	if !errs.Is(err, errs.Conflict) || admit.ReasonOf(err) != admit.ReasonExists {
		t.Errorf("again: %v (%s)", err, admit.ReasonOf(err))
	}
	_, err = w.put("other", w.s.Bucket(), bucket("photos", nil), admit.Options{MustNotExist: true})
	if !errs.Is(err, errs.Conflict) || admit.ReasonOf(err) != admit.ReasonTaken {
		t.Errorf("another organization: %v (%s)", err, admit.ReasonOf(err))
	}
	for _, name := range []string{"Photos", "photos.", "photos/x", ".photos"} {
		if _, err := w.put("other", w.s.Bucket(), bucket(name, nil), admit.Options{}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := w.delete("other", w.s.Bucket(), "buckets/photos"); !errs.Is(err, errs.NotFound) {
		t.Errorf("another organization deletes: %v", err)
	}
	if err := w.delete("acme", w.s.Bucket(), "buckets/photos"); err != nil {
		t.Fatal(err)
	}
	w.must("other", w.s.Bucket(), bucket("photos", nil))
}

func TestABucketKeepsIdentityPlaceAndVersioning(t *testing.T) {
	w := two(t)
	b := w.must("acme", w.s.Bucket(), bucket("photos", nil)).(*storagev1.Bucket)
	if len(b.Status.Id) != 16 || b.Status.Placement.GetCell() == "" || b.Status.Placement.Generation != 1 ||
		len(b.Status.Keys) != 1 {
		t.Fatalf("%v", b.Status)
	}
	other := map[string]string{"e1": "e2", "e2": "e1"}[b.Status.Placement.Cell]
	for _, c := range []struct {
		spec *storagev1.BucketSpec
		bad  string
	}{
		{&storagev1.BucketSpec{Cell: other}, "spec.cell"},
		{&storagev1.BucketSpec{Region: "elsewhere"}, "spec.region"},
		{&storagev1.BucketSpec{Region: "us-east-1"}, "spec.region"},
		{&storagev1.BucketSpec{Region: "dark"}, ""},
		{&storagev1.BucketSpec{Cell: b.Status.Placement.Cell}, ""},
		{&storagev1.BucketSpec{Versioning: storagev1.BucketSpec_VERSIONING_ENABLED}, ""},
		{&storagev1.BucketSpec{}, "spec.versioning"},
		{&storagev1.BucketSpec{Versioning: storagev1.BucketSpec_VERSIONING_SUSPENDED}, ""},
		{&storagev1.BucketSpec{
			Versioning: storagev1.BucketSpec_VERSIONING_SUSPENDED,
			Encryption: &storagev1.Encryption{EncryptionKey: "encryptionkeys/none"},
		}, "spec.encryption.encryptionKey"},
	} {
		out, err := w.put("acme", w.s.Bucket(), bucket("photos", c.spec), admit.Options{MustExist: true})
		if c.bad == "" && err != nil || c.bad != "" && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(),
			c.bad)) {
			t.Errorf("%v: %v, want %q", c.spec, err, c.bad)
		}
		if err == nil && !proto.Equal(out.(*storagev1.Bucket).Status, b.Status) {
			t.Errorf("%v: another status: %v", c.spec, out)
		}
	}
	if err := w.delete("acme", w.s.Bucket(), "buckets/photos"); err != nil {
		t.Fatal(err)
	}
	again := w.must("acme", w.s.Bucket(), bucket("photos", nil)).(*storagev1.Bucket)
	if bytes.Equal(again.Status.Id, b.Status.Id) || bytes.Equal(again.Status.Keys[0].Sealed, b.Status.Keys[0].Sealed) {
		t.Error("a bucket that was made again has the identity or the key of the first")
	}
}

func TestPlacementFollowsTheOrganizationAndSpreads(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", map[string]string{"site": "a"})
	w.organization("nowhere", map[string]string{"site": "z"})
	for _, e := range []string{"a1", "a2", "a3"} {
		w.edge(e, map[string]string{"site": "a"})
	}
	w.edge("b1", map[string]string{"site": "b"})
	kept := map[string]int{}
	for i := range 30 {
		b := w.must("acme", w.s.Bucket(), bucket("photos-"+string(rune('a'+i%26))+string(rune('a'+i/26)),
			nil)).(*storagev1.Bucket)
		kept[b.Status.Placement.Cell]++
	}
	if kept["a1"] != 10 || kept["a2"] != 10 || kept["a3"] != 10 {
		t.Errorf("%v", kept)
	}
	if _, err := w.put("acme", w.s.Bucket(), bucket("asked", &storagev1.BucketSpec{Cell: "b1"}),
		admit.Options{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("outside of the placement: %v", err)
	}
	if b := w.must("acme", w.s.Bucket(), bucket("asked",
		&storagev1.BucketSpec{Cell: "a2"})).(*storagev1.Bucket); b.Status.Placement.Cell != "a2" {
		t.Errorf("%v", b.Status)
	}
	if _, err := w.put("nowhere", w.s.Bucket(), bucket("lost", nil), admit.Options{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("without an edge: %v", err)
	}
	w.s.o.Keeps = func(edge string) bool { return edge == "a3" }
	if b := w.must("acme", w.s.Bucket(), bucket("chosen", nil)).(*storagev1.Bucket); b.Status.Placement.Cell != "a3" {
		t.Errorf("an edge without a store was chosen: %v", b.Status)
	}
	if _, err := w.put("acme", w.s.Bucket(), bucket("storeless", &storagev1.BucketSpec{Cell: "a1"}),
		admit.Options{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an edge without a store was taken: %v", err)
	}
}

func TestAnAccessKeyShowsItsSecretOnce(t *testing.T) {
	w := two(t)
	k := w.must("acme", w.s.AccessKey(), &storagev1.AccessKey{Name: "accesskeys/one"}).(*storagev1.AccessKey)
	id, secret := k.Status.AccessKeyId, k.Status.SecretAccessKey
	if len(id) != 20 || !strings.HasPrefix(id, "DK") || strings.Trim(id, base32) != "" || len(secret) != 40 ||
		strings.Trim(secret, base62) != "" {
		t.Fatalf("%q %q", id, secret)
	}
	m, _, err := w.view(0).Get(t.Context(), accessKeyKind, "acme", "accesskeys/one")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := proto.Marshal(m)
	if err != nil || bytes.Contains(stored, []byte(secret)) {
		t.Fatalf("the state holds the secret: %v", err)
	}
	if got, err := w.s.Secret(m.(*storagev1.AccessKey)); err != nil || got != secret {
		t.Fatalf("%q, %v", got, err)
	}
	admit.HideSecrets(w.s.AccessKey(), m)
	if a := m.(*storagev1.AccessKey); a.Status.SealedSecret != nil || a.Status.AccessKeyId != id {
		t.Errorf("shown: %v", a)
	}
	if v, _, err := w.state.Meta(identity.AccessKeyMeta(id)); err != nil || string(v) != "acme\x00accesskeys/one" {
		t.Errorf("index %q, %v", v, err)
	}
	// A change keeps ID and secret, and answers without it.
	k2 := w.must("acme", w.s.AccessKey(), &storagev1.AccessKey{
		Name: "accesskeys/one",
		Spec: &storagev1.AccessKeySpec{Description: "x"},
	}).(*storagev1.AccessKey)
	if k2.Status.AccessKeyId != id || k2.Status.SecretAccessKey != "" {
		t.Errorf("%v", k2)
	}
	past := &storagev1.AccessKey{
		Name: "accesskeys/past",
		Spec: &storagev1.AccessKeySpec{ExpireTime: timestamppb.New(w.now)},
	}
	if _, err := w.put("acme", w.s.AccessKey(), past, admit.Options{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("already over: %v", err)
	}
	if err := w.delete("acme", w.s.AccessKey(), "accesskeys/one"); err != nil {
		t.Fatal(err)
	}
	if v, _, _ := w.state.Meta(identity.AccessKeyMeta(id)); v != nil {
		t.Errorf("the index still has it: %q", v)
	}
}

func TestNobodyMakesAKeyThatDoesMore(t *testing.T) {
	w := two(t)
	for _, c := range []struct {
		permissions []string
		ok          bool
	}{
		{[]string{"storage:*"}, true},
		{[]string{"storage:read", "storage:write"}, true},
		{[]string{"storage:write"}, false},
		{[]string{"admin:*"}, true},
	} {
		ctx := identity.With(t.Context(), identity.Caller{
			Who: "key:x", Organization: "acme",
			Permissions: c.permissions,
		})
		r, err := w.state.At(0)
		if err != nil {
			t.Fatal(err)
		}
		tx := admit.NewTx(admit.NewView(r, nil), "acme", kind.Caller{Who: "key:x"}, w.now)
		_, err = tx.Put(ctx, w.s.AccessKey(), &storagev1.AccessKey{Name: "accesskeys/k"}, admit.Options{})
		if (err == nil) != c.ok {
			t.Errorf("%v: %v", c.permissions, err)
		}
	}
}

func TestEncryptionKeysRotateAndEnd(t *testing.T) {
	w := two(t)
	key := func(spec *storagev1.EncryptionKeySpec) (*storagev1.EncryptionKey, error) {
		m, err := w.put("acme", w.s.EncryptionKey(), &storagev1.EncryptionKey{Name: "encryptionkeys/main", Spec: spec},
			admit.Options{})
		k, _ := m.(*storagev1.EncryptionKey)
		return k, err
	}
	k, err := key(nil)
	if err != nil || k.Status.Arn != "arn:aws:kms:dark:acme:key/main" || len(k.Status.Keys) != 1 {
		t.Fatalf("%v, %v", k, err)
	}
	if k, err = key(&storagev1.EncryptionKeySpec{Rotation: 5}); err != nil || len(k.Status.Keys) != 2 ||
		k.Status.Keys[1].Version != 2 {
		t.Fatalf("%v, %v", k, err)
	}
	if _, err = key(&storagev1.EncryptionKeySpec{Rotation: 4}); !errs.Is(err, errs.Invalid) {
		t.Errorf("turned back: %v", err)
	}
	uses := bucket("photos",
		&storagev1.BucketSpec{Encryption: &storagev1.Encryption{EncryptionKey: "encryptionkeys/main"}})
	w.must("acme", w.s.Bucket(), uses)
	if _, err := w.put("other", w.s.Bucket(), bucket("theirs", uses.Spec), admit.Options{}); !errs.Is(err,
		errs.Invalid) {
		t.Errorf("another organization's key: %v", err)
	}
	if err := w.delete("acme", w.s.EncryptionKey(), "encryptionkeys/main"); !errs.Is(err, errs.Conflict) {
		t.Errorf("deleted while in use: %v", err)
	}
	if _, err = key(&storagev1.EncryptionKeySpec{Rotation: 5, Retired: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.put("acme", w.s.Bucket(), bucket("second", uses.Spec), admit.Options{}); !errs.Is(err,
		errs.Invalid) {
		t.Errorf("a retired key for a new bucket: %v", err)
	}
	spec := proto.Clone(uses.Spec).(*storagev1.BucketSpec)
	spec.RequestLog = true
	w.must("acme", w.s.Bucket(), bucket("photos", spec)) // what has it keeps it
}

// TestKeysOfBucketsRotate: a rise makes a version, which the bucket's edge is told and no
// other; what does not say rotates nothing, and nothing turns it back.
func TestKeysOfBucketsRotate(t *testing.T) {
	w := two(t)
	first := w.must("acme", w.s.Bucket(), bucket("photos", nil)).(*storagev1.Bucket)
	rotate := func(n uint32) (*storagev1.Bucket, error) {
		m, err := w.put("acme", w.s.Bucket(), bucket("photos", &storagev1.BucketSpec{KeyRotation: n}),
			admit.Options{MustExist: true})
		b, _ := m.(*storagev1.Bucket)
		return b, err
	}
	b, err := rotate(1)
	if err != nil || len(b.Status.Keys) != 2 || b.Status.Keys[1].Version != 2 || !proto.Equal(b.Status.Keys[0],
		first.Status.Keys[0]) {
		t.Fatalf("%v, %v", b, err)
	}
	w.publish("acme", w.s.Bucket(), "buckets/photos", 0)
	keys, err := w.keysOf(b.Status.Placement.Cell, "acme", "buckets/photos")
	if err != nil || len(keys.Keys) != 2 || keys.Keys[0].Version != 1 || keys.Keys[1].Version != 2 ||
		bytes.Equal(keys.Keys[0].Key, keys.Keys[1].Key) {
		t.Fatalf("%v", err)
	}
	other := map[string]string{"e1": "e2", "e2": "e1"}[b.Status.Placement.Cell]
	if _, err := w.keysOf(other, "acme", "buckets/photos"); err == nil {
		t.Error("another cell opens the keys")
	}
	if b, err = rotate(0); err != nil || b.Spec.KeyRotation != 1 || len(b.Status.Keys) != 2 {
		t.Errorf("what does not say: %v, %v", b, err)
	}
	if b, err = rotate(7); err != nil || len(b.Status.Keys) != 3 {
		t.Errorf("%v, %v", b, err)
	}
	if _, err = rotate(6); !errs.Is(err, errs.Invalid) {
		t.Errorf("turned back: %v", err)
	}
	for n := uint32(8); len(b.Status.Keys) < maxVersions; n++ {
		if b, err = rotate(n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = rotate(1000); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "200 versions") {
		t.Errorf("too many: %v", err)
	}
	admit.HideSecrets(w.s.Bucket(), b)
	if b.Status.Keys != nil {
		t.Error("keys are shown")
	}
}

func TestDaysOfSigningKeys(t *testing.T) {
	late := map[int64]bool{}
	for i := range 200 {
		id := "DK" + strings.Repeat(string(rune('A'+i%26)), 3) + string(rune('A'+i/26))
		start := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
		for m := range 24 * 60 {
			now := start.Add(time.Duration(m) * time.Minute)
			day := int64(sigv4.Day(now))
			d := today(id, now)
			if d != day && d != day-1 {
				t.Fatalf("%s at %v: day %d of %d", id, now, d, day)
			}
			// From -8 to +14 at each moment: 14 days of autonomy, and URLs of 7 days and a clock
			// that is a few minutes slow.
			if d-daysBefore > day-8 || d+daysAhead < day+14 {
				t.Fatalf("%s at %v: from %d to %d, today is %d", id, now, d-daysBefore, d+daysAhead, day)
			}
			if m > 0 && d != today(id, now.Add(-time.Minute)) {
				late[int64(m)] = true
			}
		}
	}
	if len(late) < 100 {
		t.Errorf("200 keys change their day in %d minutes only", len(late))
	}
}

// TestSigningKeyIsAmazons: the example of "Deriving the signing key" of the AWS General
// Reference.
func TestSigningKeyIsAmazons(t *testing.T) {
	keys := derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		int64(sigv4.Day(time.Date(2013, 5, 24, 12, 0, 0, 0, time.UTC))), []string{"us-east-1", "dark"})
	if len(keys.Keys) != 24*2 || keys.Keys[0].Day != keys.Keys[1].Day {
		t.Fatalf("%d keys", len(keys.Keys))
	}
	i := slices.IndexFunc(keys.Keys, func(k *storagev1.SigningKey) bool {
		return k.Region == "us-east-1" && k.Day == int32(15849)
	})
	want := sigv4.Derive("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", 15849, "us-east-1")
	if i < 0 || !bytes.Equal(keys.Keys[i].Key, want[:]) {
		t.Fatalf("no key of 20130524")
	}
	// The signature of "GET Object" in the S3 API reference, with that key.
	const toSign = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972"
	key := sigv4.Derive("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 15849, "us-east-1")
	if got := sigv4.Hex(sigv4.MAC(key[:],
		toSign)); got != "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" {
		t.Errorf("signature %s", got)
	}
}

// TestABucketThatHoldsObjectsIsDeletedByNameOnly: nor is one of which its edge says nothing.
func TestABucketThatHoldsObjectsIsDeletedByNameOnly(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	w.edge("e1", nil)
	count, known := uint64(3), true
	w.s.o.Objects = func(_ context.Context, organization, bucket, cell string) (uint64, bool) {
		if organization != "acme" || bucket != "buckets/full" || cell != "e1" {
			t.Errorf("%s %s %s was asked for", organization, bucket, cell)
		}
		return count, known
	}
	end := func(force string) error {
		return w.do("acme", func(ctx context.Context, tx *admit.Tx) error {
			_, err := tx.Delete(ctx, w.s.Bucket(), "full", admit.Options{Force: force})
			return err
		})
	}
	w.must("acme", w.s.Bucket(), &storagev1.Bucket{Name: "full"})
	if err := end(""); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "BucketNotEmpty") ||
		!strings.Contains(err.Error(), "--force full") {
		t.Errorf("a full one: %v", err)
	}
	if err := end("other"); !errs.Is(err, errs.Invalid) {
		t.Errorf("by another name: %v", err)
	}
	if known = false; !errs.Is(end(""), errs.Conflict) {
		t.Error("one of which nothing is known was deleted")
	}
	if err := end("full"); err != nil {
		t.Errorf("by name: %v", err)
	}
	w.must("acme", w.s.Bucket(), &storagev1.Bucket{Name: "full"})
	count, known = 0, true
	if err := end(""); err != nil {
		t.Errorf("an empty one: %v", err)
	}
}
