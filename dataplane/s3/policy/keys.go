package policy

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// contextKey is a key of the request context, as conditions and variables name it.
type contextKey struct {
	name string // lower case
	// get gives the value; nil: no request here ever has one.
	get func(q *Request, arg string) (string, bool)
	// list gives the values of a key that may have many.
	list func(q *Request) []string
	arg  string // what follows the slash, or the name of a header
}

func (k *contextKey) value(q *Request) (string, bool) {
	if k.get == nil {
		return "", false
	}
	return k.get(q, k.arg)
}

// findKey finds a key by its name, without regard to case.
func findKey(name string) (*contextKey, error) {
	base, arg, slash := strings.Cut(name, "/")
	base = strings.ToLower(base)
	if slash {
		base += "/"
	}
	if k, ok := keys[base]; ok && slash == (arg != "") {
		if slash {
			k.arg = arg
		}
		return &k, nil
	}
	return nil, malformed("Policy has an invalid condition key: " + name)
}

type getter = func(q *Request, arg string) (string, bool)

// keys has what a bucket policy may name, in lower case; "/" ends those with an argument.
var keys = func() map[string]contextKey {
	m := map[string]contextKey{}
	add := func(get getter, names ...string) {
		for _, n := range names {
			n = strings.ToLower(n)
			m[n] = contextKey{name: n, get: get}
		}
	}
	for name, get := range callerKeys {
		add(get, name)
	}
	for name, get := range requestKeys {
		add(get, name)
	}
	for _, h := range headerKeys {
		n := "s3:" + h
		m[n] = contextKey{name: n, get: header, arg: http.CanonicalHeaderKey(h)}
	}
	for name, parameter := range queryKeys {
		m[name] = contextKey{name: name, get: parameterOf, arg: parameter}
	}
	add(existingTag, "s3:ExistingObjectTag/")
	add(requestTag, "s3:RequestObjectTag/", "aws:RequestTag/")
	m["s3:requestobjecttagkeys"] = contextKey{name: "s3:requestobjecttagkeys", list: requestTagKeys}
	m["aws:tagkeys"] = contextKey{name: "aws:tagkeys", list: requestTagKeys}
	add(nil, absentKeys...)
	return m
}()

// callerKeys tell of who asks.
var callerKeys = map[string]getter{
	"aws:username": func(q *Request, _ string) (string, bool) { return q.Caller.Key, q.Caller.Key != "" },
	"aws:userid":   func(q *Request, _ string) (string, bool) { return q.Caller.KeyID, q.Caller.KeyID != "" },
	"aws:PrincipalAccount": func(q *Request, _ string) (string, bool) {
		return q.Caller.Organization, !q.Caller.Anonymous()
	},
	"aws:PrincipalArn": func(q *Request, _ string) (string, bool) {
		return "arn:aws:iam::" + q.Caller.Organization + ":user/" + q.Caller.Key, !q.Caller.Anonymous()
	},
	"aws:PrincipalType": func(q *Request, _ string) (string, bool) {
		if q.Caller.Anonymous() {
			return "Anonymous", true
		}
		return "User", true
	},
	"aws:PrincipalIsAWSService": constant("false"),
	"aws:ViaAWSService":         constant("false"),
}

func constant(s string) getter { return func(*Request, string) (string, bool) { return s, true } }

// requestKeys tell of the request.
var requestKeys = map[string]getter{
	sourceIP: func(q *Request, _ string) (string, bool) {
		return q.SourceIP.Unmap().String(), q.SourceIP.IsValid()
	},
	"aws:SecureTransport": func(q *Request, _ string) (string, bool) { return strconv.FormatBool(q.TLS != 0), true },
	"aws:Referer":         func(q *Request, _ string) (string, bool) { return header(q, "Referer") },
	"aws:UserAgent":       func(q *Request, _ string) (string, bool) { return header(q, "User-Agent") },
	currentTime:           func(q *Request, _ string) (string, bool) { return q.Now.UTC().Format(time.RFC3339), true },
	epochTime: func(q *Request, _ string) (string, bool) {
		return strconv.FormatInt(q.Now.Unix(), 10), true
	},
	"aws:RequestedRegion": func(q *Request, _ string) (string, bool) { return q.Region, q.Region != "" },
	"aws:ResourceAccount": owner,
	"s3:ResourceAccount":  owner,
	"s3:VersionId":        func(q *Request, _ string) (string, bool) { return q.VersionID, q.VersionID != "" },
	"s3:authType":         func(q *Request, _ string) (string, bool) { return q.AuthType, q.AuthType != "" },
	"s3:signatureversion": func(q *Request, _ string) (string, bool) {
		return q.SignatureVersion, q.SignatureVersion != ""
	},
	"s3:signatureAge": func(q *Request, _ string) (string, bool) {
		return strconv.FormatInt(q.SignatureAge.Milliseconds(), 10), q.SignatureVersion != ""
	},
	"s3:TlsVersion":        tlsVersion,
	"s3:x-amz-copy-source": copySource,
}

