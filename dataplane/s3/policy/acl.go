package policy

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Canned ACLs ("Access control list overview").
const (
	Private                = "private"
	PublicRead             = "public-read"
	PublicReadWrite        = "public-read-write"
	AuthenticatedRead      = "authenticated-read"
	BucketOwnerRead        = "bucket-owner-read"
	BucketOwnerFullControl = "bucket-owner-full-control"
	AWSExecRead            = "aws-exec-read"
	LogDeliveryWrite       = "log-delivery-write"
)

// ec2 is the canonical user ID that aws-exec-read grants to: nobody here.
const ec2 = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"

func grant(grantee string, p storagev1.Grant_Permission) *storagev1.Grant {
	return &storagev1.Grant{Grantee: grantee, Permission: p}
}

// Canned gives the grants of a canned ACL. Owner is the canonical user ID of who owns the
// bucket or object, bucketOwner that of the bucket's owner; for a bucket, which is where
// bucketOwner is empty, the two canned ACLs that name it are private, as at AWS.
func Canned(name, owner, bucketOwner string) ([]*storagev1.Grant, error) {
	const read = storagev1.Grant_PERMISSION_READ
	const write = storagev1.Grant_PERMISSION_WRITE
	grants := []*storagev1.Grant{grant(owner, storagev1.Grant_PERMISSION_FULL_CONTROL)}
	add := func(g ...*storagev1.Grant) { grants = append(grants, g...) }
	switch name {
	case "", Private:
	case PublicRead:
		add(grant(s3xml.AllUsers, read))
	case PublicReadWrite:
		add(grant(s3xml.AllUsers, read), grant(s3xml.AllUsers, write))
	case AuthenticatedRead:
		add(grant(s3xml.AuthenticatedUsers, read))
	case AWSExecRead:
		add(grant(ec2, read))
	case LogDeliveryWrite:
		add(grant(s3xml.LogDelivery, write), grant(s3xml.LogDelivery, storagev1.Grant_PERMISSION_READ_ACP))
	case BucketOwnerRead, BucketOwnerFullControl:
		if bucketOwner == "" || bucketOwner == owner {
			break
		}
		p := read
		if name == BucketOwnerFullControl {
			p = storagev1.Grant_PERMISSION_FULL_CONTROL
		}
		add(grant(bucketOwner, p))
	default:
		return nil, s3xml.New(s3xml.InvalidArgument, "ArgumentName", "x-amz-acl", "ArgumentValue", name)
	}
	return grants, nil
}

// grantHeaders are the headers that grant, in the order that AWS lists grants.
var grantHeaders = []struct {
	name       string
	permission storagev1.Grant_Permission
}{
	{"X-Amz-Grant-Full-Control", storagev1.Grant_PERMISSION_FULL_CONTROL},
	{"X-Amz-Grant-Read", storagev1.Grant_PERMISSION_READ},
	{"X-Amz-Grant-Read-Acp", storagev1.Grant_PERMISSION_READ_ACP},
	{"X-Amz-Grant-Write", storagev1.Grant_PERMISSION_WRITE},
	{"X-Amz-Grant-Write-Acp", storagev1.Grant_PERMISSION_WRITE_ACP},
}

// HeaderGrants reads x-amz-grant-*; nil where there is none. Together with x-amz-acl they
// are an InvalidRequest.
func HeaderGrants(h http.Header) ([]*storagev1.Grant, error) {
	var grants []*storagev1.Grant
	for _, g := range grantHeaders {
		for _, v := range h[g.name] {
			list, err := granteeList(v, g.permission)
			if err != nil {
				return nil, err
			}
			grants = append(grants, list...)
		}
	}
	if grants != nil && h.Get("X-Amz-Acl") != "" {
		return nil, s3xml.Say(s3xml.InvalidRequest, "Specifying both Canned ACLs and Header Grants is not allowed")
	}
	if len(grants) > s3xml.MaxGrants {
		return nil, s3xml.Say(s3xml.InvalidRequest, fmt.Sprintf("An ACL cannot have more than %d grants",
			s3xml.MaxGrants))
	}
	return grants, nil
}

