package peers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func rclone(t *testing.T, e endpoint) *program {
	t.Helper()
	return installed(t, "/usr/bin/rclone", "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_D_TYPE=s3",
		"RCLONE_CONFIG_D_PROVIDER=Other", "RCLONE_CONFIG_D_ENDPOINT="+e.URL,
		"RCLONE_CONFIG_D_ACCESS_KEY_ID="+e.AccessKey, "RCLONE_CONFIG_D_SECRET_ACCESS_KEY="+e.SecretKey,
		"RCLONE_CONFIG_D_REGION="+e.Region,
		"RCLONE_CONFIG_D_CHUNK_SIZE=5M", "RCLONE_CONFIG_D_UPLOAD_CUTOFF=6M", "RCLONE_NO_UNICODE_NORMALIZATION=true",
		"RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1")
}

func TestRcloneCarriesTheCorpus(t *testing.T) {
	e := watch(t, serve(t))
	p := rclone(t, e)
	bucket, files := bucketName(t), corpus()
	src, back, all := write(t, files), t.TempDir(), "d:"+bucket
	// It sends x-amz-acl: private with everything unless told otherwise, which buckets
	// without ACLs refuse, here as at AWS.
	if _, err := connect(e).CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket:          &bucket,
		ObjectOwnership: types.ObjectOwnershipObjectWriter,
	}); err != nil {
		t.Fatal(err)
	}
	p.run(t, "copy", src, all)
	holds(t, connect(e), bucket, "", files)
	p.run(t, "check", "--download", src, all)
	p.run(t, "check", src, all)
	p.run(t, "copy", all, back)
	compare(t, back, files)
	if out, errs, err := p.try(t, "sync", "-v", src, all); err != nil || strings.Contains(errs, "Copied") {
		t.Errorf("what is there already was sent again: %v %s%s", err, tail(out), tail(errs))
	}
	some := write(t, files[:100])
	p.run(t, "sync", some, all)
	holds(t, connect(e), bucket, "", files[:100])
	p.run(t, "purge", "d:"+bucket)
}

func TestRcloneCommands(t *testing.T) {
	e := watch(t, serve(t))
	p := rclone(t, e)
	p.env = append(p.env, "RCLONE_CONFIG_D_ACL=bucket-owner-full-control", "RCLONE_CONFIG_D_BUCKET_ACL=private")
	bucket, f := "d:"+bucketName(t), file{"one", 70000}
	src := write(t, []file{f})
	p.run(t, "mkdir", bucket)
	p.run(t, "copyto", filepath.Join(src, "one"), bucket+"/dir/one")
	if got := p.run(t, "cat", bucket+"/dir/one"); got != string(content(f)) {
		t.Errorf("cat gives %d octets", len(got))
	}
	if got := p.run(t, "cat", "--offset", "65530", "--count", "20",
		bucket+"/dir/one"); got != string(content(f)[65530:65550]) {
		t.Errorf("a part is %q", got)
	}
	p.run(t, "moveto", bucket+"/dir/one", bucket+"/dir/two words")
	p.run(t, "check", "--one-way", "--size-only", src, src)
	has(t, p.run(t, "lsf", "-R", bucket), "dir/two words")
	has(t, p.run(t, "size", bucket), "70000 Byte")
	link := strings.TrimSpace(p.run(t, "link", bucket+"/dir/two words"))
	if status, body := ask(t, "GET", link, nil); status != 200 || string(body) != string(content(f)) {
		t.Errorf("the link gives %d and %d octets", status, len(body))
	}
	p.run(t, "touch", bucket+"/dir/empty")
	p.run(t, "settier", "STANDARD", bucket+"/dir/two words")
	p.run(t, "deletefile", bucket+"/dir/empty")
	p.run(t, "backend", "cleanup", bucket)
	p.run(t, "delete", bucket)
	p.run(t, "rmdir", bucket)
	if _, err := os.Stat(src); err != nil {
		t.Error(err)
	}
}
