package s3xml

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// wire answers each request with one document and keeps what was sent.
type wire struct {
	status int
	answer []byte
	sent   []byte
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		w.sent, _ = io.ReadAll(r.Body)
	}
	return &http.Response{
		StatusCode: w.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(w.answer)),
		Request: r,
	}, nil
}

func (w *wire) client() *s3.Client {
	return s3.New(s3.Options{
		Region: "r", BaseEndpoint: aws.String("http://s3.invalid"), UsePathStyle: true, HTTPClient: w,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "s"}, nil
		}),
	})
}

// answered gives a client that hears one document.
func answered(doc []byte) *s3.Client { return (&wire{status: 200, answer: doc}).client() }

var b, k = aws.String("b"), aws.String("k")

// TestTheSDKReadsListings: what the AWS SDK makes of each listing.
func TestTheSDKReadsListings(t *testing.T) {
	ctx := t.Context()
	l, err := answered(listing(3, false).Append(nil)).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b})
	if err != nil || len(l.Contents) != 3 || *l.Contents[1].Key != "a/year=2026/month=11/photo 000001 & more.jpg" ||
		*l.Contents[1].ETag != `"0123456789abcdef0123456789abcdef"` || *l.Contents[2].Size != 2048 ||
		!l.Contents[0].LastModified.Equal(when) ||
		l.Contents[0].ChecksumType != "FULL_OBJECT" || *l.NextContinuationToken != "tok" || !*l.IsTruncated ||
		*l.Contents[0].Owner.DisplayName != "acme" {
		t.Errorf("ListObjectsV2: %+v, %v", l, err)
	}
	buckets := ListBuckets{
		Owner: Owner{ID: "o"}, Buckets: []BucketEntry{{"b1", when, "r"}}, Prefix: "b",
		ContinuationToken: "t",
	}
	lb, err := answered(buckets.Append(nil)).ListBuckets(ctx, &s3.ListBucketsInput{})
	if err != nil || *lb.Buckets[0].Name != "b1" || *lb.Buckets[0].BucketRegion != "r" ||
		*lb.ContinuationToken != "t" || *lb.Prefix != "b" || *lb.Owner.ID != "o" {
		t.Errorf("ListBuckets: %+v, %v", lb, err)
	}
	uploads := ListUploads{
		Bucket: "b", KeyMarker: "km", NextKeyMarker: "nk", NextUploadMarker: "nu", MaxUploads: 5, Truncated: true,
		Delimiter: "/",
		Uploads: []Upload{{
			Key: []byte("k"), UploadID: "u", Initiator: Owner{ID: "i"}, Owner: Owner{ID: "o"},
			Initiated: when, Algorithm: "CRC32C", Composite: true,
		}},
		CommonPrefixes: [][]byte{[]byte("x/")},
	}
	lu, err := answered(uploads.Append(nil)).ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: b})
	if err != nil || *lu.Uploads[0].UploadId != "u" || *lu.Uploads[0].Initiator.ID != "i" ||
		lu.Uploads[0].ChecksumType != "COMPOSITE" ||
		*lu.NextKeyMarker != "nk" || *lu.NextUploadIdMarker != "nu" || *lu.CommonPrefixes[0].Prefix != "x/" {
		t.Errorf("ListMultipartUploads: %+v, %v", lu, err)
	}
	parts := ListParts{
		Bucket: "b", Key: "k", UploadID: "u", Owner: Owner{ID: "o"}, Marker: 1, NextMarker: 2, MaxParts: 1,
		Truncated: true, Algorithm: "SHA1",
		Parts: []PartEntry{{Number: 2, LastModified: when, ETag: "e", Size: 5, Checksum: Checksum{
			Algorithm: "SHA1",
			Sum:       make([]byte, 20),
		}}},
	}
	lp, err := answered(parts.Append(nil)).ListParts(ctx, &s3.ListPartsInput{Bucket: b, Key: k, UploadId: k})
	if err != nil || *lp.Parts[0].PartNumber != 2 || *lp.Parts[0].ChecksumSHA1 == "" ||
		*lp.NextPartNumberMarker != "2" || lp.ChecksumAlgorithm != "SHA1" {
		t.Errorf("ListParts: %+v, %v", lp, err)
	}
}

