package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func s3cmd(t *testing.T, e endpoint) *program {
	t.Helper()
	p := installed(t, "/usr/bin/s3cmd")
	conf := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = "+
		"False\nbucket_location = %s\nsignature_v2 = False\nprogress_meter = False\n",
		e.AccessKey, e.SecretKey, e.host(), e.host(), e.Region)
	if err := os.WriteFile(filepath.Join(p.dir, ".s3cfg"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// s3cmdCannot: s3cmd 2.3.0 on its own side.
func s3cmdCannot(name string) string {
	switch {
	case strings.Contains(name, "\t"):
		return "it strips names of control characters"
	}
	return ""
}

func TestS3cmdCarriesTheCorpus(t *testing.T) {
	e := watch(t, serve(t))
	p := s3cmd(t, e)
	bucket, files := bucketName(t), without(t, corpus(), s3cmdCannot)
	src, back := write(t, files), t.TempDir()
	p.run(t, "mb", "s3://"+bucket)
	p.run(t, "put", "--recursive", "--multipart-chunk-size-mb=5", src+"/", "s3://"+bucket+"/")
	holds(t, connect(e), bucket, "", files)
	if out := p.run(t, "sync", src+"/", "s3://"+bucket+"/"); strings.Contains(out, "upload:") {
		t.Errorf("what is there already was sent again: %s", tail(out))
	}
	p.run(t, "get", "--recursive", "s3://"+bucket+"/", back+"/")
	compare(t, back, files)
	has(t, p.run(t, "du", "s3://"+bucket), fmt.Sprint(len(files), " objects"))
	p.run(t, "del", "--recursive", "--force", "s3://"+bucket)
	p.run(t, "rb", "s3://"+bucket)
}

func TestS3cmdCommands(t *testing.T) {
	e := watch(t, serve(t))
	p := s3cmd(t, e)
	bucket, f := "s3://"+bucketName(t), file{"one", 70000}
	at := filepath.Join(write(t, []file{f}), "one")
	p.run(t, "mb", bucket)
	p.run(t, "put", "--add-header=x-amz-meta-colour:blue", "--mime-type=text/x-odd", at, bucket+"/one")
	has(t, p.run(t, "info", bucket+"/one"), "70000", "text/x-odd")
	has(t, p.run(t, "info", bucket), bucket)
	// Without --acl-private it sets an ACL, which buckets without ACLs refuse, as at AWS.
	p.run(t, "cp", "--acl-private", bucket+"/one", bucket+"/two words")
	p.run(t, "mv", "--acl-private", bucket+"/two words", bucket+"/dir/three+words")
	p.run(t, "modify", "--acl-private", "--add-header=cache-control:no-store", bucket+"/one")
	has(t, p.run(t, "ls", bucket), "dir/", "one")
	policy := filepath.Join(p.dir, "policy")
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::` + strings.TrimPrefix(bucket, "s3://") + `/secret/*"}]}`
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "setpolicy", policy, bucket)
	has(t, p.run(t, "info", bucket), "s3:GetObject")
	p.run(t, "delpolicy", bucket)
	p.run(t, "expire", "--expiry-days=30", "--expiry-prefix=logs/", bucket)
	has(t, p.run(t, "getlifecycle", bucket), "logs/")
	p.run(t, "sync", "--delete-removed", "--force", t.TempDir()+"/", bucket+"/dir/")
	if out := p.run(t, "ls", bucket+"/dir/"); strings.TrimSpace(out) != "" {
		t.Errorf("left after a sync with nothing: %s", out)
	}
	has(t, p.fails(t, "get", bucket+"/nothing", at+".x"), "does not exist")
}
