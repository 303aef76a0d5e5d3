package client

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/internal/contexts"
)

func TestAddresses(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"http://127.0.0.2:8080": "passthrough:///127.0.0.2:8080", "http://localhost": "passthrough:///localhost:80",
		"127.0.0.1:8080": "passthrough:///127.0.0.1:8080", "http://[::1]:8080": "passthrough:///[::1]:8080",
		"https://control.example.net": "dns:///control.example.net:443",
		"control.example.net:8443":    "dns:///control.example.net:8443",
		"unix:///run/dark.sock":       "unix:///run/dark.sock",
		"unix://c1/control.sock":      "unix://" + here + "/c1/control.sock",
		"unix://./control.sock":       "unix://" + here + "/control.sock",
	} {
		got, _, err := target(contexts.Context{Addr: addr})
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", addr, got, err, want)
		}
	}
}

func TestATokenNeverTravelsInClear(t *testing.T) {
	for _, addr := range []string{
		"http://192.0.2.1:8080", "http://control.example.net", "ftp://x",
		"http://127.0.0.1.example.net:1", "::",
	} {
		if _, _, err := target(contexts.Context{Addr: addr, Token: "t"}); addr != "::" &&
			exit.Of(err).Code != exit.Usage {
			t.Errorf("%s was taken: %v", addr, err)
		}
	}
}

func TestABadCAIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{file, file + ".none"} {
		if _, err := New(contexts.Context{Addr: "https://x", CA: ca}); err == nil || exit.Of(err).Code != exit.Usage {
			t.Errorf("%s: %v", ca, err)
		}
	}
}
