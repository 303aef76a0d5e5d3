package s3xml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// parsers are all of them, with the root that each takes.
var parsers = map[string]func([]byte) error{
	"CreateBucketConfiguration":         func(b []byte) error { _, err := ParseCreateBucket(b); return err },
	"Delete":                            func(b []byte) error { _, err := ParseDelete(b); return err },
	"CompleteMultipartUpload":           func(b []byte) error { _, err := ParseComplete(b); return err },
	"Tagging":                           func(b []byte) error { _, err := ParseTagging(b, MaxObjectTags); return err },
	"VersioningConfiguration":           func(b []byte) error { _, err := ParseVersioning(b); return err },
	"AccessControlPolicy":               func(b []byte) error { _, err := ParseACL(b); return err },
	"CORSConfiguration":                 func(b []byte) error { _, err := ParseCORS(b); return err },
	"LifecycleConfiguration":            func(b []byte) error { _, err := ParseLifecycle(b); return err },
	"PublicAccessBlockConfiguration":    func(b []byte) error { _, err := ParsePublicAccessBlock(b); return err },
	"OwnershipControls":                 func(b []byte) error { _, err := ParseOwnershipControls(b); return err },
	"ServerSideEncryptionConfiguration": func(b []byte) error { _, err := ParseEncryption(b); return err },
	"RequestPaymentConfiguration":       ParseRequestPayment,
}

var canonical = strings.Repeat("0123456789abcdef", 4)

