package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// TestPoliciesAreRefused with MalformedPolicy and a text that names the element.
func TestPoliciesAreRefused(t *testing.T) {
	good := `"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"`
	one := func(s string) string { return `{"Version":"2012-10-17","Statement":[{` + s + `}]}` }
	with := func(old, replacement string) string { return one(strings.Replace(good, old, replacement, 1)) }
	for _, c := range []struct{ doc, text string }{
		{one(good), ""},
		{`{"Id":"x","Statement":{` + good + `}}`, ""},
		{one(good + `,"Sid":"a"`), ""},
		{"", "first byte must be '{'"},
		{"[]", "first byte must be '{'"},
		{" " + one(good), "first byte must be '{'"},
		{one(good) + "x", "first byte must be '{'"},
		{one(good)[:40], "first byte must be '{'"},
		{one(good) + strings.Repeat(" ", MaxSize), "exceeds the maximum allowed document size"},
		{strings.Repeat(`{"Statement":`, 100) + strings.Repeat("}", 100), "first byte"},
		{`{"Version":"2012-10-17"}`, "Missing required field Statement"},
		{`{"Statement":[]}`, "Statement is empty"},
		{`{"Statement":["x"]}`, "Invalid value in Statement"},
		{`{"Version":"2020-01-01","Statement":{` + good + `}}`, "valid version string"},
		{`{"Statement":{` + good + `},"More":1}`, "Unknown field More"},
		{`{"Statement":{` + good + `},"Statement":{` + good + `}}`, "Duplicate field Statement"},
		{one(good + `,"Extra":1`), "Unknown field Extra"},
		{with(`"Effect":"Allow",`, ``), "Missing required field Effect"},
		{with(`"Allow"`, `"Perhaps"`), "Invalid effect: Perhaps"},
		{with(`"Principal":"*",`, ``), "Missing required field Principal"},
		{with(`"Action":"s3:GetObject",`, ``), "Missing required field Action"},
		{with(`,"Resource":"arn:aws:s3:::photos/*"`, ``), "Missing required field Resource"},
		{with(`"s3:GetObject"`, `"s3:Frobnicate"`), "Policy has invalid action"},
		{with(`"s3:GetObject"`, `"ec2:*"`), "Policy has invalid action"},
		{with(`"s3:GetObject"`, `[]`), "Action must be"},
		{with(`"s3:GetObject"`, `{"a":1}`), "Action must be"},
		{with(`"s3:GetObject"`, `"S3:getOBJECT"`), ""},
		{with(`"s3:GetObject"`, `"s3:*"`), ""},
		{with(`"s3:GetObject"`, `"*"`), ""},
		{with(`"s3:GetObject"`, `"s3:ListBucket"`), "Action does not apply to any resource"},
		{with(`"s3:GetObject"`, `"s3:ListAllMyBuckets"`), "Action does not apply to any resource"},
		{with(`photos/*`, `photos`), "Action does not apply to any resource"},
		{with(`photos/*`, `photos*`), ""},
		{with(`photos/*`, `*`), ""},
		{with(`photos/*`, `other/*`), "Policy has invalid resource"},
		{with(`photos/*`, `photos2/*`), "Policy has invalid resource"},
		{with(`arn:aws:s3:::photos/*`, `photos/*`), "Policy has invalid resource"},
		{with(`arn:aws:s3:::photos/*`, `*`), "Policy has invalid resource"},
		{with(`arn:aws:s3:::photos/*`, `arn:aws:sqs:::photos/*`), "Policy has invalid resource"},
		{with(`photos/*`, `photos/${aws:nonsense}`), "invalid condition key"},
		{with(`photos/*`, `photos/${aws:username`), "invalid policy variable"},
		{with(`photos/*`, `photos/${aws:username, 'x'}`), ""},
		{with(`photos/*`, `photos/${aws:username, x}`), "invalid policy variable"},
		{with(`"Principal":"*"`, `"Principal":"acme"`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{}`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{"AWS":"arn:aws:iam::acme:role/x"}`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{"AWS":"arn:aws:iam::acme:user/*"}`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{"AWS":"arn:aws:iam::a b:root"}`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{"Federated":"x"}`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{"CanonicalUser":"x"}`), "Invalid principal in policy"},
		{with(`"Principal":"*"`, `"Principal":{"AWS":"`+CanonicalID("acme")+`"}`), ""},
		{with(`"Principal":"*"`, `"Principal":{"Service":"logging.s3.amazonaws.com"}`), ""},
		{with(`"Principal":"*"`, `"NotPrincipal":{"AWS":"acme"}`), "Allow with NotPrincipal"},
		{one(good + `,"NotPrincipal":"*"`), "either Principal or NotPrincipal"},
		{one(good + `,"NotAction":"s3:*"`), "either Action or NotAction"},
		{one(good + `,"NotResource":"arn:aws:s3:::photos"`), "either Resource or NotResource"},
		{one(good + `,"Sid":1`), "Invalid value in Sid"},
		{`{"Statement":[{"Sid":"a",` + good + `},{"Sid":"a",` + good + `}]}`, "must be unique"},
		{one(good + `,"Condition":[]`), "Invalid value in Condition"},
		{one(good + `,"Condition":{"StringEquals":"x"}`), "Invalid value in Condition"},
		{one(good + `,"Condition":{"StringSimilar":{"aws:Referer":"x"}}`), "Invalid Condition type : StringSimilar"},
		{one(good + `,"Condition":{"NullIfExists":{"aws:Referer":"true"}}`), "Invalid Condition type"},
		{one(good + `,"Condition":{"StringEquals":{"aws:Weather":"x"}}`), "invalid condition key"},
		{one(good + `,"Condition":{"StringEquals":{"s3:ExistingObjectTag/":"x"}}`), "invalid condition key"},
		{one(good + `,"Condition":{"StringEquals":{"s3:prefix":[]}}`), "Condition must be"},
		{one(good + `,"Condition":{"IpAddress":{"aws:SourceIp":"here"}}`), "invalid value"},
		{one(good + `,"Condition":{"NumericEquals":{"s3:max-keys":"ten"}}`), "invalid value"},
		{one(good + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"soon"}}`), "invalid value"},
		{one(good + `,"Condition":{"Bool":{"aws:SecureTransport":"yes"}}`), "invalid value"},
		{one(good + `,"Condition":{"Bool":{"aws:SecureTransport":true}}`), ""},
		{one(good + `,"Condition":{"NumericEquals":{"s3:max-keys":10}}`), ""},
	} {
		_, err := Compile([]byte(c.doc), "photos")
		switch {
		case c.text == "" && err != nil:
			t.Errorf("%.300s: %v", c.doc, err)
		case c.text != "" && err == nil:
			t.Errorf("%.300s was taken", c.doc)
		case c.text != "" && (s3xml.From(err).Code != s3xml.MalformedPolicy || !strings.Contains(s3xml.From(err).Text(),
			c.text)):
			t.Errorf("%.300s: %v, want %s", c.doc, err, c.text)
		}
	}
}

// TestConditions: operators on keys, each on one request.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		cond string
		want bool
	}{
		{`"StringEquals":{"s3:prefix":"home/"}`, true},
		{`"StringEquals":{"S3:PREFIX":"home/"}`, true},
		{`"StringEquals":{"s3:prefix":"Home/"}`, false},
		{`"StringEquals":{"s3:prefix":["x","home/"]}`, true},
		{`"StringEquals":{"s3:prefix":"h*"}`, false},
		{`"StringNotEquals":{"s3:prefix":["x","home/"]}`, false},
		{`"StringNotEquals":{"s3:prefix":["x","y"]}`, true},
		{`"StringEqualsIgnoreCase":{"s3:prefix":"HOME/"}`, true},
		{`"StringNotEqualsIgnoreCase":{"s3:prefix":"HOME/"}`, false},
		{`"StringLike":{"s3:prefix":"h?me*"}`, true},
		{`"StringLike":{"s3:prefix":"?"}`, false},
		{`"StringNotLike":{"s3:prefix":"h*"}`, false},
		{`"StringEquals":{"s3:delimiter":"/"}`, false},
		{`"StringNotEquals":{"s3:delimiter":"/"}`, true},
		{`"StringEqualsIfExists":{"s3:delimiter":"/"}`, true},
		{`"StringEqualsIfExists":{"s3:prefix":"x"}`, false},
		{`"Null":{"s3:delimiter":"true"}`, true},
		{`"Null":{"s3:delimiter":"false"}`, false},
		{`"Null":{"s3:prefix":"false"}`, true},
		{`"NumericEquals":{"s3:max-keys":"10"}`, true},
		{`"NumericNotEquals":{"s3:max-keys":"10"}`, false},
		{`"NumericLessThan":{"s3:max-keys":"10"}`, false},
		{`"NumericLessThanEquals":{"s3:max-keys":"10.0"}`, true},
		{`"NumericGreaterThan":{"s3:max-keys":"9"}`, true},
		{`"NumericGreaterThanEquals":{"s3:max-keys":"11"}`, false},
		{`"NumericGreaterThan":{"aws:EpochTime":"1000"}`, true},
		{`"NumericEquals":{"s3:prefix":"1"}`, false},
		{`"DateLessThan":{"aws:CurrentTime":"2026-11-23T12:00:01Z"}`, true},
		{`"DateLessThan":{"aws:CurrentTime":"2026-11-23T12:00:00Z"}`, false},
		{`"DateEquals":{"aws:CurrentTime":"2026-11-23T12:00:00Z"}`, true},
		{`"DateNotEquals":{"aws:CurrentTime":"2026-11-23T12:00:00Z"}`, false},
		{`"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-23"}`, true},
		{`"DateGreaterThan":{"aws:EpochTime":"2026-11-23T11:00Z"}`, true},
		{`"DateLessThanEquals":{"aws:EpochTime":"4000000000"}`, true},
		{`"Bool":{"aws:SecureTransport":"true"}`, true},
		{`"Bool":{"aws:SecureTransport":"False"}`, false},
		{`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, true},
		{`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.7"]}`, true},
		{`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`, false},
		{`"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, false},
		{`"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, true},
		{`"StringLike":{"aws:SourceIp":"192.0.2.*"}`, true},
		{`"StringLike":{"aws:Referer":["https://example.com/*"]}`, true},
		{`"StringLike":{"aws:UserAgent":"curl/*"}`, true},
		{`"StringEquals":{"aws:username":"alice"}`, true},
		{`"StringEquals":{"aws:userid":"AKALICE"}`, true},
		{`"StringEquals":{"aws:PrincipalType":"User"}`, true},
		{`"StringEquals":{"aws:PrincipalAccount":"acme"}`, true},
		{`"StringEquals":{"aws:RequestedRegion":"home"}`, true},
		{`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::acme:user/alice"}`, true},
		{`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/al*"}`, true},
		{`"ArnLike":{"aws:PrincipalArn":"arn:*:user/alice"}`, false},
		{`"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::other:*"}`, true},
		{`"StringEquals":{"aws:SourceVpc":"vpc-1"}`, false},
		{`"Bool":{"aws:MultiFactorAuthPresent":"false"}`, false},
		{`"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}`, true},
		{`"StringEquals":{"s3:x-amz-acl":"public-read"}`, true},
		{`"StringLike":{"s3:x-amz-copy-source":"/src/pub/*"}`, true},
		{`"StringLike":{"s3:x-amz-copy-source":"src/pub/*"}`, true},
		{`"StringLike":{"s3:x-amz-copy-source":"src/priv/*"}`, false},
		{`"StringEquals":{"s3:x-amz-copy-source":"src/pub/key"}`, true},
		{`"StringEquals":{"s3:VersionId":"v1"}`, true},
		{`"StringEquals":{"s3:authType":"REST-HEADER"}`, true},
		{`"StringEquals":{"s3:signatureversion":"AWS4-HMAC-SHA256"}`, true},
		{`"NumericGreaterThan":{"s3:signatureAge":"600000"}`, true},
		{`"NumericGreaterThan":{"s3:signatureAge":"601000"}`, false},
		{`"NumericLessThan":{"s3:TlsVersion":"1.2"}`, false},
		{`"NumericGreaterThanEquals":{"s3:TlsVersion":"1.2"}`, true},
		{`"StringEquals":{"s3:ExistingObjectTag/team":"red"}`, true},
		{`"StringEquals":{"s3:ExistingObjectTag/Team":"red"}`, false},
		{`"StringEquals":{"s3:RequestObjectTag/a":"1"}`, true},
		{`"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["a","b","c"]}`, true},
		{`"ForAllValues:StringEquals":{"s3:RequestObjectTagKeys":["a"]}`, false},
		{`"ForAnyValue:StringEquals":{"s3:RequestObjectTagKeys":["b","x"]}`, true},
		{`"ForAnyValue:StringEquals":{"s3:RequestObjectTagKeys":["x"]}`, false},
		{`"ForAnyValue:StringNotEquals":{"s3:RequestObjectTagKeys":["a"]}`, true},
		{`"ForAllValues:StringNotEquals":{"s3:RequestObjectTagKeys":["a"]}`, false},
		{`"ForAllValues:StringEquals":{"s3:delimiter":"x"}`, true},
		{`"ForAnyValue:StringEquals":{"s3:delimiter":"x"}`, false},
		{`"Null":{"s3:RequestObjectTagKeys":"false"}`, true},
		{`"StringEquals":{"s3:prefix":"${aws:username}/"}`, false},
		{`"StringNotEquals":{"s3:prefix":"${aws:username}/"}`, true},
		{`"StringLike":{"aws:Referer":"https://example.com/${aws:TokenIssueTime, 'a'}"}`, true},
		{`"StringNotEquals":{"s3:prefix":"${aws:TokenIssueTime}"}`, false},
		{`"StringEquals":{"s3:x-amz-acl":"public-read","s3:prefix":"x"}`, false},
		{`"StringEquals":{"s3:x-amz-acl":"public-read"},"Bool":{"aws:SecureTransport":"true"}`, true},
	} {
		p, err := Compile([]byte(doc(allow(anyone, "s3:*", "photos*", `"Condition":{`+c.cond+`}`))), "photos")
		if err != nil {
			t.Errorf("%s: %v", c.cond, err)
			continue
		}
		if got := p.Evaluate(rich()) == Allow; got != c.want {
			t.Errorf("%s: %v", c.cond, got)
		}
	}
}

