package storage

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// TestUploadsSayWhatTheirFlagsSay, whole and in parts; downloads refuse such flags.
func TestUploadsSayWhatTheirFlagsSay(t *testing.T) {
	want := map[string]string{
		"Cache-Control": "max-age=9", "Content-Encoding": "gzip", "Content-Disposition": "attachment",
		"Content-Type":   "text/x",
		"X-Amz-Meta-Who": "=?UTF-8?b?w7w=?=", "X-Amz-Tagging": "a=1", "X-Amz-Acl": "public-read",
	}
	flags := []string{
		"--cache-control", "max-age=9", "--content-encoding", "gzip", "--content-disposition",
		"attachment", "--content-type", "text/x", "--metadata", "who=ü", "--tag", "a=1", "--acl", "public-read",
	}
	for name, size := range map[string]int{"whole": 5, "parts": basePart + 1} {
		f, env, _, _ := newFake(t)
		file := put(t, filepath.Join(t.TempDir(), name), noise(size))
		if err := dark(env, append([]string{"cp", file, "s3://box/k"}, flags...)...); err != nil {
			t.Fatal(err)
		}
		for header, value := range want {
			if got := f.described.Get(header); got != value && !(header == "Content-Encoding" && strings.Contains(got,
				value)) {
				t.Errorf("%s: %s is %q, want %q", name, header, got, value)
			}
		}
	}
	_, env, _, _ := newFake(t)
	for _, args := range [][]string{
		{"cp", "s3://box/k", t.TempDir(), "--tag", "a=1"},
		{"sync", "s3://box/", t.TempDir(), "--cache-control", "x"},
		{"cp", "x", "s3://box/k", "--acl", "everybody"},
		{"cp", "x", "s3://box/k", "--metadata", "a b=c"},
		{"cp", "x", "s3://box/k", "--tag", "a=1", "--tag", "é=ü"},
		{"sync", t.TempDir(), "s3://box/", "--tag", "a=x&y"},
		{"mb", "s3://new-box"},
	} {
		if err := dark(env, args...); exit.Of(err).Code != exit.Usage {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := exit.Of(dark(env, "mb", "s3://new-box")); err.Next != "dark buckets create new-box" {
		t.Errorf("%q", err.Next)
	}
}