// granteeList reads type=value pairs with commas between, the values in quotes or not:
// id="…", uri="…", emailAddress="…".
func granteeList(s string, p storagev1.Grant_Permission) ([]*storagev1.Grant, error) {
	var grants []*storagev1.Grant
	for pair := range strings.SplitSeq(s, ",") {
		kind, v, ok := strings.Cut(strings.TrimSpace(pair), "=")
		v = strings.Trim(strings.TrimSpace(v), `"`)
		var err error
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "id":
			err = s3xml.CheckCanonicalID(v)
		case "uri":
			err = s3xml.CheckGroup(v)
		case "emailaddress":
			err = s3xml.UnresolvableGrantByEmailAddress
		default:
			ok = false
		}
		if !ok {
			return nil, s3xml.Argument("Argument format not recognized", "x-amz-grant", pair)
		}
		if err != nil {
			return nil, err
		}
		grants = append(grants, grant(v, p))
	}
	return grants, nil
}

// FitsEnforced says whether an ACL may be sent to a bucket whose ownership setting turns
// ACLs off: none, bucket-owner-full-control, private where the writer is the bucket's owner
// (AWS refuses it for objects, which keeps out older clients that say it with each write),
// or grants that say the same. The others are AccessControlListNotSupported.
func FitsEnforced(canned string, grants []*storagev1.Grant, bucketOwner string, own bool) bool {
	switch {
	case canned == BucketOwnerFullControl, canned == Private && own:
		return true
	case canned != "":
		return false
	case grants == nil:
		return true
	}
	return len(grants) == 1 && grants[0].GetGrantee() == bucketOwner &&
		grants[0].GetPermission() == storagev1.Grant_PERMISSION_FULL_CONTROL
}

// needs is the permission that allows an action through a bucket's or an object's ACL;
// ("Mapping of ACL permissions and access policy permissions").
var needs = map[string]struct {
	permission storagev1.Grant_Permission
	object     bool // the object's ACL, not the bucket's
}{
	ListBucket:                 {storagev1.Grant_PERMISSION_READ, false},
	ListBucketVersions:         {storagev1.Grant_PERMISSION_READ, false},
	ListBucketMultipartUploads: {storagev1.Grant_PERMISSION_READ, false},
	PutObject:                  {storagev1.Grant_PERMISSION_WRITE, false},
	GetBucketAcl:               {storagev1.Grant_PERMISSION_READ_ACP, false},
	PutBucketAcl:               {storagev1.Grant_PERMISSION_WRITE_ACP, false},
	GetObject:                  {storagev1.Grant_PERMISSION_READ, true},
	GetObjectVersion:           {storagev1.Grant_PERMISSION_READ, true},
	GetObjectAcl:               {storagev1.Grant_PERMISSION_READ_ACP, true},
	GetObjectVersionAcl:        {storagev1.Grant_PERMISSION_READ_ACP, true},
	PutObjectAcl:               {storagev1.Grant_PERMISSION_WRITE_ACP, true},
	PutObjectVersionAcl:        {storagev1.Grant_PERMISSION_WRITE_ACP, true},
}

// granted says whether grants give the caller a permission. Public groups count unless
// they are ignored; LogDelivery is nobody who asks.
func granted(grants []*storagev1.Grant, c *Caller, want storagev1.Grant_Permission, ignorePublic bool) bool {
	for _, g := range grants {
		p := g.GetPermission()
		if p != want && p != storagev1.Grant_PERMISSION_FULL_CONTROL {
			continue
		}
		switch id := g.GetGrantee(); {
		case id == s3xml.AllUsers && !ignorePublic,
			id == s3xml.AuthenticatedUsers && !ignorePublic && !c.Anonymous(),
			!c.Anonymous() && !s3xml.IsGroup(id) && id == c.canonical():
			return true
		}
	}
	return false
}
