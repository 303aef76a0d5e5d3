package s3

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func TestBucketsComeAndGo(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	for _, name := range []string{"bbb", "aaa", "ccc"} {
		ok(c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: &name}))(t)
	}
	_, err := c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("aaa")})
	wantCode(t, err, "BucketAlreadyOwnedByYou")
	_, err = s.client("AKOTHER").CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("aaa")})
	wantCode(t, err, "BucketAlreadyExists")
	_, err = c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("Bad_Name")})
	wantCode(t, err, "InvalidBucketName")
	_, err = c.CreateBucket(t.Context(), &awss3.CreateBucketInput{
		Bucket:                    aws.String("ddd"),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "mars-1"},
	})
	wantCode(t, err, "InvalidLocationConstraint")
	list := ok(c.ListBuckets(t.Context(), &awss3.ListBucketsInput{}))(t)
	if len(list.Buckets) != 3 || *list.Buckets[0].Name != "aaa" || list.ContinuationToken != nil {
		t.Fatalf("%+v", list)
	}
	page := ok(c.ListBuckets(t.Context(), &awss3.ListBucketsInput{MaxBuckets: aws.Int32(2)}))(t)
	next := ok(c.ListBuckets(t.Context(), &awss3.ListBucketsInput{
		MaxBuckets:        aws.Int32(2),
		ContinuationToken: page.ContinuationToken,
	}))(t)
	if len(page.Buckets) != 2 || len(next.Buckets) != 1 || *next.Buckets[0].Name != "ccc" ||
		next.ContinuationToken != nil {
		t.Fatalf("%+v then %+v", page, next)
	}
	if n := len(ok(s.client("AKOTHER").ListBuckets(t.Context(), &awss3.ListBucketsInput{}))(t).Buckets); n != 0 {
		t.Fatalf("another organization sees %d buckets", n)
	}
	ok(c.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: aws.String("bbb")}))(t)
	_, err = c.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: aws.String("bbb")})
	wantCode(t, err, "NotFound")
	s.mu.Lock()
	s.mu.down = true
	s.mu.Unlock()
	_, err = c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("eee")})
	wantCode(t, err, "ServiceUnavailable")
	put(t, c, "aaa", "k", []byte("the control plane is dead"))
	if got := get(t, c, "aaa", "k"); len(got) == 0 {
		t.Fatal("nothing")
	}
}

