package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestSettingsRiseFromFileToEnvironmentToFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "darkd.yaml")
	if err := os.WriteFile(file, []byte("dir: from-file\ntransport: from-file\nfeed: from-file\nnameServers: [a, b]\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DARK_TRANSPORT", "from-env")
	t.Setenv("DARK_FEED", "from-env")
	var dir, transport, feed, other string
	var ns []string
	c := &cobra.Command{RunE: func(*cobra.Command, []string) error { return nil }}
	s := newSettings(c)
	s.text(&dir, "dir", "", "")
	s.text(&transport, "transport", "", "")
	s.text(&feed, "feed", "", "")
	s.text(&other, "other", "default", "")
	s.list(&ns, "name-servers", nil, "")
	c.SetArgs([]string{"--config", file, "--feed", "from-flag"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	if err := s.load(); err != nil {
		t.Fatal(err)
	}
	got := strings.Join([]string{dir, transport, feed, other, strings.Join(ns, "+")}, " ")
	if want := "from-file from-env from-flag default a+b"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestUnknownSettingIsNamedWithItsLine(t *testing.T) {
	for text, want := range map[string]string{
		"dir: x\nfeeed: y\n":     `:2: unknown setting "feeed"`,
		"dir: x\ndir2: {a: b}\n": `:2: unknown setting "dir2"`,
		"dir: {a: b}\n":          ":1: dir: a value or a list of values is expected",
		"dir: [a, b]\n":          ":1: dir: one value is expected",
		"insecure: perhaps\n":    ":1: insecure: true or false is expected",
		"- a\n":                  ":1: a mapping of settings is expected",
		"dir: x\n\tfeed: y\n":    "yaml",
	} {
		file := filepath.Join(t.TempDir(), "darkd.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var dir string
		var insecure bool
		c := &cobra.Command{}
		s := newSettings(c)
		s.text(&dir, "dir", "", "")
		s.bool(&insecure, "insecure", "")
		s.file = file
		if err := s.load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestEveryCommandIsMade: two settings of one name are a panic before anything is said. Who
// takes a bucket's name from a host is told the base domains, on both sides.
func TestEveryCommandIsMade(t *testing.T) {
	for _, cmd := range []*cobra.Command{newDev(), newControl(), newEdge()} {
		if cmd.Flags().Lookup("s3-domain") == nil {
			t.Errorf("darkd %s has no --s3-domain", cmd.Name())
		}
	}
	for _, cmd := range []*cobra.Command{newInit(), newDoctor(), newRejoin(), newFsck(), newRebuild(), newVersion()} {
		if cmd.Short == "" {
			t.Errorf("darkd %s says nothing of itself", cmd.Name())
		}
	}
}
