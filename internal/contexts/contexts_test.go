package contexts

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestWhatIsSavedIsLoadedAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "dark", "contexts.yaml")
	err := Update(path, func(f *File) error {
		f.Put("dev", Context{
			Addr: "http://127.0.0.1:8080", Token: "t", CA: "/ca.pem", Organization: "demo",
			S3: S3{URL: "http://127.0.0.1:9000", Region: "here", AccessKey: "AK", SecretKey: "SK"},
		}, false)
		f.Put("prod", Context{Addr: "https://control.example.net"}, false)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &File{Current: "dev", Contexts: map[string]Context{
		"dev": {
			Addr: "http://127.0.0.1:8080", Token: "t", CA: "/ca.pem", Organization: "demo",
			S3: S3{URL: "http://127.0.0.1:9000", Region: "here", AccessKey: "AK", SecretKey: "SK"},
		},
		"prod": {Addr: "https://control.example.net"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	if st, _ := os.Stat(path); runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, want 0600", st.Mode().Perm())
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".contexts-*")); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestTheFormatOfTheFile(t *testing.T) {
	f, err := parse("c.yaml",
		[]byte(`{current: dev, contexts: {dev: {addr: "http://127.0.0.1:8080", token: "s", ca: "/path/ca.pem", organization: "demo"}}}`))
	if err != nil || f.Current != "dev" || f.Contexts["dev"].CA != "/path/ca.pem" {
		t.Fatalf("%+v, %v", f, err)
	}
	f, err = parse("c.yaml",
		[]byte(`{contexts: {dev: {addr: x, s3: {url: "http://127.0.0.1:9000", region: here, accessKey: AK, secretKey: SK}}}}`))
	if want := (S3{URL: "http://127.0.0.1:9000", Region: "here", AccessKey: "AK", SecretKey: "SK"}); err != nil ||
		f.Contexts["dev"].S3 != want {
		t.Fatalf("%+v, %v", f, err)
	}
	_, err = parse("c.yaml", []byte("current: dev\ncontexts:\n  dev:\n    adr: x\n"))
	if err == nil || !strings.Contains(err.Error(), "line 4") || !strings.Contains(err.Error(), "adr") {
		t.Fatalf("unknown key: %v", err)
	}
}

func TestMissingFileIsEmptyAndRemoveForgetsCurrent(t *testing.T) {
	f, err := Load(filepath.Join(t.TempDir(), "none"))
	if err != nil || len(f.Contexts) != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	f.Put("a", Context{Addr: "x"}, false)
	if !f.Remove("a") || f.Remove("a") || f.Current != "" {
		t.Fatalf("%+v", f)
	}
	f.Put("b", Context{Addr: "x"}, false)
	if f.Current != "b" {
		t.Fatalf("the first context is not current: %+v", f)
	}
}

func TestPath(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "/x")
	if p, _ := Path(); p != filepath.Join("/x", "dark", "contexts.yaml") {
		t.Fatal(p)
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "/home/u")
	if p, _ := Path(); runtime.GOOS != "windows" && p != "/home/u/.config/dark/contexts.yaml" {
		t.Fatal(p)
	}
}
