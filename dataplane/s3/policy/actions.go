package policy

// The actions that operations here need, by their names at AWS ("Actions, resources, and
// condition keys for Amazon S3").
const (
	ListAllMyBuckets = "s3:ListAllMyBuckets"

	CreateBucket                     = "s3:CreateBucket"
	DeleteBucket                     = "s3:DeleteBucket"
	ListBucket                       = "s3:ListBucket"
	ListBucketVersions               = "s3:ListBucketVersions"
	ListBucketMultipartUploads       = "s3:ListBucketMultipartUploads"
	GetBucketLocation                = "s3:GetBucketLocation"
	GetBucketVersioning              = "s3:GetBucketVersioning"
	PutBucketVersioning              = "s3:PutBucketVersioning"
	GetBucketPolicy                  = "s3:GetBucketPolicy"
	PutBucketPolicy                  = "s3:PutBucketPolicy"
	DeleteBucketPolicy               = "s3:DeleteBucketPolicy"
	GetBucketPolicyStatus            = "s3:GetBucketPolicyStatus"
	GetBucketPublicAccessBlock       = "s3:GetBucketPublicAccessBlock"
	PutBucketPublicAccessBlock       = "s3:PutBucketPublicAccessBlock"
	GetBucketOwnershipControls       = "s3:GetBucketOwnershipControls"
	PutBucketOwnershipControls       = "s3:PutBucketOwnershipControls"
	GetBucketAcl                     = "s3:GetBucketAcl"
	PutBucketAcl                     = "s3:PutBucketAcl"
	GetBucketCORS                    = "s3:GetBucketCORS"
	PutBucketCORS                    = "s3:PutBucketCORS"
	GetLifecycleConfiguration        = "s3:GetLifecycleConfiguration"
	PutLifecycleConfiguration        = "s3:PutLifecycleConfiguration"
	GetEncryptionConfiguration       = "s3:GetEncryptionConfiguration"
	PutEncryptionConfiguration       = "s3:PutEncryptionConfiguration"
	GetBucketTagging                 = "s3:GetBucketTagging"
	PutBucketTagging                 = "s3:PutBucketTagging"
	GetBucketRequestPayment          = "s3:GetBucketRequestPayment"
	PutBucketRequestPayment          = "s3:PutBucketRequestPayment"
	GetBucketLogging                 = "s3:GetBucketLogging"
	PutBucketLogging                 = "s3:PutBucketLogging"
	GetAccelerateConfiguration       = "s3:GetAccelerateConfiguration"
	PutAccelerateConfiguration       = "s3:PutAccelerateConfiguration"
	GetBucketNotification            = "s3:GetBucketNotification"
	PutBucketNotification            = "s3:PutBucketNotification"
	GetBucketWebsite                 = "s3:GetBucketWebsite"
	PutBucketWebsite                 = "s3:PutBucketWebsite"
	DeleteBucketWebsite              = "s3:DeleteBucketWebsite"
	GetReplicationConfiguration      = "s3:GetReplicationConfiguration"
	PutReplicationConfiguration      = "s3:PutReplicationConfiguration"
	GetBucketObjectLockConfiguration = "s3:GetBucketObjectLockConfiguration"
	PutBucketObjectLockConfiguration = "s3:PutBucketObjectLockConfiguration"

	GetObject                  = "s3:GetObject"
	GetObjectVersion           = "s3:GetObjectVersion"
	PutObject                  = "s3:PutObject"
	DeleteObject               = "s3:DeleteObject"
	DeleteObjectVersion        = "s3:DeleteObjectVersion"
	GetObjectAttributes        = "s3:GetObjectAttributes"
	GetObjectVersionAttributes = "s3:GetObjectVersionAttributes"
	AbortMultipartUpload       = "s3:AbortMultipartUpload"
	ListMultipartUploadParts   = "s3:ListMultipartUploadParts"
	GetObjectTagging           = "s3:GetObjectTagging"
	GetObjectVersionTagging    = "s3:GetObjectVersionTagging"
	PutObjectTagging           = "s3:PutObjectTagging"
	PutObjectVersionTagging    = "s3:PutObjectVersionTagging"
	DeleteObjectTagging        = "s3:DeleteObjectTagging"
	DeleteObjectVersionTagging = "s3:DeleteObjectVersionTagging"
	GetObjectAcl               = "s3:GetObjectAcl"
	GetObjectVersionAcl        = "s3:GetObjectVersionAcl"
	PutObjectAcl               = "s3:PutObjectAcl"
	PutObjectVersionAcl        = "s3:PutObjectVersionAcl"
)

// level is what an action is done to.
type level uint8

const (
	ofService level = iota
	ofBucket
	ofObject
)

