package peers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	functionalTimeout = 8 * time.Minute
	// functionalPasses is how many tests of minio-go 7.4.1 must pass.
	functionalPasses = 170
)

// kept is testdata/functional.txt.
type kept struct {
	leave, na map[string]string
	edits     []edit
}

type edit struct{ function, from, to, reason string }

func readKept(t *testing.T) kept {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "functional.txt"))
	if err != nil {
		t.Fatal(err)
	}
	k := kept{leave: map[string]string{}, na: map[string]string{}}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		verb, rest, _ := strings.Cut(line, " ")
		name, rest, _ := strings.Cut(strings.TrimSpace(rest), ": ")
		from, to, isEdit := strings.Cut(rest, " => ")
		switch {
		case verb == "leave" && rest != "":
			k.leave[name] = rest
		case verb == "na" && rest != "":
			k.na[name] = rest
		case verb == "edit" && isEdit:
			i := strings.LastIndex(to, ": ")
			k.edits = append(k.edits, edit{function: name, from: from, to: to[:i], reason: to[i+2:]})
		default:
			t.Fatalf("functional.txt: %s", line)
		}
	}
	return k
}

// TestMinioGoFunctional runs minio-go's own tests, built alone from the module cache,
// over TLS, against a server of its own: they make buckets that anyone may read. Over TLS
// minio-go's SetBucketPolicy does not sign the policy, so that its access key may leave
// documents unsigned.
func TestMinioGoFunctional(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server; not with -short")
	}
	k := readKept(t)
	bin := buildFunctional(t, k)
	cert, key := selfSigned(t)
	s, err := startServer("--bucket-public-access", "--s3-cert", cert, "--s3-key", key)
	t.Cleanup(s.stop)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.s3.URL, "https:") {
		t.Fatalf("%s is no TLS endpoint", s.s3.URL)
	}
	s.s3.AccessKey, s.s3.SecretKey = s.accessKey(t,
		`{"name":"accesskeys/functional","spec":{"unsignedDocuments":true}}`)
	ctx, cancel := context.WithTimeout(t.Context(), functionalTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin)
	cmd.Dir = filepath.Dir(bin)
	cmd.Env = append(os.Environ(), "SERVER_ENDPOINT="+s.s3.host(), "ACCESS_KEY="+s.s3.AccessKey,
		"SECRET_KEY="+s.s3.SecretKey, "ENABLE_HTTPS=1", "SKIP_CERT_VALIDATION=1",
		"ENABLE_KMS=1", "MINT_MODE=full", "RUN_ON_FAIL=1", "TMPDIR="+t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	judge(t, k, out)
	if err != nil {
		t.Errorf("it ended with %v: %s", err, tail(errs.String()))
	}
}

// accessKey makes an access key of the demo's and waits until the edge knows it.
func (s *server) accessKey(t *testing.T, body string) (id, secret string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.admin.URL+"/v1/accesskeys",
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.admin.Token)
	r.Header.Set("Dark-Organization", "demo")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var key struct {
		Status struct{ AccessKeyID, SecretAccessKey string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&key); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("make an access key: %s, %v", resp.Status, err)
	}
	id, secret = key.Status.AccessKeyID, key.Status.SecretAccessKey
	c, err := minio.New(s.s3.host(), &minio.Options{
		Creds: credentials.NewStaticV4(id, secret, ""), Secure: true, Region: s.s3.Region, MaxRetries: 1,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		if _, err = c.ListBuckets(t.Context()); err == nil {
			return id, secret
		}
		if time.Now().After(end) {
			t.Fatalf("the edge does not know the new access key: %v", err)
		}
	}
}