// Keys whose values are compared without being formatted first.
const (
	sourceIP    = "aws:sourceip"
	currentTime = "aws:currenttime"
	epochTime   = "aws:epochtime"
)

// headerKeys are the headers that S3 shows as s3:NAME.
var headerKeys = []string{
	"x-amz-acl", "x-amz-grant-full-control", "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write",
	"x-amz-grant-write-acp", "x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
	"x-amz-server-side-encryption-customer-algorithm", "x-amz-metadata-directive", "x-amz-storage-class",
	"x-amz-content-sha256", "x-amz-website-redirect-location", "x-amz-object-ownership",
	"if-match", "if-none-match",
}

// queryKeys are the parameters of listings.
var queryKeys = map[string]string{"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"}

// absentKeys are AWS's, and a request here never has them.
var absentKeys = []string{
	"aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalTag/", "aws:PrincipalServiceName",
	"aws:PrincipalServiceNamesList", "aws:ResourceTag/", "aws:ResourceOrgID", "aws:ResourceOrgPaths",
	"aws:SourceArn", "aws:SourceAccount", "aws:SourceOwner", "aws:SourceOrgID", "aws:SourceOrgPaths",
	"aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn", "aws:VpcSourceIp", "aws:VpceAccount", "aws:VpceOrgID",
	"aws:VpceOrgPaths", "aws:TokenIssueTime", "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge",
	"aws:FederatedProvider", "aws:SourceIdentity", "aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast",
	"aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4", "aws:AssumedRoot",
	"s3:DataAccessPointArn", "s3:DataAccessPointAccount", "s3:AccessPointNetworkOrigin", "s3:AccessPointTag/",
	"s3:BucketTag/", "s3:AccessGrantsInstanceArn", "s3:LocationConstraint", "s3:object-lock-mode",
	"s3:object-lock-retain-until-date", "s3:object-lock-remaining-retention-days", "s3:object-lock-legal-hold",
	"s3:InventoryAccessibleOptionalFields", "s3:ObjectCreationOperation", "s3:isReplicationPauseRequest",
	"s3:destinationRegion",
}

func owner(q *Request, _ string) (string, bool) { return q.Owner, q.Owner != "" }

func header(q *Request, name string) (string, bool) {
	v := q.Header[name]
	if len(v) == 0 {
		return "", false
	}
	return v[0], true
}

func parameterOf(q *Request, name string) (string, bool) { return q.query(name) }

// copySource is BUCKET/KEY, decoded, so that no other spelling of a source gets past a
// condition; the slash that clients may put first is taken off, from the policy's values
// as well. What cannot be decoded is refused before it is copied.
func copySource(q *Request, _ string) (string, bool) {
	v, ok := header(q, "X-Amz-Copy-Source")
	v, _, _ = strings.Cut(v, "?versionId=")
	if decoded, err := url.PathUnescape(v); err == nil {
		v = decoded
	}
	return strings.TrimPrefix(v, "/"), ok
}

func tlsVersion(q *Request, _ string) (string, bool) {
	switch q.TLS {
	case tls.VersionTLS10:
		return "1.0", true
	case tls.VersionTLS11:
		return "1.1", true
	case tls.VersionTLS12:
		return "1.2", true
	case tls.VersionTLS13:
		return "1.3", true
	}
	return "", false
}

func existingTag(q *Request, key string) (string, bool) {
	if q.ExistingTags == nil {
		return "", false
	}
	v, ok := q.ExistingTags()[key]
	return v, ok
}

func requestTag(q *Request, key string) (string, bool) {
	v, ok := q.RequestTags[key]
	return v, ok
}

func requestTagKeys(q *Request) []string {
	names := make([]string, 0, len(q.RequestTags))
	for k := range q.RequestTags {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