// actions has what a policy may name: the above, and those of AWS that nothing here does.
var actions = map[string]level{
	ListAllMyBuckets: ofService,

	CreateBucket:                     ofBucket,
	DeleteBucket:                     ofBucket,
	ListBucket:                       ofBucket,
	ListBucketVersions:               ofBucket,
	ListBucketMultipartUploads:       ofBucket,
	GetBucketLocation:                ofBucket,
	GetBucketVersioning:              ofBucket,
	PutBucketVersioning:              ofBucket,
	GetBucketPolicy:                  ofBucket,
	PutBucketPolicy:                  ofBucket,
	DeleteBucketPolicy:               ofBucket,
	GetBucketPolicyStatus:            ofBucket,
	GetBucketPublicAccessBlock:       ofBucket,
	PutBucketPublicAccessBlock:       ofBucket,
	GetBucketOwnershipControls:       ofBucket,
	PutBucketOwnershipControls:       ofBucket,
	GetBucketAcl:                     ofBucket,
	PutBucketAcl:                     ofBucket,
	GetBucketCORS:                    ofBucket,
	PutBucketCORS:                    ofBucket,
	GetLifecycleConfiguration:        ofBucket,
	PutLifecycleConfiguration:        ofBucket,
	GetEncryptionConfiguration:       ofBucket,
	PutEncryptionConfiguration:       ofBucket,
	GetBucketTagging:                 ofBucket,
	PutBucketTagging:                 ofBucket,
	GetBucketRequestPayment:          ofBucket,
	PutBucketRequestPayment:          ofBucket,
	GetBucketLogging:                 ofBucket,
	PutBucketLogging:                 ofBucket,
	GetAccelerateConfiguration:       ofBucket,
	PutAccelerateConfiguration:       ofBucket,
	GetBucketNotification:            ofBucket,
	PutBucketNotification:            ofBucket,
	GetBucketWebsite:                 ofBucket,
	PutBucketWebsite:                 ofBucket,
	DeleteBucketWebsite:              ofBucket,
	GetReplicationConfiguration:      ofBucket,
	PutReplicationConfiguration:      ofBucket,
	GetBucketObjectLockConfiguration: ofBucket,
	PutBucketObjectLockConfiguration: ofBucket,

	"s3:GetAnalyticsConfiguration":                       ofBucket,
	"s3:PutAnalyticsConfiguration":                       ofBucket,
	"s3:GetIntelligentTieringConfiguration":              ofBucket,
	"s3:PutIntelligentTieringConfiguration":              ofBucket,
	"s3:GetInventoryConfiguration":                       ofBucket,
	"s3:PutInventoryConfiguration":                       ofBucket,
	"s3:GetMetricsConfiguration":                         ofBucket,
	"s3:PutMetricsConfiguration":                         ofBucket,
	"s3:ListTagsForResource":                             ofBucket,
	"s3:TagResource":                                     ofBucket,
	"s3:UntagResource":                                   ofBucket,
	"s3:CreateBucketMetadataTableConfiguration":          ofBucket,
	"s3:GetBucketMetadataTableConfiguration":             ofBucket,
	"s3:DeleteBucketMetadataTableConfiguration":          ofBucket,
	"s3:UpdateBucketMetadataJournalTableConfiguration":   ofBucket,
	"s3:UpdateBucketMetadataInventoryTableConfiguration": ofBucket,
	"s3:GetBucketAbac":                                   ofBucket,
	"s3:PutBucketAbac":                                   ofBucket,

	GetObject:                  ofObject,
	GetObjectVersion:           ofObject,
	PutObject:                  ofObject,
	DeleteObject:               ofObject,
	DeleteObjectVersion:        ofObject,
	GetObjectAttributes:        ofObject,
	GetObjectVersionAttributes: ofObject,
	AbortMultipartUpload:       ofObject,
	ListMultipartUploadParts:   ofObject,
	GetObjectTagging:           ofObject,
	GetObjectVersionTagging:    ofObject,
	PutObjectTagging:           ofObject,
	PutObjectVersionTagging:    ofObject,
	DeleteObjectTagging:        ofObject,
	DeleteObjectVersionTagging: ofObject,
	GetObjectAcl:               ofObject,
	GetObjectVersionAcl:        ofObject,
	PutObjectAcl:               ofObject,
	PutObjectVersionAcl:        ofObject,

	"s3:BypassGovernanceRetention":        ofObject,
	"s3:GetObjectLegalHold":               ofObject,
	"s3:PutObjectLegalHold":               ofObject,
	"s3:GetObjectRetention":               ofObject,
	"s3:PutObjectRetention":               ofObject,
	"s3:GetObjectTorrent":                 ofObject,
	"s3:GetObjectVersionTorrent":          ofObject,
	"s3:GetObjectVersionForReplication":   ofObject,
	"s3:InitiateReplication":              ofObject,
	"s3:ObjectOwnerOverrideToBucketOwner": ofObject,
	"s3:ReplicateDelete":                  ofObject,
	"s3:ReplicateObject":                  ofObject,
	"s3:ReplicateTags":                    ofObject,
	"s3:RestoreObject":                    ofObject,
	"s3:UpdateObjectEncryption":           ofObject,
}