// refusals are documents that AWS refuses, and its code; "" is taken.
var refusals = []struct {
	root, body string
	want       Code
}{
	{"CreateBucketConfiguration", "<LocationConstraint>eu</LocationConstraint>", ""},
	{"CreateBucketConfiguration", "", ""},
	{"CreateBucketConfiguration", "<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>", ""},
	{"CreateBucketConfiguration", "<Bucket><Type>Directory</Type></Bucket>", NotImplemented},
	{"CreateBucketConfiguration", "<Else>eu</Else>", MalformedXML},
	{"CreateBucketConfiguration", "text", MalformedXML},

	{"Delete", "<Object><Key>a</Key></Object>", ""},
	{"Delete", "", MalformedXML},
	{"Delete", "<Quiet>true</Quiet>", MalformedXML},
	{"Delete", "<Quiet>maybe</Quiet><Object><Key>a</Key></Object>", MalformedXML},
	{"Delete", "<Object><Key></Key></Object>", UserKeyMustBeSpecified},
	{"Delete", "<Object><Key>a</Key><Key>b</Key></Object>", MalformedXML},
	{"Delete", "<Object><Key>a<b/></Key></Object>", MalformedXML},
	{"Delete", "<Object><Key>a</Key><Size>x</Size></Object>", MalformedXML},
	{"Delete", strings.Repeat("<Object><Key>a</Key></Object>", 1000), ""},
	{"Delete", strings.Repeat("<Object><Key>a</Key></Object>", 1001), MalformedXML},
	{"Delete", "<Object Key='\x01'><Key>k</Key></Object>", MalformedXML},
	{"Tagging", "<TagSet><Tag><Key>&#x1;</Key><Value>v</Value></Tag></TagSet>", MalformedXML},

	{"CompleteMultipartUpload", "<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>", ""},
	{"CompleteMultipartUpload", parts(1, 10_000), ""},
	{"CompleteMultipartUpload", parts(1, 10_001), InvalidArgument},
	{"CompleteMultipartUpload", parts(0, 2), InvalidArgument},
	{"CompleteMultipartUpload", "", MalformedXML},
	{"CompleteMultipartUpload", parts(2, 2) + parts(1, 1), InvalidPartOrder},
	{"CompleteMultipartUpload", parts(2, 2) + parts(2, 2), InvalidPartOrder},
	{"CompleteMultipartUpload", "<Part><PartNumber>1</PartNumber></Part>", MalformedXML},
	{"CompleteMultipartUpload", "<Part><PartNumber>x</PartNumber><ETag>e</ETag></Part>", MalformedXML},
	{
		"CompleteMultipartUpload",
		"<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumCRC32>AQID</ChecksumCRC32></Part>", InvalidRequest,
	},
	{
		"CompleteMultipartUpload",
		"<Part><PartNumber>1</PartNumber><ETag>e</ETag><ChecksumMD4>AQID</ChecksumMD4></Part>",
		MalformedXML,
	},

	{"Tagging", "<TagSet></TagSet>", ""},
	{"Tagging", "", MalformedXML},
	{"Tagging", "<TagSet><Tag><Key>a</Key></Tag></TagSet>", MalformedXML},
	{"Tagging", tags(10), ""},
	{"Tagging", tags(11), BadRequest},
	{"Tagging", "<TagSet><Tag><Key>a</Key><Value/></Tag><Tag><Key>a</Key><Value/></Tag></TagSet>", InvalidTag},
	{"Tagging", "<TagSet><Tag><Key>aws:x</Key><Value/></Tag></TagSet>", InvalidTag},
	{"Tagging", "<TagSet><Tag><Key></Key><Value/></Tag></TagSet>", InvalidTag},
	{"Tagging", "<TagSet><Tag><Key>a!</Key><Value/></Tag></TagSet>", InvalidTag},
	{"Tagging", "<TagSet><Tag><Key>" + strings.Repeat("é", 128) + "</Key><Value>" + strings.Repeat("日", 256) +
		"</Value></Tag></TagSet>", ""},
	{"Tagging", "<TagSet><Tag><Key>" + strings.Repeat("a", 129) + "</Key><Value/></Tag></TagSet>", InvalidTag},
	{"Tagging", "<TagSet><Tag><Key>a</Key><Value>" + strings.Repeat("a", 257) + "</Value></Tag></TagSet>", InvalidTag},

	{"VersioningConfiguration", "<Status>Enabled</Status>", ""},
	{"VersioningConfiguration", "<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>", ""},
	{"VersioningConfiguration", "<Status>enabled</Status>", MalformedXML},
	{"VersioningConfiguration", "", IllegalVersioningConfigurationException},
	{"VersioningConfiguration", "<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>", NotImplemented},

	{"AccessControlPolicy", acl(`xsi:type="CanonicalUser"`, "<ID>"+canonical+"</ID>", "READ"), ""},
	{"AccessControlPolicy", acl(``, "<ID>"+canonical+"</ID>", "FULL_CONTROL"), ""},
	{"AccessControlPolicy", acl(`xsi:type="Group"`, "<URI>"+AllUsers+"</URI>", "READ"), ""},
	{"AccessControlPolicy", acl(`xsi:type="Group"`, "<URI>http://else</URI>", "READ"), InvalidArgument},
	{"AccessControlPolicy", acl(`xsi:type="CanonicalUser"`, "<ID>me</ID>", "READ"), InvalidArgument},
	{"AccessControlPolicy", acl(`xsi:type="Group"`, "<ID>"+canonical+"</ID>", "READ"), MalformedACLError},
	{
		"AccessControlPolicy", acl(`xsi:type="AmazonCustomerByEmail"`, "<EmailAddress>a@b</EmailAddress>", "READ"),
		UnresolvableGrantByEmailAddress,
	},
	{"AccessControlPolicy", acl(``, "<ID>"+canonical+"</ID>", "ALL"), MalformedACLError},
	{"AccessControlPolicy", "<AccessControlList/>", ""},
	{"AccessControlPolicy", "", MalformedACLError},

	{"CORSConfiguration", cors("*", "GET", "*", "ETag"), ""},
	{"CORSConfiguration", "", MalformedXML},
	{"CORSConfiguration", "<CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule>", MalformedXML},
	{"CORSConfiguration", cors("*", "PATCH", "*", "ETag"), InvalidRequest},
	{"CORSConfiguration", cors("*", "get", "*", "ETag"), InvalidRequest},
	{"CORSConfiguration", cors("*.*", "GET", "*", "ETag"), InvalidRequest},
	{"CORSConfiguration", cors("*", "GET", "x-*-*", "ETag"), InvalidRequest},
	{"CORSConfiguration", cors("*", "GET", "*", "x-*"), InvalidRequest},
	{"CORSConfiguration", cors("*", "GET", "*", "x&#xA;y"), InvalidRequest},
	{"CORSConfiguration", strings.Repeat(cors("*", "GET", "*", "ETag"), 100), ""},
	{"CORSConfiguration", strings.Repeat(cors("*", "GET", "*", "ETag"), 101), InvalidRequest},

	{"LifecycleConfiguration", rule("<Prefix/>", "<Expiration><Days>1</Days></Expiration>"), ""},
	{"LifecycleConfiguration", rule("<Filter/>", "<Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration>"), ""},
	{"LifecycleConfiguration", rule("<Filter><Prefix>a</Prefix></Filter>",
		"<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"), ""},
	{
		"LifecycleConfiguration",
		rule("<Filter><And><Prefix>a</Prefix><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value>d</Value></Tag></And></Filter>", "<Expiration><Days>1</Days></Expiration>"), "",
	},
	{"LifecycleConfiguration", "", MalformedXML},
	{"LifecycleConfiguration", rule("", "<Expiration><Days>1</Days></Expiration>"), MalformedXML},
	{"LifecycleConfiguration", rule("<Prefix/><Filter/>", "<Expiration><Days>1</Days></Expiration>"), MalformedXML},
	{
		"LifecycleConfiguration", "<Rule><Prefix/><Status>On</Status><Expiration><Days>1</Days></Expiration></Rule>",
		MalformedXML,
	},
	{"LifecycleConfiguration", rule("<Filter><Prefix>a</Prefix><ObjectSizeLessThan>4</ObjectSizeLessThan></Filter>",
		"<Expiration><Days>1</Days></Expiration>"), MalformedXML},
	{"LifecycleConfiguration", rule("<Filter><And><Prefix>a</Prefix></And></Filter>",
		"<Expiration><Days>1</Days></Expiration>"), MalformedXML},
	{
		"LifecycleConfiguration",
		rule("<Filter><And><Prefix>a</Prefix><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>a</Key><Value>d</Value></Tag></And></Filter>", "<Expiration><Days>1</Days></Expiration>"), InvalidRequest,
	},
	{"LifecycleConfiguration", rule("<Filter><ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></Filter>",
		"<Expiration><Days>1</Days></Expiration>"), InvalidArgument},
	{"LifecycleConfiguration", rule("<Prefix/>", "<Expiration><Days>0</Days></Expiration>"), InvalidArgument},
	{"LifecycleConfiguration", rule("<Prefix/>",
		"<Expiration><Days>1</Days><Date>2030-01-01T00:00:00Z</Date></Expiration>"), MalformedXML},
	{"LifecycleConfiguration", rule("<Prefix/>", "<Expiration/>"), MalformedXML},
	{
		"LifecycleConfiguration", rule("<Prefix/>", "<Expiration><Date>2030-01-01T00:00:01Z</Date></Expiration>"),
		InvalidArgument,
	},
	{"LifecycleConfiguration", rule("<Prefix/>", "<Expiration><Date>soon</Date></Expiration>"), MalformedXML},
	{"LifecycleConfiguration", rule("<Prefix/>",
		"<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"), NotImplemented},
	{"LifecycleConfiguration", rule("<Filter/>", "<NoncurrentVersionTransition/>"), NotImplemented},
	{"LifecycleConfiguration", rule("<Filter/>",
		"<NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions></NoncurrentVersionExpiration>"), MalformedXML},
	{"LifecycleConfiguration", strings.Repeat(rule("<Prefix/>", "<Expiration><Days>1</Days></Expiration>"), 1000), ""},
	{
		"LifecycleConfiguration", strings.Repeat(rule("<Prefix/>", "<Expiration><Days>1</Days></Expiration>"), 1001),
		MalformedXML,
	},

	{"PublicAccessBlockConfiguration", "<BlockPublicAcls>TRUE</BlockPublicAcls>", ""},
	{"PublicAccessBlockConfiguration", "", InvalidRequest},
	{"PublicAccessBlockConfiguration", "<BlockPublicAcls>1</BlockPublicAcls>", MalformedXML},
	{"OwnershipControls", "<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>", ""},
	{"OwnershipControls", "<Rule><ObjectOwnership>Mine</ObjectOwnership></Rule>", MalformedXML},
	{"OwnershipControls", "", MalformedXML},
	{"ServerSideEncryptionConfiguration", sse("AES256", ""), ""},
	{"ServerSideEncryptionConfiguration", sse("aws:kms", "k"), ""},
	{"ServerSideEncryptionConfiguration", sse("AES256", "k"), InvalidArgument},
	{"ServerSideEncryptionConfiguration", sse("aws:kms:dsse", ""), NotImplemented},
	{"ServerSideEncryptionConfiguration", sse("ROT13", ""), MalformedXML},
	{"ServerSideEncryptionConfiguration", "", MalformedXML},
	{"RequestPaymentConfiguration", "<Payer>BucketOwner</Payer>", ""},
	{"RequestPaymentConfiguration", "<Payer>Requester</Payer>", NotImplemented},
	{"RequestPaymentConfiguration", "<Payer>Me</Payer>", MalformedXML},
}

