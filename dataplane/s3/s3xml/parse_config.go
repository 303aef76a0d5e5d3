package s3xml

import (
	"fmt"
	"math"
	"slices"
	"strings"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// MaxCORSRules is how many rules a bucket may have.
const MaxCORSRules = 100

// Further bounds of ours on CORS rules, the same as in the proto.
const (
	maxCORSItems = 100
	maxCORSItem  = 1024
)

// ParseCORS reads the document of PutBucketCors.
func ParseCORS(doc []byte) ([]*storagev1.CorsRule, error) {
	root, err := parse(doc, "CORSConfiguration", maxConfigNodes)
	if err != nil {
		return nil, err
	}
	var rules []*storagev1.CorsRule
	err = root.fields(map[string]func(*node) error{"CORSRule*": func(n *node) error {
		if len(rules) == MaxCORSRules {
			return Say(InvalidRequest, "The number of CORS rules should not exceed allowed limit of 100 rules.")
		}
		r, err := corsRule(n)
		rules = append(rules, r)
		return err
	}})
	if err == nil && len(rules) == 0 {
		err = unexpected(root)
	}
	if err != nil {
		return nil, err
	}
	return rules, nil
}

func corsRule(n *node) (*storagev1.CorsRule, error) {
	r := &storagev1.CorsRule{}
	var age int64
	err := n.fields(map[string]func(*node) error{
		"ID":             into(&r.Id),
		"AllowedOrigin*": addTo(&r.AllowedOrigins),
		"AllowedMethod*": addTo(&r.AllowedMethods),
		"AllowedHeader*": addTo(&r.AllowedHeaders),
		"ExposeHeader*":  addTo(&r.ExposeHeaders),
		"MaxAgeSeconds":  intInto(&age),
	})
	if err != nil {
		return nil, err
	}
	if len(r.AllowedOrigins) == 0 || len(r.AllowedMethods) == 0 || age < 0 || age > math.MaxInt32 {
		return nil, unexpected(n)
	}
	r.MaxAgeSeconds = uint32(age)
	return r, CheckCORS(r)
}

// CheckCORS refuses a rule that AWS refuses.
func CheckCORS(r *storagev1.CorsRule) error {
	if len(r.GetId()) > 255 {
		return Say(InvalidRequest, "The ID of a CORS rule cannot be longer than 255 characters.")
	}
	if err := corsMethods(r.GetAllowedMethods()); err != nil {
		return err
	}
	if err := corsWildcards("AllowedOrigin", r.GetAllowedOrigins()); err != nil {
		return err
	}
	if err := corsWildcards("AllowedHeader", r.GetAllowedHeaders()); err != nil {
		return err
	}
	for _, h := range r.GetExposeHeaders() {
		if strings.Contains(h, "*") {
			return Say(InvalidRequest, fmt.Sprintf("ExposeHeader %q contains wildcard. We currently do not support "+
				"wildcard for ExposeHeader.", h))
		}
	}
	return corsLengths("ExposeHeader", r.GetExposeHeaders())
}

func corsMethods(methods []string) error {
	for i, m := range methods {
		if !slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "HEAD"}, m) {
			return Say(InvalidRequest, "Found unsupported HTTP method in CORS config. Unsupported method is "+m)
		}
		if slices.Contains(methods[:i], m) {
			return Say(InvalidRequest, "Found the HTTP method "+m+" more than once in a CORS rule.")
		}
	}
	return nil
}

func corsWildcards(element string, values []string) error {
	for _, v := range values {
		if strings.Count(v, "*") > 1 {
			return Say(InvalidRequest, fmt.Sprintf("%s %q can not have more than one wildcard.", element, v))
		}
	}
	return corsLengths(element, values)
}