// selfSigned makes a certificate that nobody trusts.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, b := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der},
		key:  {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// result is a line that a functional test prints.
type result struct {
	Name, Function, Status, Alert, Message string
	Error                                  any
	Duration                               int64
}

func judge(t *testing.T, k kept, out []byte) {
	t.Helper()
	counts, needed := map[string]int{}, map[string]bool{}
	slow := []result{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var r result
		if json.Unmarshal(lines.Bytes(), &r) != nil || r.Status == "" {
			t.Logf("it says: %s", tail(lines.Text()))
			continue
		}
		r.Name = strings.TrimPrefix(r.Name, "minio-go: ")
		counts[r.Status]++
		slow = append(slow, r)
		switch _, listed := k.na[r.Name]; {
		case r.Status == "FAIL":
			t.Errorf("%s (%s): %.300s: %.600s", r.Name, r.Function, r.Message, fmt.Sprint(r.Error))
		case r.Status == "NA" && !listed:
			t.Errorf("%s (%s) is NA and is not in the kept list: %s", r.Name, r.Function, r.Alert)
		case r.Status == "NA":
			needed[r.Name] = true
		}
	}
	for name := range k.na {
		if !needed[name] {
			t.Errorf("functional.txt allows %s to be NA, and it was not", name)
		}
	}
	slices.SortFunc(slow, func(a, b result) int { return int(b.Duration - a.Duration) })
	for _, r := range slow[:min(5, len(slow))] {
		t.Logf("slow: %s took %d ms", r.Name, r.Duration)
	}
	t.Logf("%d PASS, %d FAIL, %d NA", counts["PASS"], counts["FAIL"], counts["NA"])
	if counts["PASS"] < functionalPasses {
		t.Errorf("only %d passed, and %d must", counts["PASS"], functionalPasses)
	}
}

// buildFunctional builds functional_tests.go with what functional.txt says, against the
// versions of our own go.mod.
func buildFunctional(t *testing.T, k kept) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/minio/minio-go/v7").Output()
	if err != nil {
		t.Fatalf("find minio-go: %v", err)
	}
	at := strings.TrimSpace(string(out))
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("find our own module: %v", err)
	}
	source, err := os.ReadFile(filepath.Join(at, "functional_tests.go"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := k.alter(string(source))
	if err != nil {
		t.Fatal(err)
	}
	dir, module := t.TempDir(), strings.TrimSpace(string(root))
	for _, from := range []string{filepath.Join(module, "go.mod"), filepath.Join(module, "go.sum")} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(from)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "functional")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build minio-go's functional tests: %v\n%s", err, out)
	}
	return bin
}

// alter takes the build tag and the calls to be left out away, and makes the edits.
func (k kept) alter(source string) (string, error) {
	const tag = "//go:build mint\n"
	if !strings.HasPrefix(source, tag) {
		return "", errors.New("functional_tests.go has no build tag mint")
	}
	source = strings.TrimPrefix(source, tag)
	for name := range k.leave {
		call := "\n\t\t" + name + "()"
		if !strings.Contains(source, call) {
			return "", fmt.Errorf("functional.txt leaves %s out, which main does not call", name)
		}
		source = strings.ReplaceAll(source, call, "")
	}
	for _, e := range k.edits {
		begin := strings.Index(source, "\nfunc "+e.function+"() {")
		if begin < 0 {
			return "", fmt.Errorf("functional.txt edits %s, which is not there", e.function)
		}
		end := begin + strings.Index(source[begin:], "\n}\n")
		body := source[begin:end]
		if !strings.Contains(body, e.from) {
			return "", fmt.Errorf("functional.txt edits %s, which has no %q", e.function, e.from)
		}
		source = source[:begin] + strings.ReplaceAll(body, e.from, e.to) + source[end:]
	}
	return source, nil
}

// TestKeptListGivesReasons: a name stands once and in one place.
func TestKeptListGivesReasons(t *testing.T) {
	k := readKept(t)
	for name := range k.leave {
		if k.na[name] != "" || slices.ContainsFunc(k.edits, func(e edit) bool { return e.function == name }) {
			t.Errorf("%s is left out and mentioned once more", name)
		}
	}
	for _, e := range k.edits {
		if e.reason == "" || e.from == e.to {
			t.Errorf("edit of %s: %+v", e.function, e)
		}
	}
}