func parts(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, `<Part><PartNumber>%d</PartNumber><ETag>"e"</ETag></Part>`, i)
	}
	return b.String()
}

func tags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<Tag><Key>k%d</Key><Value>v</Value></Tag>", i)
	}
	return "<TagSet>" + b.String() + "</TagSet>"
}

func acl(attr, grantee, permission string) string {
	return `<Owner><ID>` + canonical + `</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="` + xsi + `" ` +
		attr + `>` +
		grantee + `</Grantee><Permission>` + permission + `</Permission></Grant></AccessControlList>`
}

func cors(origin, method, header, expose string) string {
	return "<CORSRule><AllowedOrigin>" + origin + "</AllowedOrigin><AllowedMethod>" + method +
		"</AllowedMethod><AllowedHeader>" + header +
		"</AllowedHeader><ExposeHeader>" + expose + "</ExposeHeader></CORSRule>"
}

func rule(filter, actions string) string {
	return "<Rule>" + filter + "<Status>Enabled</Status>" + actions + "</Rule>"
}

func sse(algorithm, key string) string {
	if key != "" {
		key = "<KMSMasterKeyID>" + key + "</KMSMasterKeyID>"
	}
	return "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>" + algorithm + "</SSEAlgorithm>" + key +
		"</ApplyServerSideEncryptionByDefault></Rule>"
}