func TestConfigurationIsReadBackAsItWasWritten(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	box := aws.String("box")
	ctx := t.Context()

	_, err := c.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: box})
	wantCode(t, err, "NoSuchBucketPolicy")
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::other:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]}`
	ok(c.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: box, Policy: &policy}))(t)
	if got := ok(c.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: box}))(t); *got.Policy != policy {
		t.Fatal(*got.Policy)
	}
	if got := ok(c.GetBucketPolicyStatus(ctx,
		&awss3.GetBucketPolicyStatusInput{Bucket: box}))(t); *got.PolicyStatus.IsPublic {
		t.Fatal("it is no public policy")
	}
	_, err = c.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{
		Bucket: box,
		Policy: aws.String(strings.Replace(policy, `{"AWS":"arn:aws:iam::other:root"}`, `"*"`, 1)),
	})
	wantCode(t, err, "AccessDenied")
	_, err = c.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: box, Policy: aws.String("{")})
	wantCode(t, err, "MalformedPolicy")
	ok(c.DeleteBucketPolicy(ctx, &awss3.DeleteBucketPolicyInput{Bucket: box}))(t)

	if got := ok(c.GetPublicAccessBlock(ctx,
		&awss3.GetPublicAccessBlockInput{Bucket: box}))(t); !*got.PublicAccessBlockConfiguration.BlockPublicAcls {
		t.Fatal("new buckets block public access")
	}
	ok(c.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{
		Bucket:                         box,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)},
	}))(t)
	if got := ok(c.GetPublicAccessBlock(ctx,
		&awss3.GetPublicAccessBlockInput{Bucket: box}))(t); *got.PublicAccessBlockConfiguration.BlockPublicPolicy {
		t.Fatal("it was turned off")
	}
	ok(c.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{
		Bucket:                         box,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(false)},
	}))(t)
	if got := ok(c.GetPublicAccessBlock(ctx,
		&awss3.GetPublicAccessBlockInput{Bucket: box}))(t); *got.PublicAccessBlockConfiguration.BlockPublicAcls {
		t.Fatal("all of it was turned off")
	}
	ok(c.DeletePublicAccessBlock(ctx, &awss3.DeletePublicAccessBlockInput{Bucket: box}))(t)
	_, err = c.GetPublicAccessBlock(ctx, &awss3.GetPublicAccessBlockInput{Bucket: box})
	wantCode(t, err, "NoSuchPublicAccessBlockConfiguration")
	ok(c.DeletePublicAccessBlock(ctx, &awss3.DeletePublicAccessBlockInput{Bucket: box}))(t)
	if spec := s.mu.buckets["box"].GetSpec(); len(ValidateBucketSpec(spec, "box")) > 0 ||
		spec.GetPublicAccessBlock() == nil {
		t.Fatalf("%v", spec)
	}
	spec := &storagev1.BucketSpec{PublicAccessBlock: &storagev1.PublicAccessBlock{None: true, BlockPublicAcls: true}}
	if bad := ValidateBucketSpec(spec, "box"); len(bad) != 1 {
		t.Fatalf("none and some: %v", bad)
	}
	_, err = c.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{
		Bucket: box,
		Policy: aws.String(strings.Replace(policy, `{"AWS":"arn:aws:iam::other:root"}`, `"*"`, 1)),
	})
	wantCode(t, err, "") // nothing blocks it
	ok(c.DeleteBucketPolicy(ctx, &awss3.DeleteBucketPolicyInput{Bucket: box}))(t)
	ok(c.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{
		Bucket:                         box,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: aws.Bool(true)},
	}))(t)
	if got := ok(c.GetPublicAccessBlock(ctx,
		&awss3.GetPublicAccessBlockInput{Bucket: box}))(t); !*got.PublicAccessBlockConfiguration.BlockPublicAcls {
		t.Fatal("it was turned on again")
	}

	_, err = c.GetBucketCors(ctx, &awss3.GetBucketCorsInput{Bucket: box})
	wantCode(t, err, "NoSuchCORSConfiguration")
	ok(c.PutBucketCors(ctx, &awss3.PutBucketCorsInput{
		Bucket: box,
		CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{
			{
				AllowedMethods: []string{"GET", "PUT"}, AllowedOrigins: []string{"https://*.example.com"},
				AllowedHeaders: []string{"*"}, MaxAgeSeconds: aws.Int32(60),
			},
		}},
	}))(t)
	if got := ok(c.GetBucketCors(ctx, &awss3.GetBucketCorsInput{Bucket: box}))(t); len(got.CORSRules) != 1 ||
		*got.CORSRules[0].MaxAgeSeconds != 60 {
		t.Fatalf("%+v", got.CORSRules)
	}
	preflight(t, s, "https://a.example.com", http.StatusOK)
	preflight(t, s, "https://example.org", http.StatusForbidden)
	ok(c.DeleteBucketCors(ctx, &awss3.DeleteBucketCorsInput{Bucket: box}))(t)

	ok(c.PutBucketLifecycleConfiguration(ctx, &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: box,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
			{
				ID: aws.String("r"), Status: types.ExpirationStatusEnabled,
				Filter:     &types.LifecycleRuleFilter{Prefix: aws.String("logs/")},
				Expiration: &types.LifecycleExpiration{Days: aws.Int32(3)},
			},
		}},
	}))(t)
	if got := ok(c.GetBucketLifecycleConfiguration(ctx,
		&awss3.GetBucketLifecycleConfigurationInput{Bucket: box}))(t); *got.Rules[0].Expiration.Days != 3 {
		t.Fatalf("%+v", got.Rules)
	}
	if out := put(t, c, "box", "logs/1", []byte("x")); !strings.Contains(aws.ToString(out.Expiration), `rule-id="r"`) {
		t.Fatalf("expiration %q", aws.ToString(out.Expiration))
	}
	// A rule without an ID is given one, and is what was signed nevertheless (s3cmd expire).
	ok(c.PutBucketLifecycleConfiguration(ctx, &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: box,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{
			{
				Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("a/")},
				Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
			},
			{
				Status: types.ExpirationStatusDisabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("b/")},
				Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
			},
		}},
	}))(t)
	if got := ok(c.GetBucketLifecycleConfiguration(ctx,
		&awss3.GetBucketLifecycleConfigurationInput{Bucket: box}))(t); len(got.Rules) != 2 ||
		aws.ToString(got.Rules[0].ID) == "" || *got.Rules[0].ID == aws.ToString(got.Rules[1].ID) {
		t.Errorf("rules without IDs: %+v", got.Rules)
	}
	ok(c.DeleteBucketLifecycle(ctx, &awss3.DeleteBucketLifecycleInput{Bucket: box}))(t)

	ok(c.PutBucketTagging(ctx, &awss3.PutBucketTaggingInput{
		Bucket:  box,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}},
	}))(t)
	if got := ok(c.GetBucketTagging(ctx, &awss3.GetBucketTaggingInput{Bucket: box}))(t); len(got.TagSet) != 1 {
		t.Fatalf("%+v", got.TagSet)
	}
	ok(c.DeleteBucketTagging(ctx, &awss3.DeleteBucketTaggingInput{Bucket: box}))(t)
	_, err = c.GetBucketTagging(ctx, &awss3.GetBucketTaggingInput{Bucket: box})
	wantCode(t, err, "NoSuchTagSet")

	enc := func(a types.ServerSideEncryption, key *string) error {
		_, err := c.PutBucketEncryption(ctx, &awss3.PutBucketEncryptionInput{
			Bucket: box,
			ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
				Rules: []types.ServerSideEncryptionRule{{
					ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
						SSEAlgorithm: a, KMSMasterKeyID: key,
					},
				}},
			},
		})
		return err
	}
	wantCode(t, enc(types.ServerSideEncryptionAwsKms, aws.String("nope")), "InvalidArgument")
	wantCode(t, enc(types.ServerSideEncryptionAwsKms, aws.String(testARN)), "")
	if out := put(t, c, "box", "k", []byte("x")); aws.ToString(out.SSEKMSKeyId) != testARN {
		t.Fatalf("%+v", out)
	}
	ok(c.DeleteBucketEncryption(ctx, &awss3.DeleteBucketEncryptionInput{Bucket: box}))(t)
	got := ok(c.GetBucketEncryption(ctx, &awss3.GetBucketEncryptionInput{Bucket: box}))(t)
	rule := got.ServerSideEncryptionConfiguration.Rules[0]
	if rule.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
		t.Fatalf("%+v", got)
	}
	ok(c.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: box}))(t)
	ok(c.GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: box}))(t)
	ok(c.GetBucketLogging(ctx, &awss3.GetBucketLoggingInput{Bucket: box}))(t)
	ok(c.GetBucketAccelerateConfiguration(ctx, &awss3.GetBucketAccelerateConfigurationInput{Bucket: box}))(t)
	ok(c.GetBucketRequestPayment(ctx, &awss3.GetBucketRequestPaymentInput{Bucket: box}))(t)
	payer := func(p types.Payer) error {
		_, err := c.PutBucketRequestPayment(ctx, &awss3.PutBucketRequestPaymentInput{
			Bucket: box, RequestPaymentConfiguration: &types.RequestPaymentConfiguration{Payer: p},
		})
		return err
	}
	wantCode(t, payer(types.PayerRequester), "NotImplemented")
	if err := payer(types.PayerBucketOwner); err != nil {
		t.Error(err)
	}
	ok(c.GetBucketNotificationConfiguration(ctx, &awss3.GetBucketNotificationConfigurationInput{Bucket: box}))(t)
	_, err = c.GetBucketWebsite(ctx, &awss3.GetBucketWebsiteInput{Bucket: box})
	wantCode(t, err, "NoSuchWebsiteConfiguration")
	_, err = c.GetBucketReplication(ctx, &awss3.GetBucketReplicationInput{Bucket: box})
	wantCode(t, err, "ReplicationConfigurationNotFoundError")
	_, err = c.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: box})
	wantCode(t, err, "ObjectLockConfigurationNotFoundError")
}

func preflight(t testing.TB, s *testServer, origin string, want int) {
	t.Helper()
	r := ok(http.NewRequest(http.MethodOptions, s.URL+"/box/k", nil))(t)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", "PUT")
	resp := ok(s.Client().Do(r))(t)
	defer resp.Body.Close()
	if resp.StatusCode != want || want == http.StatusOK && resp.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Fatalf("%s: %d, %v", origin, resp.StatusCode, resp.Header)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	s := newServer(t)
	mine, other := s.client("AKACME"), s.client("AKOTHER")
	s.bucket(t, "box", &storagev1.BucketSpec{
		PublicAccessBlock: &storagev1.PublicAccessBlock{},
		Policy: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"other"},"Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::box/shared/*","arn:aws:s3:::box"]},
			{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/public/*"},
			{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::box/secret/*"}]}`,
	})
	for _, k := range []string{"shared/1", "public/1", "private/1"} {
		put(t, mine, "box", k, []byte(k))
	}
	_, err := mine.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("secret/1")})
	wantCode(t, err, "AccessDenied")
	get(t, other, "box", "shared/1")
	_, err = other.GetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: aws.String("box"),
		Key:    aws.String("private/1"),
	})
	wantCode(t, err, "AccessDenied")
	_, err = other.GetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: aws.String("box"),
		Key:    aws.String("shared/none"),
	})
	wantCode(t, err, "NoSuchKey")
	for path, want := range map[string]int{
		"/box/public/1": 200, "/box/shared/1": 403, "/box/public/none": 403,
		"/box": 403, "/": 403,
	} {
		resp := ok(s.Client().Get(s.URL + path))(t)
		b := ok(io.ReadAll(resp.Body))(t)
		resp.Body.Close()
		if resp.StatusCode != want || want == 403 && !strings.Contains(string(b), "<Code>AccessDenied</Code>") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	}
	s.swap(t, s.accessKey("AKREAD", "acme", &storagev1.Scope{
		Actions:   []string{"read"},
		Resources: []string{"box", "box/shared/*"},
	}))
	reader := s.client("AKREAD")
	get(t, reader, "box", "shared/1")
	ok(reader.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")}))(t)
	_, err = reader.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("box"),
		Key:    aws.String("shared/1"),
	})
	wantCode(t, err, "AccessDenied")
	s.denied.Store("accesskey:AKREAD", true)
	_, err = reader.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")})
	wantCode(t, err, "InvalidAccessKeyId")
}

