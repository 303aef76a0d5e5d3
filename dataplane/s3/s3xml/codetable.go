package s3xml

import "net/http"

// The codes that an endpoint of ours can answer, as the API Reference's "Error responses"
// has them. NotModified has neither body nor Content-Type: AppendError appends nothing.
// InsufficientStorage and QuotaExceeded are ours: AWS has neither full disks nor quotas.
const (
	AccessControlListNotSupported                  Code = "AccessControlListNotSupported"
	AccessDenied                                   Code = "AccessDenied"
	AccessForbidden                                Code = "AccessForbidden"
	AccountProblem                                 Code = "AccountProblem"
	AllAccessDisabled                              Code = "AllAccessDisabled"
	AmbiguousGrantByEmailAddress                   Code = "AmbiguousGrantByEmailAddress"
	AuthorizationHeaderMalformed                   Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParametersError              Code = "AuthorizationQueryParametersError"
	BadDigest                                      Code = "BadDigest"
	BadRequest                                     Code = "BadRequest"
	BucketAlreadyExists                            Code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou                        Code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                                 Code = "BucketNotEmpty"
	ConditionalRequestConflict                     Code = "ConditionalRequestConflict"
	ConnectionClosedByRequester                    Code = "ConnectionClosedByRequester"
	CredentialsNotSupported                        Code = "CredentialsNotSupported"
	CrossLocationLoggingProhibited                 Code = "CrossLocationLoggingProhibited"
	EntityTooLarge                                 Code = "EntityTooLarge"
	EntityTooSmall                                 Code = "EntityTooSmall"
	ExpiredToken                                   Code = "ExpiredToken"
	IllegalLocationConstraintException             Code = "IllegalLocationConstraintException"
	IllegalVersioningConfigurationException        Code = "IllegalVersioningConfigurationException"
	IncompleteBody                                 Code = "IncompleteBody"
	IncorrectNumberOfFilesInPostRequest            Code = "IncorrectNumberOfFilesInPostRequest"
	InlineDataTooLarge                             Code = "InlineDataTooLarge"
	InsufficientStorage                            Code = "InsufficientStorage"
	InternalError                                  Code = "InternalError"
	InvalidAccessKeyId                             Code = "InvalidAccessKeyId"
	InvalidAddressingHeader                        Code = "InvalidAddressingHeader"
	InvalidArgument                                Code = "InvalidArgument"
	InvalidBucketAclWithObjectOwnership            Code = "InvalidBucketAclWithObjectOwnership"
	InvalidBucketName                              Code = "InvalidBucketName"
	InvalidBucketOwnerAWSAccountID                 Code = "InvalidBucketOwnerAWSAccountID"
	InvalidBucketState                             Code = "InvalidBucketState"
	InvalidDigest                                  Code = "InvalidDigest"
	InvalidEncryptionAlgorithmError                Code = "InvalidEncryptionAlgorithmError"
	InvalidLocationConstraint                      Code = "InvalidLocationConstraint"
	InvalidObjectState                             Code = "InvalidObjectState"
	InvalidPart                                    Code = "InvalidPart"
	InvalidPartNumber                              Code = "InvalidPartNumber"
	InvalidPartOrder                               Code = "InvalidPartOrder"
	InvalidPayer                                   Code = "InvalidPayer"
	InvalidPolicyDocument                          Code = "InvalidPolicyDocument"
	InvalidRange                                   Code = "InvalidRange"
	InvalidRequest                                 Code = "InvalidRequest"
	InvalidSecurity                                Code = "InvalidSecurity"
	InvalidStorageClass                            Code = "InvalidStorageClass"
	InvalidTag                                     Code = "InvalidTag"
	InvalidTargetBucketForLogging                  Code = "InvalidTargetBucketForLogging"
	InvalidToken                                   Code = "InvalidToken"
	InvalidURI                                     Code = "InvalidURI"
	KeyTooLongError                                Code = "KeyTooLongError"
	KMSDisabledException                           Code = "KMS.DisabledException"
	KMSInvalidKeyUsageException                    Code = "KMS.InvalidKeyUsageException"
	KMSInvalidStateException                       Code = "KMS.KMSInvalidStateException"
	KMSNotFoundException                           Code = "KMS.NotFoundException"
	KMSThrottlingException                         Code = "KMS.ThrottlingException"
	MalformedACLError                              Code = "MalformedACLError"
	MalformedPOSTRequest                           Code = "MalformedPOSTRequest"
	MalformedPolicy                                Code = "MalformedPolicy"
	MalformedTrailerError                          Code = "MalformedTrailerError"
	MalformedXML                                   Code = "MalformedXML"
	MaxMessageLengthExceeded                       Code = "MaxMessageLengthExceeded"
	MaxPostPreDataLengthExceeded                   Code = "MaxPostPreDataLengthExceeded"
	MetadataTooLarge                               Code = "MetadataTooLarge"
	MethodNotAllowed                               Code = "MethodNotAllowed"
	MissingAuthenticationToken                     Code = "MissingAuthenticationToken"
	MissingContentLength                           Code = "MissingContentLength"
	MissingRequestBodyError                        Code = "MissingRequestBodyError"
	MissingSecurityHeader                          Code = "MissingSecurityHeader"
	NoLoggingStatusForKey                          Code = "NoLoggingStatusForKey"
	NoSuchBucket                                   Code = "NoSuchBucket"
	NoSuchBucketPolicy                             Code = "NoSuchBucketPolicy"
	NoSuchConfiguration                            Code = "NoSuchConfiguration"
	NoSuchCORSConfiguration                        Code = "NoSuchCORSConfiguration"
	NoSuchKey                                      Code = "NoSuchKey"
	NoSuchLifecycleConfiguration                   Code = "NoSuchLifecycleConfiguration"
	NoSuchObjectLockConfiguration                  Code = "NoSuchObjectLockConfiguration"
	NoSuchPublicAccessBlockConfiguration           Code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchTagSet                                   Code = "NoSuchTagSet"
	NoSuchTagSetError                              Code = "NoSuchTagSetError"
	NoSuchUpload                                   Code = "NoSuchUpload"
	NoSuchVersion                                  Code = "NoSuchVersion"
	NoSuchWebsiteConfiguration                     Code = "NoSuchWebsiteConfiguration"
	NotImplemented                                 Code = "NotImplemented"
	NotModified                                    Code = "NotModified"
	NotSignedUp                                    Code = "NotSignedUp"
	ObjectLockConfigurationNotFoundError           Code = "ObjectLockConfigurationNotFoundError"
	OperationAborted                               Code = "OperationAborted"
	OwnershipControlsNotFoundError                 Code = "OwnershipControlsNotFoundError"
	PermanentRedirect                              Code = "PermanentRedirect"
	PreconditionFailed                             Code = "PreconditionFailed"
	QuotaExceeded                                  Code = "QuotaExceeded"
	Redirect                                       Code = "Redirect"
	ReplicationConfigurationNotFoundError          Code = "ReplicationConfigurationNotFoundError"
	RequestExpired                                 Code = "RequestExpired"
	RequestHeaderSectionTooLarge                   Code = "RequestHeaderSectionTooLarge"
	RequestIsNotMultiPartContent                   Code = "RequestIsNotMultiPartContent"
	RequestTimeTooSkewed                           Code = "RequestTimeTooSkewed"
	RequestTimeout                                 Code = "RequestTimeout"
	ServerSideEncryptionConfigurationNotFoundError Code = "ServerSideEncryptionConfigurationNotFoundError"
	ServiceUnavailable                             Code = "ServiceUnavailable"
	SignatureDoesNotMatch                          Code = "SignatureDoesNotMatch"
	SlowDown                                       Code = "SlowDown"
	TemporaryRedirect                              Code = "TemporaryRedirect"
	TokenRefreshRequired                           Code = "TokenRefreshRequired"
	TooManyBuckets                                 Code = "TooManyBuckets"
	TooManyConfigurations                          Code = "TooManyConfigurations"
	UnauthorizedAccess                             Code = "UnauthorizedAccess"
	UnexpectedContent                              Code = "UnexpectedContent"
	UnresolvableGrantByEmailAddress                Code = "UnresolvableGrantByEmailAddress"
	UnsupportedArgument                            Code = "UnsupportedArgument"
	UnsupportedSignature                           Code = "UnsupportedSignature"
	UserKeyMustBeSpecified                         Code = "UserKeyMustBeSpecified"
	XAmzContentChecksumMismatch                    Code = "XAmzContentChecksumMismatch"
	XAmzContentSHA256Mismatch                      Code = "XAmzContentSHA256Mismatch"
)