func TestParsersRefuseWhatAWSRefuses(t *testing.T) {
	for _, c := range refusals {
		for _, ns := range []string{"", ` xmlns="` + Namespace + `"`} {
			doc := "<" + c.root + ns + ">" + c.body + "</" + c.root + ">"
			err := parsers[c.root]([]byte(doc))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%.200s: %v", doc, err)
			case c.want != "" && !errors.Is(err, c.want):
				t.Errorf("%.200s: %v, want %s", doc, err, c.want)
			}
		}
	}
}

// TestHostileDocuments: what no parser takes, whatever it is for.
func TestHostileDocuments(t *testing.T) {
	for root, parse := range parsers {
		for name, doc := range map[string]string{
			"empty":         "",
			"no XML":        "{}",
			"another root":  "<Other/>",
			"unclosed":      "<" + root + ">",
			"two roots":     "<" + root + "/><" + root + "/>",
			"DTD":           "<!DOCTYPE x><" + root + "/>",
			"entity":        `<!DOCTYPE x [<!ENTITY e "eeeeeeee">]><` + root + ">&e;</" + root + ">",
			"own entity":    "<" + root + ">&e;</" + root + ">",
			"inner DTD":     "<" + root + "><!DOCTYPE x></" + root + ">",
			"other charset": `<?xml version="1.0" encoding="UTF-16"?><` + root + "/>",
			"invalid UTF-8": "<" + root + ">\xff</" + root + ">",
			"text after":    "<" + root + "/>tail",
			"deep": "<" + root + ">" + strings.Repeat("<a>", 100_000) + strings.Repeat("</a>", 100_000) +
				"</" + root + ">",
			"attributes": "<" + root + strings.Repeat(` a=""`, 100_000) + "/>",
			"long text":  "<" + root + ">" + strings.Repeat("a", 100_000) + "</" + root + ">",
			"many":       "<" + root + ">" + strings.Repeat("<a/>", 200_000) + "</" + root + ">",
		} {
			if root == "CreateBucketConfiguration" && name == "empty" {
				continue // a bucket with the defaults
			}
			if err := parse([]byte(doc)); !errors.Is(err, MalformedXML) && !errors.Is(err, MalformedACLError) {
				t.Errorf("%s, %s: %v", root, name, err)
			}
		}
	}
}

// counter gives spaces for ever and counts them.
type counter struct{ n int64 }

func (c *counter) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	c.n += int64(len(p))
	return len(p), nil
}

