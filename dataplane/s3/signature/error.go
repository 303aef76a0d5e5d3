package signature

import "github.com/dark-ecosystem/dark/dataplane/s3/s3xml"

// Error is a refusal with Amazon's code and elements, such as StringToSign and
// CanonicalRequest. All errors of Verify, VerifyForm and Prove are of it.
type Error = s3xml.Error