func TestACLsCountWhereOwnershipSaysSo(t *testing.T) {
	s := newServer(t)
	c, other := s.client("AKACME"), s.client("AKOTHER")
	s.bucket(t, "acl-off", nil)
	s.bucket(t, "acl-on", &storagev1.BucketSpec{
		Ownership:         storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER,
		PublicAccessBlock: &storagev1.PublicAccessBlock{},
	})
	_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("acl-off"), Key: aws.String("k"),
		ACL: types.ObjectCannedACLPublicRead,
	})
	wantCode(t, err, "AccessControlListNotSupported")
	ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("acl-off"), Key: aws.String("k"),
		ACL: types.ObjectCannedACLBucketOwnerFullControl,
	}))(t)
	ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("acl-on"), Key: aws.String("k"),
		ACL: types.ObjectCannedACLPublicRead,
	}))(t)
	get(t, other, "acl-on", "k")
	if got := ok(c.GetObjectAcl(t.Context(), &awss3.GetObjectAclInput{
		Bucket: aws.String("acl-on"),
		Key:    aws.String("k"),
	}))(t); len(got.Grants) != 2 {
		t.Fatalf("%+v", got.Grants)
	}
	ok(c.PutObjectAcl(t.Context(), &awss3.PutObjectAclInput{
		Bucket: aws.String("acl-on"), Key: aws.String("k"),
		ACL: types.ObjectCannedACLPrivate,
	}))(t)
	_, err = other.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("acl-on"), Key: aws.String("k")})
	wantCode(t, err, "AccessDenied")
	ok(c.PutBucketAcl(t.Context(), &awss3.PutBucketAclInput{
		Bucket: aws.String("acl-on"),
		ACL:    types.BucketCannedACLPublicReadWrite,
	}))(t)
	put(t, other, "acl-on", "theirs", []byte("x"))
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("acl-on"), Key: aws.String("theirs")})
	wantCode(t, err, "AccessDenied")
	list := ok(c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{
		Bucket:     aws.String("acl-on"),
		FetchOwner: aws.Bool(true),
	}))(t)
	if *list.Contents[1].Owner.DisplayName != "other" || *list.Contents[0].Owner.DisplayName != "acme" {
		t.Fatalf("%+v", list.Contents)
	}
}

