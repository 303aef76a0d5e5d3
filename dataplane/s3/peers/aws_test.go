package peers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// awsCLI is Debian's, of 2022: before checksums by trailer.
func awsCLI(t *testing.T, e endpoint) (s3, s3api func(args ...string) string, p *program) {
	t.Helper()
	p = installed(t, "/usr/bin/aws", "AWS_ACCESS_KEY_ID="+e.AccessKey, "AWS_SECRET_ACCESS_KEY="+e.SecretKey,
		"AWS_DEFAULT_REGION="+e.Region, "AWS_PAGER=")
	with := func(service string) func(...string) string {
		return func(args ...string) string {
			t.Helper()
			return p.run(t, append([]string{"--endpoint-url", e.URL, "--output", "json", service}, args...)...)
		}
	}
	return with("s3"), with("s3api"), p
}

// awsCannot: the CLI on its own side.
func awsCannot(name string) string {
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > 246 {
			return "it writes to a temporary file, whose name is the file's with nine octets more than a file system " +
				"allows"
		}
	}
	return ""
}

func TestAWSCLICarriesTheCorpus(t *testing.T) {
	e := watch(t, serve(t))
	s3, _, _ := awsCLI(t, e)
	c, bucket, files := connect(e), bucketName(t), without(t, corpus(), awsCannot)
	src, back := write(t, files), t.TempDir()
	s3("mb", "s3://"+bucket)
	s3("cp", "--recursive", "--no-progress", src, "s3://"+bucket+"/")
	holds(t, c, bucket, "", files)
	if out := s3("sync", "--no-progress", "--size-only", src, "s3://"+bucket+"/"); strings.Contains(out, "upload:") {
		t.Errorf("what is there already was sent again: %s", tail(out))
	}
	s3("cp", "--recursive", "--no-progress", "s3://"+bucket+"/", back)
	compare(t, back, files)
	has(t, s3("ls", "--recursive", "--summarize", "s3://"+bucket), fmt.Sprint("Total Objects: ", len(files)))
	s3("sync", "--delete", "--no-progress", t.TempDir(), "s3://"+bucket+"/many/")
	if left := list(t, c, bucket, "many/"); len(left) != 0 {
		t.Errorf("%d left after sync --delete with nothing", len(left))
	}
	s3("rb", "--force", "s3://"+bucket)
}

func TestAWSCLICommands(t *testing.T) {
	e := watch(t, serve(t))
	s3, api, p := awsCLI(t, e)
	bucket := bucketName(t)
	f := file{"one", 70000}
	src := write(t, []file{f})
	at := filepath.Join(src, f.name)
	api("create-bucket", "--bucket", bucket)
	has(t, api("list-buckets"), bucket)
	api("head-bucket", "--bucket", bucket)
	api("get-bucket-location", "--bucket", bucket)
	has(t, api("put-object", "--bucket", bucket, "--key", "one", "--body", at, "--metadata", "colour=blue",
		"--content-type", "text/x-odd", "--cache-control", "no-store"), "ETag")
	has(t, api("head-object", "--bucket", bucket, "--key", "one"), `"colour": "blue"`, "text/x-odd", "no-store",
		"70000")
	part := filepath.Join(p.dir, "part")
	has(t, api("get-object", "--bucket", bucket, "--key", "one", "--range", "bytes=65530-65550", part),
		"bytes 65530-65550/70000")
	if got, err := os.ReadFile(part); err != nil || string(got) != string(content(f)[65530:65551]) {
		t.Errorf("the range came back as %q, %v", got, err)
	}
	api("put-object-tagging", "--bucket", bucket, "--key", "one", "--tagging", "TagSet=[{Key=a,Value=b c}]")
	has(t, api("get-object-tagging", "--bucket", bucket, "--key", "one"), `"b c"`)
	has(t, api("get-object-attributes", "--bucket", bucket, "--key", "one", "--object-attributes", "ETag", "ObjectSize",
		"StorageClass"), "70000", "STANDARD")
	api("copy-object", "--bucket", bucket, "--key", "two words", "--copy-source", bucket+"/one")
	s3("mv", "s3://"+bucket+"/two words", "s3://"+bucket+"/dir/two+words")
	has(t, s3("ls", "s3://"+bucket+"/"), "PRE dir/", "one")
	has(t, api("list-objects-v2", "--bucket", bucket, "--max-items", "1"), "NextToken")
	has(t, api("list-objects", "--bucket", bucket, "--delimiter", "/"), `"Prefix": "dir/"`)
	versions(t, api, bucket, at)
	configure(t, api, bucket)
	link := strings.TrimSpace(s3("presign", "s3://"+bucket+"/dir/two+words"))
	if status, body := ask(t, "GET", link, nil); status != 200 || string(body) != string(content(f)) {
		t.Errorf("the presigned link gives %d and %d octets", status, len(body))
	}
	has(t, p.fails(t, "--endpoint-url", e.URL, "s3api", "get-object", "--bucket", bucket, "--key", "nothing", part),
		"NoSuchKey")
	has(t, p.fails(t, "--endpoint-url", e.URL, "s3api", "delete-bucket", "--bucket", bucket), "BucketNotEmpty")
}

