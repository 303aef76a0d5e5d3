package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestJavaScriptSDK installs the SDK as it is today.
func TestJavaScriptSDK(t *testing.T) {
	e := watch(t, serve(t))
	dir := t.TempDir()
	files := corpus()
	src, back := write(t, files), t.TempDir()
	p := installed(t, "node", "ENDPOINT="+e.URL, "AWS_ACCESS_KEY_ID="+e.AccessKey, "AWS_SECRET_ACCESS_KEY="+e.SecretKey,
		"AWS_REGION="+e.Region,
		"SRC="+src, "BACK="+back, "BUCKET="+bucketName(t))
	npm(t, dir, "@aws-sdk/client-s3", "@aws-sdk/lib-storage", "@aws-sdk/s3-request-presigner")
	script, err := os.ReadFile(filepath.Join("testdata", "client.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "client.mjs")
	if err := os.WriteFile(at, script, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log(p.run(t, at))
	compare(t, back, files)
}

// npm installs packages from the registry that the machine is set up for.
func npm(t *testing.T, dir string, packages ...string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("npm is not installed")
		}
		t.Skip("npm is not installed")
	}
	args := append([]string{"install", "--silent", "--no-audit", "--no-fund", "--prefix", dir}, packages...)
	if out, err := exec.CommandContext(t.Context(), "npm", args...).CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
}