// TestTheSDKReadsResults: what the AWS SDK makes of the answers about objects.
func TestTheSDKReadsResults(t *testing.T) {
	ctx := t.Context()
	sum := Checksum{Algorithm: "CRC32", Sum: []byte{1, 2, 3, 4}, Parts: 3}
	in, err := answered((&Initiated{"b", "k&", "u"}).Append(nil)).CreateMultipartUpload(ctx,
		&s3.CreateMultipartUploadInput{Bucket: b, Key: k})
	if err != nil || *in.UploadId != "u" || *in.Key != "k&" {
		t.Errorf("CreateMultipartUpload: %+v, %v", in, err)
	}
	done := Completed{Location: "http://x/b/k", Bucket: "b", Key: "k", ETag: "e-3", Checksum: sum}
	c, err := answered(done.Append(nil)).CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: b,
		Key:    k, UploadId: k,
	})
	if err != nil || *c.ETag != `"e-3"` || *c.ChecksumCRC32 != "AQIDBA==-3" || c.ChecksumType != "COMPOSITE" {
		t.Errorf("CompleteMultipartUpload: %+v, %v", c, err)
	}
	cp, err := answered((&Copied{LastModified: when, ETag: "e", Checksum: Checksum{
		Algorithm: "CRC64NVME",
		Sum:       make([]byte, 8),
	}}).Append(nil)).
		CopyObject(ctx, &s3.CopyObjectInput{Bucket: b, Key: k, CopySource: k})
	if err != nil || *cp.CopyObjectResult.ETag != `"e"` || *cp.CopyObjectResult.ChecksumCRC64NVME == "" ||
		cp.CopyObjectResult.ChecksumType != "FULL_OBJECT" {
		t.Errorf("CopyObject: %+v, %v", cp, err)
	}
	pc, err := answered((&Copied{Part: true, LastModified: when, ETag: "e"}).Append(nil)).
		UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: b, Key: k, CopySource: k, PartNumber: aws.Int32(1),
			UploadId: k,
		})
	if err != nil || *pc.CopyPartResult.ETag != `"e"` {
		t.Errorf("UploadPartCopy: %+v, %v", pc, err)
	}
	res := DeleteResult{Results: []Deleted{
		{Key: "a", Marker: true, MarkerVersionID: "m"},
		{Key: "x", VersionID: "v", Err: New(AccessDenied)},
	}}
	d, err := answered(res.Append(nil)).DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: b,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: k}}},
	})
	if err != nil || *d.Deleted[0].DeleteMarkerVersionId != "m" || *d.Errors[0].Code != "AccessDenied" ||
		*d.Errors[0].VersionId != "v" {
		t.Errorf("DeleteObjects: %+v, %v", d, err)
	}
	if res.Quiet = true; bytes.Contains(res.Append(nil), []byte("<Deleted>")) {
		t.Error("a quiet answer names what was deleted")
	}
	size := int64(9)
	at := Attributes{ETag: "e", Checksum: sum, Size: &size, StorageClass: "STANDARD", Parts: &AttributeParts{
		Total: 3,
		Max:   1000, NextMarker: 1, Parts: []AttributePart{{1, 5, sum}},
	}}
	a, err := answered(at.Append(nil)).GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{
		Bucket: b, Key: k,
		ObjectAttributes: []types.ObjectAttributes{"ETag"},
	})
	if err != nil || *a.ETag != "e" || *a.ObjectSize != 9 || *a.ObjectParts.TotalPartsCount != 3 ||
		*a.ObjectParts.Parts[0].Size != 5 || *a.Checksum.ChecksumCRC32 == "" {
		t.Errorf("GetObjectAttributes: %+v, %v", a, err)
	}
}

