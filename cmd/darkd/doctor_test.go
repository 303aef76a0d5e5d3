package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
)

// aNode makes a directory as a node has it, with a certificate of now.
func aNode(t *testing.T, role, self string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	authority, err := ca.New("cluster", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, request, err := ca.NewRequest([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.IssueFor(ca.Name{Cluster: "cluster", Role: role, Node: "n"}, request, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Save(filepath.Join(dir, "node.pem"), key, leaf.Raw, [][]byte{authority.Cert.Raw}); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.LoadMachine(filepath.Join(dir, "machine.key")); err != nil {
		t.Fatal(err)
	}
	who := fmt.Sprintf(`{"name":"n","clusterID":"cluster","serverID":"n","publishingKey":%q}`,
		base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize)))
	for name, text := range map[string]string{self: who, "root.age": "sealed"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// consult runs the command and returns what it found by check.
func consult(t *testing.T, args ...string) (map[string][]finding, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newDoctor()
	cmd.SetOut(&out)
	cmd.SetArgs(append(args, "-o", "json"))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	var all []finding
	if jerr := json.Unmarshal(out.Bytes(), &all); jerr != nil {
		t.Fatalf("%v: %v: %s", err, jerr, out.String())
	}
	by := map[string][]finding{}
	for _, f := range all {
		if f.Status != statusOK && f.Do == "" {
			t.Errorf("%s says not what to do: %s", f.Check, f.Text)
		}
		by[f.Check] = append(by[f.Check], f)
	}
	return by, err
}

func statusOf(t *testing.T, by map[string][]finding, check, want string) {
	t.Helper()
	for _, f := range by[check] {
		if f.Status == want {
			return
		}
	}
	t.Errorf("%s is %v, want one %s", check, by[check], want)
}

func TestDoctorFindsAWellControlNode(t *testing.T) {
	dir := aNode(t, ca.Control, "node.json")
	by, err := consult(t, "--dir", dir, "--transport", "127.0.0.1:0", "--feed", "127.0.0.1:0", "--api",
		"127.0.0.1:0,127.0.0.1:0", "--metrics", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err, by)
	}
	for _, check := range []string{"transport", "feed", "api", "metrics", "certificate", "secrets"} {
		statusOf(t, by, check, statusOK)
	}
	for _, check := range []string{"clock", "fsync", "disk", "open files", "kernel"} {
		if len(by[check]) != 1 {
			t.Errorf("%s was looked at %d times", check, len(by[check]))
		}
	}
	statusOf(t, by, "machine key", statusWarn)
	if len(by["api"]) != 2 || len(by["dns"]) != 0 {
		t.Errorf("ports of a control node: %v", by)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".doctor-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}

func TestDoctorTellsItsPortsFromOthers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("who holds a port is found out on Linux only")
	}
	dir := aNode(t, ca.Edge, "edge.json")
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	by, err := consult(t, "--dir", dir, "--dns", c.LocalAddr().String())
	if err == nil {
		t.Error("a port of another process is no failure")
	}
	statusOf(t, by, "dns", statusFail)
	// With a file of the node open, this process is the node.
	f, err := os.Open(filepath.Join(dir, "edge.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if by, err = consult(t, "--dir", dir, "--dns", c.LocalAddr().String()); err != nil {
		t.Error(err, by["dns"])
	}
	if len(by["dns"]) != 2 || len(by["api"]) != 0 {
		t.Errorf("ports of an edge: %v", by)
	}
	by, err = consult(t, "--dir", dir, "--dns", "192.0.2.1:5300")
	statusOf(t, by, "dns", statusFail)
	if err == nil {
		t.Error("an address of nobody is no failure")
	}
}

func TestDoctorReadsTheNodesOwnConfiguration(t *testing.T) {
	dir := aNode(t, ca.Control, "node.json")
	file := filepath.Join(t.TempDir(), "darkd.yaml")
	text := "dir: " + dir + "\ntransport: 127.0.0.1:0\nfeed: 127.0.0.1:0\napi: [127.0.0.1:0]\ntiming: " +
		"wan\nnameServers: [a]\ninsecure: true\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if by, err := consult(t, "--config", file); err != nil {
		t.Fatal(err, by)
	}
}

func TestDoctorFailsOnWhatOthersCanRead(t *testing.T) {
	dir := aNode(t, ca.Control, "node.json")
	for name, mode := range map[string]os.FileMode{"machine.key": 0o640, "node.pem": 0o644} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "root.age")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	by, err := consult(t, "--dir", dir, "--transport", "127.0.0.1:0", "--feed", "127.0.0.1:0", "--api", "127.0.0.1:0")
	if err == nil || len(by["secrets"]) != 4 {
		t.Errorf("%v: %v", err, by["secrets"])
	}
	statusOf(t, by, "secrets", statusWarn)
	statusOf(t, by, "secrets", statusFail)
}

func TestDoctorNeedsANode(t *testing.T) {
	cmd := newDoctor()
	cmd.SetArgs([]string{"--dir", t.TempDir()})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "darkd init") {
		t.Errorf("no node: %v", err)
	}
}

func TestDoctorComparesClocks(t *testing.T) {
	dir := aNode(t, ca.Edge, "edge.json")
	creds, err := ca.LoadCredentials(filepath.Join(dir, "node.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for off, want := range map[time.Duration]string{0: statusOK, time.Minute: statusFail, -time.Hour: statusFail} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		}))
		s.Listener = tls.NewListener(s.Listener, creds.ServerTLS())
		s.Start()
		d := &doctor{dir: dir, control: controlSettings{through: s.Listener.Addr().String()}}
		if f := d.clock(context.Background()); f.Status != want {
			t.Errorf("%v apart: %v", off, f)
		}
		s.Close()
		if f := d.clock(context.Background()); !strings.Contains(f.Text, "could not be asked") {
			t.Errorf("nobody there: %v", f)
		}
	}
}

func TestDoctorJudges(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	day := 24 * time.Hour
	cert := func(from, to time.Duration) *x509.Certificate {
		return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(to)}
	}
	for _, c := range []struct {
		what string
		got  finding
		want string
	}{
		{"certificate", judgeCertificate(cert(-day, 30*day), now), statusOK},
		{"certificate that ends soon", judgeCertificate(cert(-day, 13*day), now), statusWarn},
		{"expired certificate", judgeCertificate(cert(-day, -time.Second), now), statusFail},
		{"certificate of tomorrow", judgeCertificate(cert(day, 30*day), now), statusFail},
		{"disk", space(50<<30, 100<<30), statusOK},
		{"disk nearly full", space(5<<30, 100<<30), statusWarn},
		{"full disk", space(1<<29, 1<<30), statusFail},
		{"limit", files(20_000), statusOK},
		{"low limit", files(1024), statusWarn},
	} {
		if c.got.Status != c.want {
			t.Errorf("%s: %v, want %s", c.what, c.got, c.want)
		}
	}
}