// rich is a request that has all that conditions ask for.
func rich() *Request {
	q := request(alice, ListBucket, "")
	q.Query = func(name string) (string, bool) {
		v, ok := map[string]string{"prefix": "home/", "max-keys": "10"}[name]
		return v, ok
	}
	q.Header.Set("x-amz-acl", "public-read")
	q.Header.Set("x-amz-copy-source", "/src%2Fpub/k%65y?versionId=v")
	q.VersionID, q.SignatureAge = "v1", 601e9
	q.RequestTags = map[string]string{"a": "1", "b": "2"}
	q.ExistingTags = func() map[string]string { return map[string]string{"team": "red"} }
	return q
}

// TestVariablesBringNoWildcards: what a variable stands for is taken literally.
func TestVariablesBringNoWildcards(t *testing.T) {
	p, err := Compile([]byte(doc(allow(anyone, "s3:GetObject", "photos/${aws:Referer}/x", `"Sid":"a"`))), "photos")
	if err != nil {
		t.Fatal(err)
	}
	for referer, want := range map[string]Decision{
		"a": Allow, "*": None, "?": None, "\xff": None, "\xfe": None,
		"${aws:username}": None, "": None,
	} {
		q := request(somebody, GetObject, "a/x")
		q.Header.Set("Referer", referer)
		if got := p.Evaluate(q); got != want {
			t.Errorf("%q: %v", referer, got)
		}
	}
	// ${*} and the like are those characters, and version 2008-10-17 has no variables.
	p, err = Compile([]byte(doc(allow(anyone, "s3:GetObject", "photos/${*}${?}${$}"))), "photos")
	if err != nil || p.Evaluate(request(somebody, GetObject, "*?$")) != Allow ||
		p.Evaluate(request(somebody, GetObject, "aaa")) != None {
		t.Errorf("literals: %v", err)
	}
	p, err = Compile([]byte(strings.Replace(doc(allow(anyone, "s3:GetObject", "photos/${aws:username}")), "2012-10-17",
		"2008-10-17", 1)), "photos")
	if err != nil || p.Evaluate(request(alice, GetObject, "${aws:username}")) != Allow ||
		p.Evaluate(request(alice, GetObject, "alice")) != None {
		t.Errorf("2008-10-17: %v", err)
	}
}