func versions(t *testing.T, api func(...string) string, bucket, at string) {
	t.Helper()
	api("put-bucket-versioning", "--bucket", bucket, "--versioning-configuration", "Status=Enabled")
	has(t, api("get-bucket-versioning", "--bucket", bucket), "Enabled")
	var put struct{ VersionId string }
	if err := json.Unmarshal([]byte(api("put-object", "--bucket", bucket, "--key", "kept", "--body", at)),
		&put); err != nil || put.VersionId == "" {
		t.Fatalf("no version came back: %v", err)
	}
	has(t, api("delete-object", "--bucket", bucket, "--key", "kept"), `"DeleteMarker": true`)
	has(t, api("list-object-versions", "--bucket", bucket, "--prefix", "kept"), "DeleteMarkers", put.VersionId)
	has(t, api("get-object", "--bucket", bucket, "--key", "kept", "--version-id", put.VersionId, at+".back"),
		put.VersionId)
	api("delete-object", "--bucket", bucket, "--key", "kept", "--version-id", put.VersionId)
}

func configure(t *testing.T, api func(...string) string, bucket string) {
	t.Helper()
	api("put-bucket-cors", "--bucket", bucket, "--cors-configuration",
		`{"CORSRules":[{"AllowedOrigins":["https://example.test"],"AllowedMethods":["GET"]}]}`)
	has(t, api("get-bucket-cors", "--bucket", bucket), "https://example.test")
	api("put-bucket-lifecycle-configuration", "--bucket", bucket, "--lifecycle-configuration",
		`{"Rules":[{"ID":"old","Status":"Enabled","Filter":{"Prefix":"logs/"},"Expiration":{"Days":30},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":7}}]}`)
	has(t, api("get-bucket-lifecycle-configuration", "--bucket", bucket), `"logs/"`)
	api("put-bucket-policy", "--bucket", bucket, "--policy",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::`+bucket+`/secret/*"}]}`)
	has(t, api("get-bucket-policy", "--bucket", bucket), "s3:GetObject")
	api("delete-bucket-policy", "--bucket", bucket)
	api("put-public-access-block", "--bucket", bucket, "--public-access-block-configuration",
		"BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true")
	has(t, api("get-public-access-block", "--bucket", bucket), "true")
	has(t, api("get-bucket-ownership-controls", "--bucket", bucket), "ObjectOwnership")
	has(t, api("get-bucket-encryption", "--bucket", bucket), "AES256")
	has(t, api("get-bucket-acl", "--bucket", bucket), "FULL_CONTROL")
	api("put-bucket-tagging", "--bucket", bucket, "--tagging", "TagSet=[{Key=team,Value=x}]")
	has(t, api("get-bucket-tagging", "--bucket", bucket), "team")
}