// codes has status and text of each.
var codes = map[Code]kind{
	AccessControlListNotSupported: {http.StatusBadRequest, "The bucket does not allow ACLs"},
	AccessDenied:                  {http.StatusForbidden, "Access Denied"},
	AccessForbidden:               {http.StatusForbidden, "Access Forbidden"},
	AccountProblem: {
		http.StatusForbidden,
		"There is a problem with your account that prevents the operation from completing successfully.",
	},
	AllAccessDisabled: {
		http.StatusForbidden,
		"All access to this object has been disabled.",
	},
	AmbiguousGrantByEmailAddress: {
		http.StatusBadRequest,
		"The email address you provided is associated with more than one account.",
	},
	AuthorizationHeaderMalformed: {
		http.StatusBadRequest,
		"The authorization header you provided is invalid.",
	},
	AuthorizationQueryParametersError: {
		http.StatusBadRequest,
		"The authorization query parameters that you provided are not valid.",
	},
	BadDigest: {
		http.StatusBadRequest,
		"The Content-MD5 or checksum value that you specified did not match what the server received.",
	},
	BadRequest: {http.StatusBadRequest, "Bad Request"},
	BucketAlreadyExists: {
		http.StatusConflict,
		"The requested bucket name is not available. The bucket namespace is shared by all users of the system. " +
			"Please select a different name and try again.",
	},
	BucketAlreadyOwnedByYou: {
		http.StatusConflict,
		"Your previous request to create the named bucket succeeded and you already own it.",
	},
	BucketNotEmpty: {
		http.StatusConflict,
		"The bucket you tried to delete is not empty",
	},
	ConditionalRequestConflict: {
		http.StatusConflict,
		"The conditional request cannot succeed due to a conflicting operation against this resource.",
	},
	ConnectionClosedByRequester: {
		http.StatusBadRequest,
		"The connection was closed by the requester before the whole request was read.",
	},
	CredentialsNotSupported: {
		http.StatusBadRequest,
		"This request does not support credentials.",
	},
	CrossLocationLoggingProhibited: {http.StatusForbidden, "Cross-location logging not allowed."},
	EntityTooLarge: {
		http.StatusBadRequest,
		"Your proposed upload exceeds the maximum allowed size",
	},
	EntityTooSmall: {
		http.StatusBadRequest,
		"Your proposed upload is smaller than the minimum allowed size",
	},
	ExpiredToken: {http.StatusBadRequest, "The provided token has expired."},
	IllegalLocationConstraintException: {
		http.StatusBadRequest,
		"The specified location constraint is incompatible for the region specific endpoint this request was sent to.",
	},
	IllegalVersioningConfigurationException: {
		http.StatusBadRequest,
		"The versioning configuration specified in the request is invalid.",
	},
	IncompleteBody: {
		http.StatusBadRequest,
		"You did not provide the number of bytes specified by the Content-Length HTTP header",
	},
	IncorrectNumberOfFilesInPostRequest: {
		http.StatusBadRequest,
		"POST requires exactly one file upload per request.",
	},
	InlineDataTooLarge: {http.StatusBadRequest, "Inline data exceeds the maximum allowed size."},
	InsufficientStorage: {
		http.StatusInsufficientStorage,
		"There is not enough storage left to complete the request. Reads go on; please try again later.",
	},
	InternalError: {
		http.StatusInternalServerError,
		"We encountered an internal error. Please try again.",
	},
	InvalidAccessKeyId: {
		http.StatusForbidden,
		"The AWS Access Key Id you provided does not exist in our records.",
	},
	InvalidAddressingHeader: {http.StatusBadRequest, "You must specify the Anonymous role."},
	InvalidArgument:         {http.StatusBadRequest, "Invalid Argument"},
	InvalidBucketAclWithObjectOwnership: {
		http.StatusBadRequest,
		"Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
	},
	InvalidBucketName: {http.StatusBadRequest, "The specified bucket is not valid."},
	InvalidBucketOwnerAWSAccountID: {
		http.StatusBadRequest,
		"The value of the expected bucket owner parameter must be an AWS account ID.",
	},
	InvalidBucketState: {
		http.StatusConflict,
		"The request is not valid with the current state of the bucket.",
	},
	InvalidDigest: {
		http.StatusBadRequest,
		"The Content-MD5 or checksum value that you specified was invalid.",
	},
	InvalidEncryptionAlgorithmError: {
		http.StatusBadRequest,
		"The encryption request you specified is not valid. The valid value is AES256.",
	},
	InvalidLocationConstraint: {http.StatusBadRequest, "The specified location-constraint is not valid"},
	InvalidObjectState: {
		http.StatusForbidden,
		"The operation is not valid for the object's storage class",
	},
	InvalidPart: {
		http.StatusBadRequest,
		"One or more of the specified parts could not be found.  The part may not have been uploaded, or the " +
			"specified entity tag may not match the part's entity tag.",
	},
	InvalidPartNumber: {
		http.StatusRequestedRangeNotSatisfiable,
		"The requested partnumber is not satisfiable",
	},
	InvalidPartOrder: {
		http.StatusBadRequest,
		"The list of parts was not in ascending order. Parts must be ordered by part number.",
	},
	InvalidPayer: {http.StatusForbidden, "All access to this object has been disabled."},
	InvalidPolicyDocument: {
		http.StatusBadRequest,
		"The content of the form does not meet the conditions specified in the policy document.",
	},
	InvalidRange: {
		http.StatusRequestedRangeNotSatisfiable,
		"The requested range is not satisfiable",
	},
	InvalidRequest:      {http.StatusBadRequest, "Invalid Request"},
	InvalidSecurity:     {http.StatusForbidden, "The provided security credentials are not valid."},
	InvalidStorageClass: {http.StatusBadRequest, "The storage class you specified is not valid"},
	InvalidTag: {
		http.StatusBadRequest,
		"The tag provided was not a valid tag. This error can occur if the tag did not pass input validation.",
	},
	InvalidTargetBucketForLogging: {
		http.StatusBadRequest,
		"The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants " +
			"for the log-delivery group.",
	},
	InvalidToken: {
		http.StatusBadRequest,
		"The provided token is malformed or otherwise not valid.",
	},
	InvalidURI:      {http.StatusBadRequest, "Couldn't parse the specified URI."},
	KeyTooLongError: {http.StatusBadRequest, "Your key is too long"},
	KMSDisabledException: {
		http.StatusBadRequest,
		"The request was rejected because the specified KMS key is not enabled.",
	},
	KMSInvalidKeyUsageException: {
		http.StatusBadRequest,
		"The request was rejected because the KMS key cannot be used for this operation.",
	},
	KMSInvalidStateException: {
		http.StatusBadRequest,
		"The request was rejected because the state of the specified resource is not valid for this request.",
	},
	KMSNotFoundException: {
		http.StatusBadRequest,
		"The key that you specified does not exist.",
	},
	KMSThrottlingException: {
		http.StatusServiceUnavailable,
		"The request was throttled by the key service. Please reduce your request rate.",
	},
	MalformedACLError: {
		http.StatusBadRequest,
		"The XML you provided was not well-formed or did not validate against our published schema",
	},
	MalformedPOSTRequest: {
		http.StatusBadRequest,
		"The body of your POST request is not well-formed multipart/form-data.",
	},
	MalformedPolicy: {
		http.StatusBadRequest,
		"Policies must be valid JSON and the first byte must be '{'",
	},
	MalformedTrailerError: {
		http.StatusBadRequest,
		"The request contained trailing data that was not well-formed or did not conform to our published schema.",
	},
	MalformedXML: {
		http.StatusBadRequest,
		"The XML you provided was not well-formed or did not validate against our published schema",
	},
	MaxMessageLengthExceeded: {http.StatusBadRequest, "Your request was too big."},
	MaxPostPreDataLengthExceeded: {
		http.StatusBadRequest,
		"Your POST request fields preceding the upload file were too large.",
	},
	MetadataTooLarge: {
		http.StatusBadRequest,
		"Your metadata headers exceed the maximum allowed metadata size",
	},
	MethodNotAllowed: {
		http.StatusMethodNotAllowed,
		"The specified method is not allowed against this resource.",
	},
	MissingAuthenticationToken: {http.StatusForbidden, "The request was not signed."},
	MissingContentLength: {
		http.StatusLengthRequired,
		"You must provide the Content-Length HTTP header.",
	},
	MissingRequestBodyError: {http.StatusBadRequest, "Request Body is empty"},
	MissingSecurityHeader:   {http.StatusBadRequest, "Your request is missing a required header."},
	NoLoggingStatusForKey: {
		http.StatusBadRequest,
		"There is no such thing as a logging status subresource for a key.",
	},
	NoSuchBucket:                 {http.StatusNotFound, "The specified bucket does not exist"},
	NoSuchBucketPolicy:           {http.StatusNotFound, "The bucket policy does not exist"},
	NoSuchConfiguration:          {http.StatusNotFound, "The specified configuration does not exist."},
	NoSuchCORSConfiguration:      {http.StatusNotFound, "The CORS configuration does not exist"},
	NoSuchKey:                    {http.StatusNotFound, "The specified key does not exist."},
	NoSuchLifecycleConfiguration: {http.StatusNotFound, "The lifecycle configuration does not exist"},
	NoSuchObjectLockConfiguration: {
		http.StatusNotFound,
		"The specified object does not have a ObjectLock configuration",
	},
	NoSuchPublicAccessBlockConfiguration: {http.StatusNotFound, "The public access block configuration was not found"},
	NoSuchTagSet:                         {http.StatusNotFound, "The TagSet does not exist"},
	NoSuchTagSetError:                    {http.StatusNotFound, "The TagSet does not exist"},
	NoSuchUpload: {
		http.StatusNotFound,
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or " +
			"completed.",
	},
	NoSuchVersion: {http.StatusNotFound, "The specified version does not exist."},
	NoSuchWebsiteConfiguration: {
		http.StatusNotFound,
		"The specified bucket does not have a website configuration",
	},
	NotImplemented: {
		http.StatusNotImplemented,
		"A header you provided implies functionality that is not implemented",
	},
	NotModified: {http.StatusNotModified, "Not Modified"},
	NotSignedUp: {
		http.StatusForbidden,
		"Your account is not signed up for the Amazon S3 service.",
	},
	ObjectLockConfigurationNotFoundError: {
		http.StatusNotFound,
		"Object Lock configuration does not exist for this bucket",
	},
	OperationAborted: {
		http.StatusConflict,
		"A conflicting conditional operation is currently in progress against this resource. Please try again.",
	},
	OwnershipControlsNotFoundError: {
		http.StatusNotFound,
		"The bucket ownership controls were not found",
	},
	PermanentRedirect: {
		http.StatusMovedPermanently,
		"The bucket you are attempting to access must be addressed using the specified endpoint. Please send all " +
			"future requests to this endpoint.",
	},
	PreconditionFailed: {
		http.StatusPreconditionFailed,
		"At least one of the pre-conditions you specified did not hold",
	},
	QuotaExceeded: {
		http.StatusForbidden,
		"The bucket's quota does not allow the request. Delete objects or raise the quota.",
	},
	Redirect: {
		http.StatusTemporaryRedirect,
		"Please re-send this request to the specified temporary endpoint. Continue to use the original request " +
			"endpoint for future requests.",
	},
	ReplicationConfigurationNotFoundError: {
		http.StatusNotFound,
		"The replication configuration was not found",
	},
	RequestExpired: {http.StatusForbidden, "Request has expired"},
	RequestHeaderSectionTooLarge: {
		http.StatusBadRequest,
		"Your request header section exceeds the maximum allowed size.",
	},
	RequestIsNotMultiPartContent: {
		http.StatusPreconditionFailed,
		"Bucket POST must be of the enclosure-type multipart/form-data.",
	},
	RequestTimeTooSkewed: {
		http.StatusForbidden,
		"The difference between the request time and the current time is too large.",
	},
	RequestTimeout: {
		http.StatusBadRequest,
		"Your socket connection to the server was not read from or written to within the timeout period. Idle " +
			"connections will be closed.",
	},
	ServerSideEncryptionConfigurationNotFoundError: {
		http.StatusNotFound,
		"The server side encryption configuration was not found",
	},
	ServiceUnavailable: {http.StatusServiceUnavailable, "Service is unable to handle request."},
	SignatureDoesNotMatch: {
		http.StatusForbidden,
		"The request signature we calculated does not match the signature you provided. Check your key and signing " +
			"method.",
	},
	SlowDown: {http.StatusServiceUnavailable, "Please reduce your request rate."},
	TemporaryRedirect: {
		http.StatusTemporaryRedirect,
		"Please re-send this request to the specified temporary endpoint. Continue to use the original request " +
			"endpoint for future requests.",
	},
	TokenRefreshRequired: {http.StatusBadRequest, "The provided token must be refreshed."},
	TooManyBuckets:       {http.StatusBadRequest, "You have attempted to create more buckets than allowed"},
	TooManyConfigurations: {
		http.StatusBadRequest,
		"You are attempting to create a new configuration but have already reached the limit.",
	},
	UnauthorizedAccess: {http.StatusForbidden, "You are not authorized to perform this operation"},
	UnexpectedContent:  {http.StatusBadRequest, "This request contains unsupported content."},
	UnresolvableGrantByEmailAddress: {
		http.StatusBadRequest,
		"The email address you provided does not match any account on record.",
	},
	UnsupportedArgument: {http.StatusBadRequest, "The request contained an unsupported argument."},
	UnsupportedSignature: {
		http.StatusBadRequest,
		"The provided request is signed with an unsupported STS Token version or the signature version is not " +
			"supported.",
	},
	UserKeyMustBeSpecified: {
		http.StatusBadRequest,
		"The bucket POST must contain the specified field name. If it is specified, check the order of the fields.",
	},
	XAmzContentChecksumMismatch: {
		http.StatusBadRequest,
		"The provided 'x-amz-checksum' header does not match what was computed.",
	},
	XAmzContentSHA256Mismatch: {
		http.StatusBadRequest,
		"The provided 'x-amz-content-sha256' header does not match what was computed.",
	},
}