// TestMeaningOfPublic is AWS's ("Blocking public access", "The meaning of public").
func TestMeaningOfPublic(t *testing.T) {
	cond := func(s string) string {
		return doc(allow(anyone, "s3:GetObject", "photos/*", `"Condition":{`+s+`}`))
	}
	for _, c := range []struct {
		doc  string
		want bool
	}{
		{doc(allow(anyone, "s3:GetObject", "photos/*")), true},
		{doc(allow(`{"AWS":"*"}`, "s3:GetObject", "photos/*")), true},
		{doc(allow(isBob, "s3:GetObject", "photos/*")), false},
		{doc(allow(isBob, "s3:GetObject", "photos/*"), allow(anyone, "s3:GetObject", "photos/pub/*")), true},
		{doc(deny(anyone, "s3:GetObject", "photos/*")), false},
		{doc(allow(anyone, "s3:GetObject", "photos/*"), deny(anyone, "s3:*", "photos/*")), true},
		{cond(`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`), false},
		{cond(`"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}`), true},
		{cond(`"IpAddress":{"aws:SourceIp":["192.0.2.0/24","0.0.0.0/1"]}`), true},
		{cond(`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`), false},
		{cond(`"IpAddress":{"aws:SourceIp":"::/0"}`), true},
		{cond(`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`), false},
		{cond(`"IpAddressIfExists":{"aws:SourceIp":"192.0.2.0/24"}`), true},
		{cond(`"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}`), true},
		{cond(`"StringEquals":{"aws:SourceVpc":"vpc-1"}`), false},
		{cond(`"StringLike":{"aws:SourceVpc":"vpc-*"}`), true},
		{cond(`"StringLike":{"aws:SourceVpc":"vpc-1"}`), false},
		{cond(`"StringEquals":{"aws:SourceVpc":"${aws:username}"}`), true},
		{cond(`"StringNotEquals":{"aws:SourceVpc":"vpc-1"}`), true},
		{cond(`"StringEquals":{"aws:PrincipalOrgID":"o-1"}`), false},
		{cond(`"StringEquals":{"aws:userid":"AKBOB"}`), false},
		{cond(`"StringLike":{"aws:Referer":"https://example.com/*"}`), true},
		{cond(`"Bool":{"aws:SecureTransport":"true"}`), true},
		{cond(`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/x"}`), true},
		{cond(`"ArnEquals":{"aws:SourceArn":"arn:aws:sns:r:1:x"}`), false},
	} {
		p, err := Compile([]byte(c.doc), "photos")
		if err != nil {
			t.Fatalf("%s: %v", c.doc, err)
		}
		if p.IsPublic() != c.want {
			t.Errorf("%s: public is %v", c.doc, p.IsPublic())
		}
	}
	if (*Policy)(nil).IsPublic() || (*Policy)(nil).Evaluate(&Request{}) != None {
		t.Error("no policy")
	}
	if !IsPublicACL(canned(t, AuthenticatedRead, "acme")) || !IsPublicACL(canned(t, PublicRead, "acme")) ||
		IsPublicACL(canned(t, LogDeliveryWrite, "acme")) {
		t.Error("public ACLs")
	}
}

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, s string
		want    bool
	}{
		{"", "", true},
		{"a", "", false},
		{"*", "", true},
		{"*", "abc", true},
		{"a*c", "abbbc", true},
		{"a*c", "abbb", false},
		{"a?c", "aéc", true},
		{"a??c", "aéc", false},
		{"**a**", "xax", true},
		{"*aab", "aaaaaab", true},
		{"?", "", false},
		{"a*b*c", "aXbYbZc", true},
		{"*.jpg", "a.jpg.png", false},
	} {
		p, err := compilePattern(c.glob, true, false)
		if err != nil || match(p.glob, c.s) != c.want || match(p.glob, []byte(c.s)) != c.want {
			t.Errorf("%q on %q", c.glob, c.s)
		}
	}
	// Many stars cost no more than the product of the lengths.
	p, _ := compilePattern(strings.Repeat("*a", 500)+"b", true, false)
	if match(p.glob, strings.Repeat("a", 1024)) {
		t.Error("matched")
	}
	if !matchFold("s3:getobject", "S3:GetObject") || matchFold("s3:get", "s3:GetObject") {
		t.Error("matchFold")
	}
}

