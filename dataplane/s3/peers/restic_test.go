package peers

import (
	"os"
	"path/filepath"
	"testing"
)

func TestResticBacksUpAndRestores(t *testing.T) {
	e := watch(t, serve(t))
	p := installed(t, "/usr/bin/restic", "AWS_ACCESS_KEY_ID="+e.AccessKey, "AWS_SECRET_ACCESS_KEY="+e.SecretKey,
		"AWS_DEFAULT_REGION="+e.Region,
		"RESTIC_REPOSITORY=s3:"+e.URL+"/"+bucketName(t)+"/backups", "RESTIC_PASSWORD=a password of tests")
	files := corpus()
	src := write(t, files)
	p.run(t, "init")
	p.dir = src
	p.run(t, "backup", ".")
	p.run(t, "check", "--read-data")
	for _, f := range files[:300] {
		if err := os.Remove(filepath.Join(src, f.name)); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, "backup", ".")
	p.run(t, "forget", "--keep-last", "1", "--prune", "--max-unused", "0")
	p.run(t, "check", "--read-data")
	p.run(t, "prune")
	back := t.TempDir()
	p.run(t, "restore", "latest", "--target", back)
	compare(t, back, files[300:])
	has(t, p.run(t, "snapshots"), "1 snapshots")
	p.run(t, "rebuild-index")
	p.run(t, "unlock", "--remove-all")
	p.env = append(p.env, "RESTIC_PASSWORD=wrong")
	has(t, p.fails(t, "snapshots"), "wrong password")
}
