package s3xml

import (
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// nodes of a document of configuration: 1,000 rules of lifecycle with all they can have.
const maxConfigNodes = 40_000

// CreateBucket is a request of CreateBucket.
type CreateBucket struct {
	Region string // empty: not given, which is us-east-1
	Tags   map[string]string
}

// ParseCreateBucket reads the document of CreateBucket; an empty one is the defaults.
func ParseCreateBucket(doc []byte) (*CreateBucket, error) {
	c := &CreateBucket{}
	if len(doc) == 0 {
		return c, nil
	}
	root, err := parse(doc, "CreateBucketConfiguration", 500)
	if err != nil {
		return nil, err
	}
	directory := func(*node) error {
		return Say(NotImplemented, "Directory buckets are not implemented", "Element", "CreateBucketConfiguration")
	}
	err = root.fields(map[string]func(*node) error{
		"LocationConstraint": into(&c.Region),
		"Location":           directory,
		"Bucket":             directory,
		"Tags":               func(n *node) (err error) { c.Tags, err = tagList(n, MaxBucketTags); return err },
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ParseVersioning reads the document of PutBucketVersioning.
func ParseVersioning(doc []byte) (storagev1.BucketSpec_Versioning, error) {
	root, err := parse(doc, "VersioningConfiguration", 8)
	if err != nil {
		return 0, err
	}
	var status, mfa string
	err = root.fields(map[string]func(*node) error{
		"Status": into(&status), "MfaDelete": into(&mfa), "MFADelete": into(&mfa),
	})
	if err != nil {
		return 0, err
	}
	switch {
	case mfa == "Enabled":
		return 0, Say(NotImplemented, "MFA delete is not implemented; leave MfaDelete out of "+
			"VersioningConfiguration, or say Disabled", "Element", "MfaDelete")
	case mfa != "" && mfa != "Disabled":
		return 0, unexpected(root)
	}
	switch status {
	case "Enabled":
		return storagev1.BucketSpec_VERSIONING_ENABLED, nil
	case "Suspended":
		return storagev1.BucketSpec_VERSIONING_SUSPENDED, nil
	case "":
		return 0, New(IllegalVersioningConfigurationException)
	}
	return 0, unexpected(root)
}

// ParsePublicAccessBlock reads the document of PutPublicAccessBlock; what it does not say
// is false, as at AWS.
func ParsePublicAccessBlock(doc []byte) (*storagev1.PublicAccessBlock, error) {
	root, err := parse(doc, "PublicAccessBlockConfiguration", 8)
	if err != nil {
		return nil, err
	}
	p := &storagev1.PublicAccessBlock{}
	err = root.fields(map[string]func(*node) error{
		"BlockPublicAcls":       boolInto(&p.BlockPublicAcls),
		"IgnorePublicAcls":      boolInto(&p.IgnorePublicAcls),
		"BlockPublicPolicy":     boolInto(&p.BlockPublicPolicy),
		"RestrictPublicBuckets": boolInto(&p.RestrictPublicBuckets),
	})
	if err == nil && len(root.kids) == 0 {
		err = Say(InvalidRequest, "Must specify at least one configuration.")
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// ParseOwnershipControls reads the document of PutBucketOwnershipControls: one rule.
func ParseOwnershipControls(doc []byte) (storagev1.BucketSpec_Ownership, error) {
	root, err := parse(doc, "OwnershipControls", 8)
	if err != nil {
		return 0, err
	}
	var setting string
	err = root.fields(map[string]func(*node) error{"Rule": func(n *node) error {
		return n.fields(map[string]func(*node) error{"ObjectOwnership": into(&setting)})
	}})
	if err != nil {
		return 0, err
	}
	o, ok := ownerships[setting]
	if !ok {
		return 0, unexpected(root)
	}
	return o, nil
}

// Encryption is a request of PutBucketEncryption.
type Encryption struct {
	KMS       bool   // aws:kms; otherwise AES256
	KMSKey    string // ARN or name as it was given; empty for the installation's default
	BucketKey bool
}

// ParseEncryption reads the document of PutBucketEncryption: one rule.
func ParseEncryption(doc []byte) (*Encryption, error) {
	root, err := parse(doc, "ServerSideEncryptionConfiguration", 32)
	if err != nil {
		return nil, err
	}
	e := &Encryption{}
	var algorithm string
	defaults := func(n *node) error {
		return n.fields(map[string]func(*node) error{
			"SSEAlgorithm": into(&algorithm), "KMSMasterKeyID": into(&e.KMSKey),
		})
	}
	err = root.fields(map[string]func(*node) error{"Rule": func(n *node) error {
		return n.fields(map[string]func(*node) error{
			"ApplyServerSideEncryptionByDefault": defaults,
			"BucketKeyEnabled":                   boolInto(&e.BucketKey),
			"BlockedEncryptionTypes":             blockedEncryption,
		})
	}})
	if err != nil {
		return nil, err
	}
	return e, e.judge(algorithm, root)
}

// blockedEncryption takes NONE, which blocks nothing.
func blockedEncryption(n *node) error {
	return n.fields(map[string]func(*node) error{"EncryptionType*": func(n *node) error {
		if n.text == "NONE" {
			return nil
		}
		return Say(NotImplemented, "Blocking types of encryption is not implemented", "Element",
			"BlockedEncryptionTypes")
	}})
}

func (e *Encryption) judge(algorithm string, root *node) error {
	switch algorithm {
	case "AES256":
		if e.KMSKey != "" {
			return Argument("a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or "+
				"aws:kms:dsse",
				"KMSMasterKeyID", e.KMSKey)
		}
		return nil
	case "aws:kms":
		e.KMS = true
		return nil
	case "aws:kms:dsse":
		return Say(NotImplemented, "aws:kms:dsse is not implemented", "Element", "SSEAlgorithm")
	}
	return unexpected(root)
}

// ParseRequestPayment reads the document of PutBucketRequestPayment; only that the owner
// pays is taken.
func ParseRequestPayment(doc []byte) error {
	root, err := parse(doc, "RequestPaymentConfiguration", 4)
	if err != nil {
		return err
	}
	var payer string
	if err := root.fields(map[string]func(*node) error{"Payer": into(&payer)}); err != nil {
		return err
	}
	switch payer {
	case "BucketOwner":
		return nil
	case "Requester":
		return Say(NotImplemented, "Requester pays is not implemented", "Element", "Payer")
	}
	return unexpected(root)
}
