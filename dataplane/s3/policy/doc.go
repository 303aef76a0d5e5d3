// Package policy says who may do what with a bucket: AWS's policy language as bucket
// policies use it (IAM User Guide, "IAM JSON policy reference"), ACLs, public access
// block, object ownership, and the scopes of access keys, which stand where AWS has
// policies of identities.
//
// Accounts are organizations: arn:aws:iam::ORGANIZATION:root is all keys of one,
// arn:aws:iam::ORGANIZATION:user/NAME is the access key "accesskeys/NAME".
//
// Compile, CompileScopes and the values they give are immutable; Authorize and Evaluate
// read them from any number of goroutines, take time and the request as arguments and
// allocate nothing unless a policy uses variables or compares what must be formatted.
package policy
