package peers

import (
	"path/filepath"
	"testing"
)

func TestBoto3(t *testing.T) {
	e := watch(t, serve(t))
	p := installed(t, "/usr/bin/python3", "ENDPOINT="+e.URL, "AWS_ACCESS_KEY_ID="+e.AccessKey,
		"AWS_SECRET_ACCESS_KEY="+e.SecretKey, "AWS_DEFAULT_REGION="+e.Region)
	script, err := filepath.Abs(filepath.Join("testdata", "boto.py"))
	if err != nil {
		t.Fatal(err)
	}
	files := corpus()
	src, back := write(t, files), t.TempDir()
	t.Log(p.run(t, script, src, bucketName(t), back))
	compare(t, back, files)
}