// TestHugeDocumentIsNotRead: of 100 MB only what is allowed is read, and a little.
func TestHugeDocumentIsNotRead(t *testing.T) {
	for _, limit := range []int{MaxDocument, MaxDeleteDocument, MaxCompleteDocument} {
		c := &counter{}
		if _, err := ReadDocument(io.LimitReader(c, 100<<20), limit); !errors.Is(err, MaxMessageLengthExceeded) {
			t.Error(err)
		}
		if c.n > int64(limit)+1 {
			t.Errorf("%d octets were read of a document that may have %d", c.n, limit)
		}
	}
	if doc, err := ReadDocument(bytes.NewReader(make([]byte, 10)), 10); err != nil || len(doc) != 10 {
		t.Errorf("a document of exactly the limit: %v", err)
	}
	if _, err := ReadDocument(io.MultiReader(strings.NewReader("x"), failing{}), 10); !errors.Is(err, BadDigest) {
		t.Errorf("an error of the reader became %v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, New(BadDigest) }

// fuzz is the body of each parser's fuzz test: it ends, and what it refuses has a code of
// the table.
func fuzz(f *testing.F, root string) {
	for _, c := range refusals {
		if c.root == root && len(c.body) < 2000 {
			f.Add([]byte("<" + root + ` xmlns="` + Namespace + `">` + c.body + "</" + root + ">"))
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		err := parsers[root](doc)
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || !e.Code.Known() || e.HTTPStatus() >= 500 && e.Code != NotImplemented {
			t.Fatalf("%v of %q", err, doc)
		}
	})
}

func FuzzCreateBucket(f *testing.F)      { fuzz(f, "CreateBucketConfiguration") }
func FuzzDelete(f *testing.F)            { fuzz(f, "Delete") }
func FuzzComplete(f *testing.F)          { fuzz(f, "CompleteMultipartUpload") }
func FuzzTagging(f *testing.F)           { fuzz(f, "Tagging") }
func FuzzVersioning(f *testing.F)        { fuzz(f, "VersioningConfiguration") }
func FuzzACL(f *testing.F)               { fuzz(f, "AccessControlPolicy") }
func FuzzPublicAccessBlock(f *testing.F) { fuzz(f, "PublicAccessBlockConfiguration") }
func FuzzOwnership(f *testing.F)         { fuzz(f, "OwnershipControls") }
func FuzzEncryption(f *testing.F)        { fuzz(f, "ServerSideEncryptionConfiguration") }

// FuzzCORS: rules that are taken are taken again as they were written.
func FuzzCORS(f *testing.F) {
	seed(f, "CORSConfiguration")
	f.Fuzz(func(t *testing.T, doc []byte) {
		rules, err := ParseCORS(doc)
		if err != nil {
			return
		}
		again, err := ParseCORS(AppendCORS(nil, rules))
		if err != nil || len(again) != len(rules) {
			t.Fatalf("%v of %q", err, doc)
		}
		for i := range rules {
			if again[i].String() != rules[i].String() {
				t.Fatalf("%v became %v", rules[i], again[i])
			}
		}
	})
}

// FuzzLifecycle likewise.
func FuzzLifecycle(f *testing.F) {
	seed(f, "LifecycleConfiguration")
	f.Fuzz(func(t *testing.T, doc []byte) {
		rules, err := ParseLifecycle(doc)
		if err != nil {
			return
		}
		again, err := ParseLifecycle(AppendLifecycle(nil, rules))
		if err != nil || len(again) != len(rules) {
			t.Fatalf("%v of %q", err, doc)
		}
		for i := range rules {
			if again[i].String() != rules[i].String() {
				t.Fatalf("%v became %v", rules[i], again[i])
			}
		}
	})
}

func seed(f *testing.F, root string) {
	for _, c := range refusals {
		if c.root == root && len(c.body) < 2000 {
			f.Add([]byte("<" + root + ">" + c.body + "</" + root + ">"))
		}
	}
}

// FuzzTagHeader: what is taken fits in a document of tags.
func FuzzTagHeader(f *testing.F) {
	for _, s := range []string{"", "a=b&c=d", "a", "a=%20+", "a=b&a=c", "%zz", "aws:x=1", "%ff=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tags, err := ParseTagHeader(s)
		if err != nil {
			return
		}
		if back, err := ParseTagging(AppendTagging(nil, tags), MaxObjectTags); err != nil || len(back) != len(tags) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

func BenchmarkParseDelete1000(b *testing.B) {
	doc := []byte("<Delete>" + strings.Repeat("<Object><Key>photos/2026/11/23/0123456789.jpg</Key></Object>", 1000) +
		"</Delete>")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDelete(doc); err != nil {
			b.Fatal(err)
		}
	}
}