func TestTagsOfObjects(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	before := put(t, c, "box", "k", []byte("x"))
	ok(c.PutObjectTagging(t.Context(), &awss3.PutObjectTaggingInput{
		Bucket: aws.String("box"), Key: aws.String("k"),
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}},
	}))(t)
	if got := ok(c.GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{
		Bucket: aws.String("box"),
		Key:    aws.String("k"),
	}))(t); len(got.TagSet) != 1 {
		t.Fatalf("%+v", got)
	}
	head := ok(c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("k")}))(t)
	if aws.ToInt32(head.TagCount) != 1 || *head.ETag != *before.ETag {
		t.Fatalf("%+v", head)
	}
	ok(c.DeleteObjectTagging(t.Context(), &awss3.DeleteObjectTaggingInput{
		Bucket: aws.String("box"),
		Key:    aws.String("k"),
	}))(t)
	if got := ok(c.GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{
		Bucket: aws.String("box"),
		Key:    aws.String("k"),
	}))(t); len(got.TagSet) != 0 {
		t.Fatalf("%+v", got)
	}
}

func TestAttributesOfObjects(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	put(t, c, "box", "k", []byte("abc"))
	got := ok(c.GetObjectAttributes(t.Context(), &awss3.GetObjectAttributesInput{
		Bucket: aws.String("box"), Key: aws.String("k"),
		ObjectAttributes: []types.ObjectAttributes{
			types.ObjectAttributesEtag, types.ObjectAttributesObjectSize,
			types.ObjectAttributesChecksum, types.ObjectAttributesStorageClass,
		},
	}))(t)
	if *got.ObjectSize != 3 || got.Checksum.ChecksumCRC32 == nil || got.StorageClass != types.StorageClassStandard {
		t.Fatalf("%+v", got)
	}
}