// FuzzCompile: what is taken can be evaluated, and everything else is MalformedPolicy.
func FuzzCompile(f *testing.F) {
	for _, r := range rows {
		if r.policy != "" {
			f.Add([]byte(r.policy))
		}
	}
	f.Add([]byte(doc(allow(anyone, "s3:*", "photos*",
		`"Condition":{"ForAllValues:StringNotLike":{"s3:RequestObjectTagKeys":"${aws:username, 'x'}*"},"NotIpAddressIfExists":{"aws:SourceIp":"::1"}}`))))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Compile(b, "photos")
		if err != nil {
			if s3xml.From(err).Code != s3xml.MalformedPolicy {
				t.Fatalf("%v of %q", err, b)
			}
			return
		}
		for _, who := range []Caller{owners, bob, somebody} {
			q := rich()
			q.Caller, q.Key, q.Action = who, "a/b", GetObject
			q.SourceIP = netip.MustParseAddr("2001:db8::1%eth0")
			_ = Authorize(q, nil, &Bucket{Owner: "acme", Policy: p}, nil)
		}
		_ = p.IsPublic()
	})
}

// FuzzGrantHeader: what is taken has grantees that a document can name.
func FuzzGrantHeader(f *testing.F) {
	f.Add(`id="` + CanonicalID("a") + `", uri="` + s3xml.AllUsers + `"`)
	f.Add(`emailAddress=a@b`)
	f.Add(`id=,`)
	f.Fuzz(func(t *testing.T, s string) {
		grants, err := HeaderGrants(map[string][]string{"X-Amz-Grant-Read": {s}})
		if err != nil {
			return
		}
		if _, err := s3xml.ParseACL(s3xml.AppendACL(nil, s3xml.Owner{ID: CanonicalID("o")}, grants, nil)); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func TestReasonsHaveTexts(t *testing.T) {
	seen := map[string]bool{}
	for r := AllowedByScopes; r <= NotGranted; r++ {
		if seen[r.String()] {
			t.Errorf("%d has the text of another", r)
		}
		seen[r.String()] = true
	}
	if fmt.Sprint(None, Allow, Deny) != "none allow deny" || AllowedAsInitiator.Allowed() != true ||
		DeniedByPolicy.Allowed() {
		t.Error("decisions")
	}
}