// TestTheSDKAndTheParsersAgree: the SDK writes a configuration, the parser reads it, the
// writer writes it, the SDK reads the same again.
func TestTheSDKAndTheParsersAgree(t *testing.T) {
	ctx := t.Context()
	w := &wire{status: 200}
	c := w.client()

	rules := []types.CORSRule{
		{
			ID: aws.String("1"), AllowedOrigins: []string{"https://*.x"}, AllowedMethods: []string{"GET", "PUT"},
			AllowedHeaders: []string{"*"}, ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(60),
		},
		{AllowedOrigins: []string{"*"}, AllowedMethods: []string{"HEAD"}},
	}
	_, err := c.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket:            b,
		CORSConfiguration: &types.CORSConfiguration{CORSRules: rules},
	})
	cors, perr := ParseCORS(w.sent)
	w.answer = AppendCORS(nil, cors)
	got, gerr := c.GetBucketCors(ctx, &s3.GetBucketCorsInput{Bucket: b})
	if err != nil || perr != nil || gerr != nil || len(got.CORSRules) != 2 || *got.CORSRules[0].MaxAgeSeconds != 60 ||
		got.CORSRules[0].AllowedOrigins[0] != "https://*.x" || got.CORSRules[1].MaxAgeSeconds != nil {
		t.Errorf("CORS: %v %v %v: %+v", err, perr, gerr, got)
	}

	lifecycle := []*storagev1.LifecycleRule{
		{Id: "a", Enabled: true, Prefix: "p/", LegacyPrefix: true, ExpireDays: 3},
		{
			Id: "b", Prefix: "q/", Tags: map[string]string{"x": "1", "y": "2"}, SizeGreaterThan: 5, SizeLessThan: 10,
			ExpireDate: timestamppb.New(when.Truncate(24 * 3600e9)),
		},
		{
			Id: "c", Enabled: true, NoncurrentDays: 4, NewerNoncurrentVersions: 2, AbortUploadDays: 7,
			ExpireDeleteMarkers: true,
		},
		{Id: "d", Enabled: true, SizeGreaterThan: 1, ExpireDays: 1},
		{Id: "e", Enabled: true, Tags: map[string]string{"t": ""}, ExpireDays: 1},
	}
	w.answer = AppendLifecycle(nil, lifecycle)
	lc, err := c.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: b})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
		Bucket:                 b,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: lc.Rules},
	})
	back, perr := ParseLifecycle(w.sent)
	if err != nil || perr != nil || len(back) != len(lifecycle) {
		t.Fatalf("lifecycle: %v %v\n%s", err, perr, w.sent)
	}
	for i := range back {
		if !proto.Equal(back[i], lifecycle[i]) {
			t.Errorf("lifecycle rule came back as %v, was %v", back[i], lifecycle[i])
		}
	}
}

// TestTheSDKAndTheParsersAgreeOnACLs likewise.
func TestTheSDKAndTheParsersAgreeOnACLs(t *testing.T) {
	ctx, w := t.Context(), &wire{status: 200}
	c := w.client()
	id := strings.Repeat("0f", 32)
	grants := []*storagev1.Grant{
		{Grantee: id, Permission: storagev1.Grant_PERMISSION_FULL_CONTROL},
		{Grantee: AllUsers, Permission: storagev1.Grant_PERMISSION_READ},
	}
	w.answer = AppendACL(nil, Owner{id, "acme"}, grants, nil)
	acl, err := c.GetBucketAcl(ctx, &s3.GetBucketAclInput{Bucket: b})
	if err != nil || *acl.Grants[0].Grantee.DisplayName != "acme" || acl.Grants[1].Grantee.Type != "Group" {
		t.Fatalf("%+v, %v", acl, err)
	}
	_, err = c.PutBucketAcl(ctx, &s3.PutBucketAclInput{
		Bucket:              b,
		AccessControlPolicy: &types.AccessControlPolicy{Owner: acl.Owner, Grants: acl.Grants},
	})
	back, perr := ParseACL(w.sent)
	if err != nil || perr != nil || back.Owner != id || len(back.Grants) != 2 ||
		!proto.Equal(back.Grants[1], grants[1]) {
		t.Fatalf("%v %v %+v\n%s", err, perr, back, w.sent)
	}
}

