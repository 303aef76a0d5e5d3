package command

import (
	"path/filepath"
	"testing"

	"github.com/dark-ecosystem/dark/internal/contexts"
)

func TestTheEndpointIsTheContexts(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, name := range []string{
		"DARK_S3_URL", "DARK_S3_ACCESS_KEY", "DARK_S3_SECRET_KEY", "DARK_S3_REGION",
		"AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "DARK_CONTEXT", "DARK_ADDR", "DARK_CA",
	} {
		t.Setenv(name, "")
	}
	path, err := contexts.Path()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(path) != "contexts.yaml" {
		t.Fatal(path)
	}
	err = contexts.Update(path, func(f *contexts.File) error {
		f.Put("dev", contexts.Context{
			Addr: "http://127.0.0.1:8080", CA: "ca.pem",
			S3: contexts.S3{URL: "http://127.0.0.1:9000", Region: "dark", AccessKey: "a", SecretKey: "b"},
		}, true)
		f.Put("bare", contexts.Context{Addr: "http://127.0.0.1:8080"}, false)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := new(session).s3(); err != nil || e.URL != "http://127.0.0.1:9000" || e.Region != "dark" ||
		e.AccessKey != "a" || e.SecretKey != "b" || e.CA != "ca.pem" {
		t.Fatalf("%+v, %v", e, err)
	}
	if _, err := (&session{context: "bare"}).s3(); err == nil {
		t.Fatal("a context without an endpoint was taken for one")
	}
	// A flag is above the environment, which is above the current context.
	t.Setenv("DARK_S3_ACCESS_KEY", "c")
	t.Setenv("DARK_S3_SECRET_KEY", "d")
	if e, err := new(session).s3(); err != nil || e.AccessKey != "c" || e.SecretKey != "d" {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err := (&session{context: "dev"}).s3(); err != nil || e.AccessKey != "a" {
		t.Fatalf("%+v, %v", e, err)
	}
}

func TestRotatedKeysCountUp(t *testing.T) {
	for name, want := range map[string]string{
		"backup": "backup-2", "backup-2": "backup-3", "backup-9": "backup-10",
		"a-b": "a-b-2", "a-1": "a-1-2", "a-02": "a-02-2",
	} {
		if got := nextName(name); got != want {
			t.Errorf("%s is followed by %s, want %s", name, got, want)
		}
	}
}