// corsLengths also refuses control characters: what is exposed becomes a header.
func corsLengths(element string, values []string) error {
	if len(values) > maxCORSItems {
		return Say(InvalidRequest, fmt.Sprintf("A CORS rule cannot have more than %d of %s.", maxCORSItems, element))
	}
	for _, v := range values {
		if v == "" || len(v) > maxCORSItem || strings.ContainsFunc(v, func(c rune) bool {
			return c < ' ' || c == 0x7f
		}) {
			return Say(InvalidRequest, "Found a value in CORS config that is not valid: "+element)
		}
	}
	return nil
}

var permissionNames = func() map[string]storagev1.Grant_Permission {
	m := map[string]storagev1.Grant_Permission{}
	for p, name := range permissions {
		m[name] = p
	}
	return m
}()

// MaxGrants is how many grants an ACL may have.
const MaxGrants = 100

// ACL is a request of PutBucketAcl and PutObjectAcl.
type ACL struct {
	Owner  string // canonical user ID; empty where it was left out
	Grants []*storagev1.Grant
}

// ParseACL reads an AccessControlPolicy document. An ACL without grants has an empty list.
func ParseACL(doc []byte) (*ACL, error) {
	root, err := parse(doc, "AccessControlPolicy", 8*MaxGrants)
	if err != nil {
		return nil, aclError(err)
	}
	a := &ACL{Grants: []*storagev1.Grant{}}
	var display string
	listed := false
	err = root.fields(map[string]func(*node) error{
		"Owner": func(n *node) error {
			return n.fields(map[string]func(*node) error{"ID": into(&a.Owner), "DisplayName": into(&display)})
		},
		"AccessControlList": func(n *node) error {
			listed = true
			return n.fields(map[string]func(*node) error{"Grant*": a.grant})
		},
	})
	if err == nil && !listed {
		err = unexpected(root)
	}
	if err != nil {
		return nil, aclError(err)
	}
	return a, nil
}

// aclError gives a document of no good shape the code that AWS has for ACLs alone.
func aclError(err error) error {
	if e := From(err); e.Code == MalformedXML {
		e.Code = MalformedACLError
		return e
	}
	return err
}

func (a *ACL) grant(n *node) error {
	if len(a.Grants) == MaxGrants {
		return malformed(fmt.Errorf("more than %d grants", MaxGrants))
	}
	g := &storagev1.Grant{}
	var permission string
	err := n.fields(map[string]func(*node) error{
		"Grantee":    func(n *node) (err error) { g.Grantee, err = grantee(n); return err },
		"Permission": into(&permission),
	})
	if err != nil {
		return err
	}
	g.Permission = permissionNames[permission]
	if g.Permission == 0 || g.Grantee == "" {
		return unexpected(n)
	}
	a.Grants = append(a.Grants, g)
	return nil
}

func grantee(n *node) (string, error) {
	var id, display, uri, email string
	err := n.fields(map[string]func(*node) error{
		"ID": into(&id), "DisplayName": into(&display), "URI": into(&uri), "EmailAddress": into(&email),
	})
	if err != nil {
		return "", err
	}
	switch {
	case email != "":
		return "", New(UnresolvableGrantByEmailAddress)
	case id != "" && uri == "" && n.kind != "Group":
		return id, CheckCanonicalID(id)
	case uri != "" && id == "" && n.kind != "CanonicalUser":
		return uri, CheckGroup(uri)
	}
	return "", unexpected(n)
}

// CheckCanonicalID refuses with InvalidArgument what is not 64 hexadecimal digits.
func CheckCanonicalID(id string) error {
	if len(id) == 64 && strings.Trim(id, "0123456789abcdef") == "" {
		return nil
	}
	return Argument("Invalid id", "CanonicalUser/ID", id)
}

// CheckGroup refuses with InvalidArgument what is not the URI of a group that S3 knows.
func CheckGroup(uri string) error {
	if uri == AllUsers || uri == AuthenticatedUsers || uri == LogDelivery {
		return nil
	}
	return Argument("Invalid group uri", "uri", uri)
}
