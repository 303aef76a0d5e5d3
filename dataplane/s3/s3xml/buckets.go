package s3xml

import (
	"time"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// BucketEntry is a bucket in a listing.
type BucketEntry struct {
	Name    string
	Created time.Time
	Region  string // empty leaves it out, as AWS does where the request has no paging
}

// ListBuckets answers ListBuckets.
type ListBuckets struct {
	Owner             Owner
	Buckets           []BucketEntry
	Prefix            string
	ContinuationToken string // where the next page begins; empty on the last
}

// Append appends the document.
func (l *ListBuckets) Append(b []byte) []byte {
	w := writer{b}
	w.root("ListAllMyBucketsResult")
	w.owner("Owner", &l.Owner)
	w.open("Buckets")
	for _, e := range l.Buckets {
		w.open("Bucket")
		w.text("Name", e.Name)
		w.time("CreationDate", e.Created)
		w.optional("BucketRegion", e.Region)
		w.close("Bucket")
	}
	w.close("Buckets")
	w.optional("ContinuationToken", l.ContinuationToken)
	w.optional("Prefix", l.Prefix)
	w.close("ListAllMyBucketsResult")
	return w.b
}

// AppendLocation appends the document of GetBucketLocation; us-east-1 is the empty one.
func AppendLocation(b []byte, region string) []byte {
	if region == "us-east-1" {
		region = ""
	}
	w := writer{b}
	w.root("LocationConstraint")
	w.b = appendEscaped(w.b, region)
	w.close("LocationConstraint")
	return w.b
}

// AppendVersioning appends the document of GetBucketVersioning; that of a bucket that was
// never versioned has no Status.
func AppendVersioning(b []byte, v storagev1.BucketSpec_Versioning) []byte {
	w := writer{b}
	w.root("VersioningConfiguration")
	switch v {
	case storagev1.BucketSpec_VERSIONING_ENABLED:
		w.text("Status", "Enabled")
	case storagev1.BucketSpec_VERSIONING_SUSPENDED:
		w.text("Status", "Suspended")
	}
	w.close("VersioningConfiguration")
	return w.b
}

// AppendPolicyStatus appends the document of GetBucketPolicyStatus.
func AppendPolicyStatus(b []byte, public bool) []byte {
	w := writer{b}
	w.root("PolicyStatus")
	w.boolean("IsPublic", public)
	w.close("PolicyStatus")
	return w.b
}

// AppendPublicAccessBlock appends the document of GetPublicAccessBlock.
func AppendPublicAccessBlock(b []byte, p *storagev1.PublicAccessBlock) []byte {
	w := writer{b}
	w.root("PublicAccessBlockConfiguration")
	w.boolean("BlockPublicAcls", p.GetBlockPublicAcls())
	w.boolean("IgnorePublicAcls", p.GetIgnorePublicAcls())
	w.boolean("BlockPublicPolicy", p.GetBlockPublicPolicy())
	w.boolean("RestrictPublicBuckets", p.GetRestrictPublicBuckets())
	w.close("PublicAccessBlockConfiguration")
	return w.b
}

// Ownership settings by their names at AWS.
var ownerships = map[string]storagev1.BucketSpec_Ownership{
	"BucketOwnerEnforced":  storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED,
	"BucketOwnerPreferred": storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_PREFERRED,
	"ObjectWriter":         storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER,
}

// OwnershipName is AWS's name of a setting; what is not set is BucketOwnerEnforced.
func OwnershipName(o storagev1.BucketSpec_Ownership) string {
	for name, v := range ownerships {
		if v == o {
			return name
		}
	}
	return "BucketOwnerEnforced"
}

// ParseOwnership reads AWS's name of a setting, as the header x-amz-object-ownership has it.
func ParseOwnership(s string) (storagev1.BucketSpec_Ownership, error) {
	if o, ok := ownerships[s]; ok {
		return o, nil
	}
	return 0, Argument("Invalid x-amz-object-ownership header: "+s, "x-amz-object-ownership", s)
}

// AppendOwnership appends the document of GetBucketOwnershipControls.
func AppendOwnership(b []byte, o storagev1.BucketSpec_Ownership) []byte {
	w := writer{b}
	w.root("OwnershipControls")
	w.open("Rule")
	w.text("ObjectOwnership", OwnershipName(o))
	w.close("Rule")
	w.close("OwnershipControls")
	return w.b
}

// AppendEncryption appends the document of GetBucketEncryption. For SSE-KMS, keyARN is the
// key's; empty means SSE-S3.
func AppendEncryption(b []byte, keyARN string, bucketKey bool) []byte {
	w := writer{b}
	w.root("ServerSideEncryptionConfiguration")
	w.open("Rule")
	w.open("ApplyServerSideEncryptionByDefault")
	if keyARN == "" {
		w.text("SSEAlgorithm", "AES256")
	} else {
		w.text("SSEAlgorithm", "aws:kms")
		w.text("KMSMasterKeyID", keyARN)
	}
	w.close("ApplyServerSideEncryptionByDefault")
	w.boolean("BucketKeyEnabled", bucketKey)
	w.close("Rule")
	w.close("ServerSideEncryptionConfiguration")
	return w.b
}

// AppendRequestPayment appends the document of GetBucketRequestPayment: the owner pays.
func AppendRequestPayment(b []byte) []byte {
	w := writer{b}
	w.root("RequestPaymentConfiguration")
	w.text("Payer", "BucketOwner")
	w.close("RequestPaymentConfiguration")
	return w.b
}

// AppendLogging appends the document of GetBucketLogging of a bucket that logs to no bucket.
func AppendLogging(b []byte) []byte {
	w := writer{b}
	w.root("BucketLoggingStatus")
	w.close("BucketLoggingStatus")
	return w.b
}