// TestAStrangersPolicyAllowsNoConfiguration: a bucket that lets another organization do
// everything lets it neither configure nor delete the bucket, nor read its policy, and the
// bucket stays open to writes.
func TestAStrangersPolicyAllowsNoConfiguration(t *testing.T) {
	s := newServer(t)
	mine, other := s.client("AKACME"), s.client("AKOTHER")
	s.bucket(t, "box", &storagev1.BucketSpec{Policy: `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"other"},"Action":"s3:*","Resource":["arn:aws:s3:::box/*","arn:aws:s3:::box"]}]}`})
	box := aws.String("box")
	for range 2 {
		_, err := other.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: box})
		wantCode(t, err, "AccessDenied")
		put(t, mine, "box", "k", []byte("x"))
		ok(mine.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: aws.String("k")}))(t)
	}
	_, err := other.GetBucketPolicy(t.Context(), &awss3.GetBucketPolicyInput{Bucket: box})
	wantCode(t, err, "MethodNotAllowed")
	_, err = other.GetBucketPolicyStatus(t.Context(), &awss3.GetBucketPolicyStatusInput{Bucket: box})
	wantCode(t, err, "MethodNotAllowed")
	_, err = other.PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: box, Policy: aws.String("{}")})
	wantCode(t, err, "MethodNotAllowed")
	_, err = other.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket:                  box,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	wantCode(t, err, "AccessDenied")
	ok(other.GetBucketVersioning(t.Context(), &awss3.GetBucketVersioningInput{Bucket: box}))(t)
	ok(mine.GetBucketPolicy(t.Context(), &awss3.GetBucketPolicyInput{Bucket: box}))(t)
	mfa := s.raw(t, "PUT", "/box?versioning",
		[]byte("<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>"))
	if mfa.code() != "NotImplemented" || strings.Contains(mfa.body, "<Header>") ||
		!strings.Contains(mfa.body, "MfaDelete") {
		t.Errorf("%+v", mfa)
	}
	ok(mine.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: box}))(t)
}