// TestTheSDKAndTheParsersAgreeOnTheRest: the small documents.
func TestTheSDKAndTheParsersAgreeOnTheRest(t *testing.T) {
	ctx, w := t.Context(), &wire{status: 200}
	c := w.client()
	check := func(what string, ok bool, errs ...error) {
		t.Helper()
		for _, err := range errs {
			ok = ok && err == nil
		}
		if !ok {
			t.Errorf("%s: %v\nsent %s\nanswer %s", what, errs, w.sent, w.answer)
		}
	}

	_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  b,
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Suspended"},
	})
	v, perr := ParseVersioning(w.sent)
	w.answer = AppendVersioning(nil, v)
	gv, gerr := c.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: b})
	check("versioning", gv.Status == "Suspended", err, perr, gerr)

	_, err = c.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
		Bucket: b, Key: k,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: k, Value: aws.String("v @")}}},
	})
	tags, perr := ParseTagging(w.sent, MaxObjectTags)
	w.answer = AppendTagging(nil, tags)
	gt, gerr := c.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: b, Key: k})
	check("tagging", len(gt.TagSet) == 1 && *gt.TagSet[0].Value == "v @", err, perr, gerr)

	_, err = c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: b,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls:       aws.Bool(true),
			RestrictPublicBuckets: aws.Bool(true),
		},
	})
	pab, perr := ParsePublicAccessBlock(w.sent)
	w.answer = AppendPublicAccessBlock(nil, pab)
	gp, gerr := c.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: b})
	check("public access block", *gp.PublicAccessBlockConfiguration.BlockPublicAcls &&
		!*gp.PublicAccessBlockConfiguration.IgnorePublicAcls, err, perr, gerr)

	_, err = c.PutBucketOwnershipControls(ctx, &s3.PutBucketOwnershipControlsInput{
		Bucket: b,
		OwnershipControls: &types.OwnershipControls{
			Rules: []types.OwnershipControlsRule{{ObjectOwnership: "ObjectWriter"}},
		},
	})
	o, perr := ParseOwnershipControls(w.sent)
	w.answer = AppendOwnership(nil, o)
	gownership, gerr := c.GetBucketOwnershipControls(ctx, &s3.GetBucketOwnershipControlsInput{Bucket: b})
	check("ownership", gownership.OwnershipControls.Rules[0].ObjectOwnership == "ObjectWriter", err, perr, gerr)

	_, err = c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket: b,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{
				BucketKeyEnabled: aws.Bool(true),
				ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
					SSEAlgorithm:   "aws:kms",
					KMSMasterKeyID: aws.String("arn:x"),
				},
			}},
		},
	})
	e, perr := ParseEncryption(w.sent)
	w.answer = AppendEncryption(nil, e.KMSKey, e.BucketKey)
	ge, gerr := c.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: b})
	check("encryption",
		*ge.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.KMSMasterKeyID == "arn:x",
		err, perr, gerr)

	_, err = c.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket:                    b,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-x"},
	})
	cb, perr := ParseCreateBucket(w.sent)
	w.answer = AppendLocation(nil, cb.Region)
	gl, gerr := c.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: b})
	check("location", gl.LocationConstraint == "eu-x", err, perr, gerr)

	w.answer = AppendPolicyStatus(nil, true)
	ps, gerr := c.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: b})
	check("policy status", *ps.PolicyStatus.IsPublic, gerr)

	w.answer = AppendRequestPayment(nil)
	rp, gerr := c.GetBucketRequestPayment(ctx, &s3.GetBucketRequestPaymentInput{Bucket: b})
	check("request payment", rp.Payer == "BucketOwner", gerr)
}

// TestTheSDKReadsErrors with their code, text and status; what the code is on HEAD, which
// has no body, is the SDK's own business.
func TestTheSDKReadsErrors(t *testing.T) {
	e := New(NoSuchKey, "Key", "a<b").Because(errors.New("inner"))
	e.RequestID, e.HostID = "RID", "HID"
	w := &wire{status: e.HTTPStatus(), answer: AppendError(nil, e)}
	_, err := w.client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: b, Key: k})
	var gone *types.NoSuchKey
	if !errors.As(err, &gone) || gone.ErrorMessage() != "The specified key does not exist." {
		t.Errorf("%v", err)
	}
	checkDocument(t, w.answer, "<Error><Code>NoSuchKey</Code><Message>The specified key does not "+
		"exist.</Message><Key>a&lt;b</Key><RequestId>RID</RequestId><HostId>HID</HostId></Error>")
	if strings.Contains(string(w.answer), "inner") {
		t.Error("the cause is told to the client")
	}
}

// TestTheSDKWritesWhatTheParsersRead: requests about objects.
func TestTheSDKWritesWhatTheParsersRead(t *testing.T) {
	w := &wire{status: 200}
	c := w.client()
	_, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: b,
		Delete: &types.Delete{Quiet: aws.Bool(true), Objects: []types.ObjectIdentifier{
			{
				Key: aws.String("a&\n\r b"), VersionId: aws.String("v"), ETag: aws.String(`"e"`), Size: aws.Int64(4),
				LastModifiedTime: &when,
			}, {Key: aws.String("z")},
		}},
	})
	d, perr := ParseDelete(w.sent)
	if err != nil || perr != nil || !d.Quiet || len(d.Objects) != 2 || d.Objects[0].Key != "a&\n\r b" ||
		d.Objects[0].ETag != "e" ||
		*d.Objects[0].Size != 4 || !d.Objects[0].LastModified.Equal(when.Truncate(time.Second)) ||
		d.Objects[1].Size != nil {
		t.Errorf("%v %v %+v\n%s", err, perr, d, w.sent)
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: b, Key: k, UploadId: k,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
			{PartNumber: aws.Int32(1), ETag: aws.String(`"e1"`), ChecksumCRC32: aws.String("AQIDBA==")},
			{PartNumber: aws.Int32(10000), ETag: aws.String("e2")},
		}},
	})
	parts, perr := ParseComplete(w.sent)
	if err != nil || perr != nil || len(parts) != 2 || parts[0].ETag != "e1" ||
		!bytes.Equal(parts[0].Checksums["CRC32"], []byte{1, 2, 3, 4}) || parts[1].Number != 10000 {
		t.Errorf("%v %v %+v\n%s", err, perr, parts, w.sent)
	}
}
