package sigv4

// Part is a part of a bucket's configuration.
type Part struct {
	// Get, Put and Delete are the actions that policies and scopes call its methods; empty
	// where S3 has no such method.
	Get, Put, Delete string
	// Fields of a Bucket that it is about, as an update mask names them.
	Fields []string
	// MaxBody is how many octets its document may have.
	MaxBody int
}

const (
	maxDocument = 1 << 20
	maxPolicy   = 20 << 10 // AWS's bound of a bucket policy
)

// Parts of a bucket's configuration by the query parameter that picks them.
var Parts = map[string]Part{
	"acl": {
		"s3:GetBucketAcl", "s3:PutBucketAcl", "",
		[]string{"spec.grants", "spec.empty_acl"},
		maxDocument,
	},
	"cors": {
		"s3:GetBucketCORS", "s3:PutBucketCORS", "s3:PutBucketCORS",
		[]string{"spec.cors_rules"},
		maxDocument,
	},
	"encryption": {
		"s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration",
		"s3:PutEncryptionConfiguration",
		[]string{"spec.encryption"},
		maxDocument,
	},
	"lifecycle": {
		"s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration",
		"s3:PutLifecycleConfiguration",
		[]string{"spec.lifecycle_rules"},
		maxDocument,
	},
	"ownershipControls": {
		"s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls",
		"s3:PutBucketOwnershipControls",
		[]string{"spec.ownership"},
		maxDocument,
	},
	"policy": {
		"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy",
		[]string{"spec.policy"},
		maxPolicy,
	},
	"publicAccessBlock": {
		"s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock",
		"s3:PutBucketPublicAccessBlock",
		[]string{"spec.public_access_block"},
		maxDocument,
	},
	"tagging": {
		"s3:GetBucketTagging", "s3:PutBucketTagging", "s3:PutBucketTagging",
		[]string{"spec.tags"},
		maxDocument,
	},
	"versioning": {"s3:GetBucketVersioning", "s3:PutBucketVersioning", "", []string{"spec.versioning"}, maxDocument},
}

// Actions on a bucket as a whole.
const (
	CreateBucket = "s3:CreateBucket"
	DeleteBucket = "s3:DeleteBucket"
)

// Action is what a method needs; empty where there is no such method.
func (p Part) Action(method string) string {
	switch method {
	case "GET":
		return p.Get
	case "PUT":
		return p.Put
	case "DELETE":
		return p.Delete
	}
	return ""
}