// TestAReplacedObjectIsJudgedAgain: between the decision about an object and the change of
// it, or the reading of its body, another object came to lie at its key.
func TestAReplacedObjectIsJudgedAgain(t *testing.T) {
	var replace func() // once, when the store is asked for the second time
	s := newServer(t, func(c *Config) { c.Store = &replaced{Store: c.Store, replace: &replace} })
	c, other := s.client("AKACME"), s.client("AKOTHER")
	s.bucket(t, "acl-on", &storagev1.BucketSpec{
		Ownership:         storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER,
		PublicAccessBlock: &storagev1.PublicAccessBlock{},
	})
	key := func() (bucket, key *string) { return aws.String("acl-on"), aws.String("k") }
	b, k := key()
	grant := aws.String(`id="` + policy.CanonicalID("other") + `"`)
	for name, ask := range map[string]func() error{
		"amend": func() error {
			_, err := other.PutObjectAcl(t.Context(), &awss3.PutObjectAclInput{
				Bucket: b, Key: k,
				ACL: types.ObjectCannedACLPublicRead,
			})
			return err
		},
		"read": func() error {
			_, err := other.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: b, Key: k})
			return err
		},
	} {
		body := strings.Repeat("x", store.InlineSize+1)
		ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: b, Key: k, Body: strings.NewReader(body),
			GrantFullControl: grant,
		}))(t)
		replace = func() { put(t, c, "acl-on", "k", []byte("secret")) }
		wantCode(t, ask(), "AccessDenied")
		if replace != nil {
			t.Errorf("%s: nothing was replaced meanwhile", name)
		}
	}
}

// replaced is a store in which something happens between a request's first look and its
// second.
type replaced struct {
	Store
	replace *func()
	asked   int
}

func (r *replaced) At(p store.Placement) (*store.Space, error) {
	if f := *r.replace; f != nil {
		if r.asked++; r.asked == 2 {
			r.asked, *r.replace = 0, nil
			f()
		}
	}
	return r.Store.At(p)
}

// TestTheControlPlaneSaysWhetherADocumentMayBeUnsigned: it knows what the access key may, and
// its reason reaches the client.
func TestTheControlPlaneSaysWhetherADocumentMayBeUnsigned(t *testing.T) {
	s := newServer(t)
	s.swap(t, s.accessKey(looseKey, "acme"))
	s.bucket(t, "box", nil)
	doc := []byte(`<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`)
	send := func(id string) answer {
		r := ok(http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/box?tagging", bytes.NewReader(doc)))(t)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		s.signAs(t, id, r, nil)
		return s.do(t, r)
	}
	if a := send("AKACME"); a.status != 403 || a.code() != "AccessDenied" ||
		!strings.Contains(a.body, "does not cover the body") {
		t.Errorf("%+v", a)
	}
	if b, _ := s.h.View().Bucket("box"); len(b.Spec.GetTags()) != 0 {
		t.Errorf("it has tags: %v", b.Spec)
	}
	if a := send(looseKey); a.status/100 != 2 {
		t.Errorf("%+v", a)
	}
	if b, _ := s.h.View().Bucket("box"); b.Spec.GetTags()["a"] != "b" {
		t.Errorf("it has no tags: %v", b.Spec)
	}
}
