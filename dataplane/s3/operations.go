package s3

import (
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// Headers with conditions, by the writes that hold to them.
var (
	onWrite  = []string{"If-Match", "If-None-Match"}
	onDelete = []string{"If-Match", "X-Amz-If-Match-Last-Modified-Time", "X-Amz-If-Match-Size"}
	onAbort  = []string{"X-Amz-If-Match-Initiated-Time"}
	// conditions are all of them, and those that no write holds to.
	conditions = []string{
		"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
		"X-Amz-If-Match-Last-Modified-Time", "X-Amz-If-Match-Size", "X-Amz-If-Match-Initiated-Time",
	}
)

// The operations of the S3 API that are served.
var (
	opListBuckets = operation{
		name: "ListBuckets", action: "s3:ListAllMyBuckets", sort: lists,
		run: (*request).listBuckets,
	}

	opCreateBucket = operation{
		name: "CreateBucket", action: sigv4.CreateBucket, sort: writes,
		run: (*request).createBucket, create: true, open: true,
	}
	opDeleteBucket = operation{
		name: "DeleteBucket", action: sigv4.DeleteBucket, sort: writes,
		run: (*request).deleteBucket, owner: s3xml.AccessDenied,
	}
	opHeadBucket = operation{
		name: "HeadBucket", action: "s3:ListBucket", sort: reads, run: (*request).headBucket,
		open: true,
	}
	opLocation = operation{
		name: "GetBucketLocation", action: "s3:GetBucketLocation", sort: reads,
		run: (*request).getLocation,
	}

	opListObjects   = operation{name: "ListObjects", action: "s3:ListBucket", sort: lists, run: (*request).listObjects}
	opListObjectsV2 = operation{
		name: "ListObjectsV2", action: "s3:ListBucket", sort: lists,
		run: (*request).listObjectsV2,
	}
	opListVersions = operation{
		name: "ListObjectVersions", action: "s3:ListBucketVersions", sort: lists,
		run: (*request).listVersions,
	}
	opListUploads = operation{
		name: "ListMultipartUploads", action: "s3:ListBucketMultipartUploads", sort: lists,
		run: (*request).listUploads,
	}

	opDeleteObjects = operation{name: "DeleteObjects", sort: writes, run: (*request).deleteObjects, open: true}
	opPostObject    = operation{name: "PostObject", sort: writes, run: (*request).postObject, body: true, open: true}

	opPutObject = operation{
		name: "PutObject", action: "s3:PutObject", sort: writes, run: (*request).putObject,
		body: true, conditions: onWrite,
	}
	opCopyObject = operation{
		name: "CopyObject", action: "s3:PutObject", sort: writes, run: (*request).copyObject,
		conditions: onWrite,
	}
	opGetObject = operation{
		name: "GetObject", action: "s3:GetObject", version: "s3:GetObjectVersion", sort: reads,
		run: (*request).getObject,
	}
	opHeadObject = operation{
		name: "HeadObject", action: "s3:GetObject", version: "s3:GetObjectVersion", sort: reads,
		run: (*request).headObject,
	}
	opDeleteObject = operation{
		name: "DeleteObject", action: "s3:DeleteObject", version: "s3:DeleteObjectVersion",
		sort: writes, run: (*request).deleteObject, conditions: onDelete,
	}
	opGetAttributes = operation{
		name: "GetObjectAttributes", action: "s3:GetObjectAttributes",
		version: "s3:GetObjectVersionAttributes", sort: reads, run: (*request).getAttributes,
	}

	opCreateUpload = operation{
		name: "CreateMultipartUpload", action: "s3:PutObject", sort: writes,
		run: (*request).createUpload,
	}
	opUploadPart = operation{
		name: "UploadPart", action: "s3:PutObject", sort: writes, run: (*request).uploadPart,
		body: true,
	}
	opUploadPartCopy = operation{
		name: "UploadPartCopy", action: "s3:PutObject", sort: writes,
		run: (*request).uploadPartCopy,
	}
	opCompleteUpload = operation{
		name: "CompleteMultipartUpload", action: "s3:PutObject", sort: writes,
		run: (*request).completeUpload, conditions: onWrite,
	}
	opAbortUpload = operation{
		name: "AbortMultipartUpload", action: "s3:AbortMultipartUpload", sort: writes,
		run: (*request).abortUpload, conditions: onAbort,
	}
	opListParts = operation{
		name: "ListParts", action: "s3:ListMultipartUploadParts", sort: lists,
		run: (*request).listParts,
	}

	opGetTagging = operation{
		name: "GetObjectTagging", action: "s3:GetObjectTagging",
		version: "s3:GetObjectVersionTagging", sort: reads, run: (*request).getTagging,
	}
	opPutTagging = operation{
		name: "PutObjectTagging", action: "s3:PutObjectTagging",
		version: "s3:PutObjectVersionTagging", sort: writes, run: (*request).putTagging,
	}
	opDeleteTagging = operation{
		name: "DeleteObjectTagging", action: "s3:DeleteObjectTagging",
		version: "s3:DeleteObjectVersionTagging", sort: writes, run: (*request).deleteTagging,
	}
	opGetObjectACL = operation{
		name: "GetObjectAcl", action: "s3:GetObjectAcl", version: "s3:GetObjectVersionAcl",
		sort: reads, run: (*request).getObjectACL,
	}
	opPutObjectACL = operation{
		name: "PutObjectAcl", action: "s3:PutObjectAcl", version: "s3:PutObjectVersionAcl",
		sort: writes, run: (*request).putObjectACL,
	}
)

// routes says which operation answers what.
var routes = map[route]*operation{}

func init() {
	routes[route{ofService, http.MethodGet, ""}] = &opListBuckets
	routes[route{ofBucket, http.MethodPut, ""}] = &opCreateBucket
	routes[route{ofBucket, http.MethodDelete, ""}] = &opDeleteBucket
	routes[route{ofBucket, http.MethodHead, ""}] = &opHeadBucket
	routes[route{ofBucket, http.MethodGet, "location"}] = &opLocation
	routes[route{ofBucket, http.MethodGet, ""}] = &opListObjects
	routes[route{ofBucket, http.MethodGet, "list-type"}] = &opListObjectsV2
	routes[route{ofBucket, http.MethodGet, "versions"}] = &opListVersions
	routes[route{ofBucket, http.MethodGet, "uploads"}] = &opListUploads
	routes[route{ofBucket, http.MethodPost, "delete"}] = &opDeleteObjects
	routes[route{ofBucket, http.MethodPost, ""}] = &opPostObject
	routes[route{ofObject, http.MethodPut, ""}] = &opPutObject
	routes[route{ofObject, http.MethodGet, ""}] = &opGetObject
	routes[route{ofObject, http.MethodHead, ""}] = &opHeadObject
	routes[route{ofObject, http.MethodDelete, ""}] = &opDeleteObject
	routes[route{ofObject, http.MethodGet, "attributes"}] = &opGetAttributes
	routes[route{ofObject, http.MethodPost, "uploads"}] = &opCreateUpload
	routes[route{ofObject, http.MethodPut, "uploadId"}] = &opUploadPart
	routes[route{ofObject, http.MethodPost, "uploadId"}] = &opCompleteUpload
	routes[route{ofObject, http.MethodDelete, "uploadId"}] = &opAbortUpload
	routes[route{ofObject, http.MethodGet, "uploadId"}] = &opListParts
	routes[route{ofObject, http.MethodGet, "tagging"}] = &opGetTagging
	routes[route{ofObject, http.MethodPut, "tagging"}] = &opPutTagging
	routes[route{ofObject, http.MethodDelete, "tagging"}] = &opDeleteTagging
	routes[route{ofObject, http.MethodGet, "acl"}] = &opGetObjectACL
	routes[route{ofObject, http.MethodPut, "acl"}] = &opPutObjectACL
}

// part adds the operation of a part that is one of a Bucket's fields.
func part(method, sub, name string, run func(*request) error) {
	configure(method, sub, name, sigv4.Parts[sub].Action(method), run)
}

// configure adds the operation of one part of a bucket's configuration. The control plane
// takes changes only from the bucket's own organization, so that others are refused here,
// before anything is done. AWS lets no other account read or write a bucket's policy, and
// answers 405 to one that the policy itself allows to (API reference, GetBucketPolicy).
func configure(method, sub, name, action string, run func(*request) error) {
	op := &operation{name: name, action: action, sort: reads, run: run}
	if method != http.MethodGet {
		op.sort, op.owner = writes, s3xml.AccessDenied
	}
	if sub == "policy" || sub == "policyStatus" {
		op.owner = s3xml.MethodNotAllowed
	}
	routes[route{ofBucket, method, sub}] = op
}

func init() {
	const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete
	part(get, "versioning", "GetBucketVersioning", (*request).getVersioning)
	part(put, "versioning", "PutBucketVersioning", (*request).putVersioning)
	part(get, "policy", "GetBucketPolicy", (*request).getPolicy)
	part(put, "policy", "PutBucketPolicy", (*request).putPolicy)
	part(del, "policy", "DeleteBucketPolicy", (*request).deletePolicy)
	configure(get, "policyStatus", "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus", (*request).getPolicyStatus)
	part(get, "publicAccessBlock", "GetPublicAccessBlock", (*request).getPublicAccess)
	part(put, "publicAccessBlock", "PutPublicAccessBlock", (*request).putPublicAccess)
	part(del, "publicAccessBlock", "DeletePublicAccessBlock", (*request).deletePublicAccess)
	part(get, "ownershipControls", "GetBucketOwnershipControls", (*request).getOwnership)
	part(put, "ownershipControls", "PutBucketOwnershipControls", (*request).putOwnership)
	part(del, "ownershipControls", "DeleteBucketOwnershipControls", (*request).deleteOwnership)
	part(get, "acl", "GetBucketAcl", (*request).getBucketACL)
	part(put, "acl", "PutBucketAcl", (*request).putBucketACL)
	part(get, "cors", "GetBucketCors", (*request).getCORS)
	part(put, "cors", "PutBucketCors", (*request).putCORS)
	part(del, "cors", "DeleteBucketCors", (*request).deleteCORS)
	part(get, "lifecycle", "GetBucketLifecycleConfiguration", (*request).getLifecycle)
	part(put, "lifecycle", "PutBucketLifecycleConfiguration", (*request).putLifecycle)
	part(del, "lifecycle", "DeleteBucketLifecycle", (*request).deleteLifecycle)
	part(get, "encryption", "GetBucketEncryption", (*request).getEncryption)
	part(put, "encryption", "PutBucketEncryption", (*request).putEncryption)
	part(del, "encryption", "DeleteBucketEncryption", (*request).deleteEncryption)
	part(get, "tagging", "GetBucketTagging", (*request).getBucketTagging)
	part(put, "tagging", "PutBucketTagging", (*request).putBucketTagging)
	part(del, "tagging", "DeleteBucketTagging", (*request).deleteBucketTagging)
	// What was never configured is told as AWS tells it; setting it comes later.
	configure(get, "requestPayment", "GetBucketRequestPayment", "s3:GetBucketRequestPayment",
		(*request).getRequestPayment)
	configure(put, "requestPayment", "PutBucketRequestPayment", "s3:PutBucketRequestPayment",
		(*request).putRequestPayment)
	configure(get, "logging", "GetBucketLogging", "s3:GetBucketLogging", (*request).getLogging)
	configure(get, "accelerate", "GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration",
		(*request).getAccelerate)
	configure(get, "notification", "GetBucketNotificationConfiguration", "s3:GetBucketNotification",
		(*request).getNotification)
	configure(get, "website", "GetBucketWebsite", "s3:GetBucketWebsite", (*request).getWebsite)
	configure(get, "replication", "GetBucketReplication", "s3:GetReplicationConfiguration", (*request).getReplication)
	configure(get, "object-lock", "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration",
		(*request).getObjectLock)
}
