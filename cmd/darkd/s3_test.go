package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// platform is a real darkd dev in a process of its own.
type platform struct {
	t         *testing.T
	bin, host string
	dir       string
	cmd       *exec.Cmd
	ended     chan struct{}
	printed   string
	dev       devFile
}

func startDev(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, bin: os.Getenv("DARKD_BIN"), dir: t.TempDir()}
	if p.bin == "" {
		p.bin = filepath.Join(t.TempDir(), "darkd")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", p.bin,
			"github.com/dark-ecosystem/dark/cmd/darkd").CombinedOutput(); err != nil {
			t.Fatalf("build darkd: %v: %s", err, out)
		}
	}
	for i := range 100 {
		p.host = fmt.Sprintf("127.2.%d.%d", os.Getpid()%250, i+1)
		if l, err := net.Listen("tcp", net.JoinHostPort(p.host, portS3)); err == nil {
			l.Close()
			break
		}
	}
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	p.start()
	return p
}

// start starts it and waits until it says that it is ready.
func (p *platform) start() {
	p.t.Helper()
	p.cmd = exec.Command(p.bin, "dev", "--host", p.host, "--data", p.dir)
	p.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(p.dir, "config"))
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var stderr bytes.Buffer
	p.cmd.Stderr = &stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	said, ended := make(chan string, 1), make(chan struct{})
	p.ended = ended
	go func() {
		defer close(ended)
		var all strings.Builder
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
			if strings.HasPrefix(lines.Text(), "XDP is off") {
				said <- all.String()
			}
		}
		_ = p.cmd.Wait() // how it ended is in what it said
	}()
	select {
	case p.printed = <-said:
	case <-ended:
		p.t.Fatalf("darkd dev ended: %s", stderr.String())
	case <-time.After(time.Minute):
		p.t.Fatal("darkd dev is not ready after a minute")
	}
	b, err := os.ReadFile(filepath.Join(p.dir, "dev.json"))
	if err == nil {
		err = json.Unmarshal(b, &p.dev)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *platform) stop(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig) // it may have ended
	<-p.ended
}

// api makes a request of the administrator.
func (p *platform) api(org, method, path, body string) map[string]any {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.dev.Admin.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.dev.Admin.Token)
	req.Header.Set("Dark-Organization", org)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	out := map[string]any{}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
	}
	return out
}

// accessKey makes an access key and returns a client that has it, once the edge knows it.
func (p *platform) accessKey(org, name, spec string) *s3.Client {
	p.t.Helper()
	st := p.api(org, "POST", "/v1/accesskeys", `{"name":"accesskeys/`+name+`","spec":`+spec+
		`}`)["status"].(map[string]any)
	c := p.client(st["accessKeyId"].(string), st["secretAccessKey"].(string))
	p.eventually("the edge knows the access key "+name, func() bool {
		_, err := c.ListBuckets(p.t.Context(), &s3.ListBucketsInput{})
		// One that has just joined does not know the region yet either.
		code := errorCode(err)
		return code != "InvalidAccessKeyId" && code != "AuthorizationHeaderMalformed"
	})
	return c
}

// eventually polls what the process tells in no other way.
func (p *platform) eventually(what string, ok func() bool) {
	p.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			p.t.Fatalf("in 20 s not: %s", what)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-p.t.Context().Done():
			p.t.Fatal("interrupted")
		}
	}
}

func (p *platform) client(id, secret string) *s3.Client {
	return s3.New(s3.Options{
		Region: p.dev.S3.Region, BaseEndpoint: aws.String(p.dev.S3.URL), UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Timeout: 20 * time.Second},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		}),
	})
}

// line runs what darkd dev printed for the shell, or another command of aws in its place.
func (p *platform) line(instead string) (string, error) {
	_, line, ok := strings.Cut(p.printed, "AWS_ACCESS_KEY_ID=")
	line, _, _ = strings.Cut(line, "\n")
	if !ok {
		p.t.Fatalf("no line for aws in %s", p.printed)
	}
	line = "AWS_ACCESS_KEY_ID=" + line
	if instead != "" {
		line = line[:strings.Index(line, " s3 ls ")+1] + instead
	}
	cmd := exec.CommandContext(p.t.Context(), "sh", "-c", line)
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p *platform) aws(command string) string {
	p.t.Helper()
	out, err := p.line(command)
	if err != nil {
		p.t.Fatalf("aws %s: %v: %s", command, err, out)
	}
	return out
}

func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// TestDevServesTheAWSCommand pastes the line that darkd dev prints, and goes on with what
// a person does next; the process is killed in between, and prints the same line again.
func TestDevServesTheAWSCommand(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("there is no aws command here")
	}
	p := startDev(t)
	p.aws("")
	body := make([]byte, 9<<20)
	rand.Read(body)
	file, back := filepath.Join(p.dir, "body"), filepath.Join(p.dir, "back")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	p.aws("s3 cp " + file + " s3://demo-bucket/a/body") // in parts
	if out := p.aws("s3 ls s3://demo-bucket/a/"); !strings.Contains(out, "9437184 body") {
		t.Errorf("ls: %s", out)
	}
	_, first, _ := strings.Cut(p.printed, "Dark is ready")
	p.stop(syscall.SIGKILL)
	p.start()
	if !strings.HasSuffix(p.printed, first) {
		t.Errorf("after a restart it prints another line:\n%s\n%s", first, p.printed)
	}
	p.aws("s3 cp s3://demo-bucket/a/body " + back)
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, body) {
		t.Errorf("another body came back: %d octets, %v", len(got), err)
	}
	p.aws("s3 mb s3://made-by-aws")
	p.aws("s3api put-bucket-versioning --bucket made-by-aws --versioning-configuration Status=Enabled")
	if out := p.aws("s3api get-bucket-versioning --bucket made-by-aws"); !strings.Contains(out, "Enabled") {
		t.Errorf("versioning: %s", out)
	}
	if b := p.api("demo", "GET", "/v1/buckets/made-by-aws",
		""); b["spec"].(map[string]any)["versioning"] != "VERSIONING_ENABLED" {
		t.Errorf("the control plane has %v", b)
	}
	p.aws("s3 rb s3://made-by-aws")
	if out, err := p.line("s3 rb s3://demo-bucket"); err == nil || !strings.Contains(out, "BucketNotEmpty") {
		t.Errorf("a bucket with an object: %v: %s", err, out)
	}
	for _, mode := range []string{"s3.key", "dev.json"} {
		if st, err := os.Stat(filepath.Join(p.dir, mode)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", mode, st, err)
		}
	}
	p.fsck()
}

// fsck is done by the edge while it runs, and finds nothing wrong afterwards; rebuild is refused.
func (p *platform) fsck() {
	p.t.Helper()
	run := func(command string) (result, error) {
		out, err := exec.CommandContext(p.t.Context(), p.bin, command, "--data", p.dir, "-o", "json").Output()
		var r result
		_ = json.Unmarshal(out, &r)
		return r, err
	}
	if r, err := run("fsck"); err != nil || !r.Running || r.Damaged != 0 || r.Extents == 0 {
		p.t.Errorf("fsck beside the edge: %+v, %v", r, err)
	}
	if _, err := run("rebuild"); err == nil {
		p.t.Error("rebuild ran beside the edge")
	}
	p.stop(syscall.SIGTERM)
	for _, command := range []string{"fsck", "rebuild", "fsck"} {
		r, err := run(command)
		if err != nil || r.Running || r.Damaged != 0 || r.Extents == 0 {
			p.t.Errorf("%s: %+v, %v", command, r, err)
		}
	}
}

// TestNamesKeysAndRevocation: names of buckets across organizations, scopes, the counts
// of edges, and a key that is refused within a second of its deletion, after a kill too.
func TestNamesKeysAndRevocation(t *testing.T) {
	p := startDev(t)
	defer http.DefaultClient.CloseIdleConnections()
	ctx := t.Context()
	p.api("", "POST", "/v1/organizations", `{"name":"organizations/other"}`)
	demo := p.client(p.dev.S3.AccessKey, p.dev.S3.SecretKey)
	theirs := p.accessKey("other", "one", `{}`)
	reader := p.accessKey("demo", "reader", `{"scopes":[{"actions":["read"],"resources":["demo-bucket"]}]}`)
	make := func(c *s3.Client, name string) string {
		_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
		return errorCode(err)
	}
	for _, c := range []struct {
		who  *s3.Client
		name string
		want string
	}{
		{demo, "demo-bucket", "BucketAlreadyOwnedByYou"},
		{theirs, "demo-bucket", "BucketAlreadyExists"},
		{theirs, "their-bucket", "<nil>"},
		{demo, "their-bucket", "BucketAlreadyExists"},
		{reader, "readers-bucket", "AccessDenied"},
		{demo, "Not_A_Name", "InvalidBucketName"},
	} {
		if got := make(c.who, c.name); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	put := func(c *s3.Client, key string) string {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String("demo-bucket"), Key: aws.String(key),
			Body: strings.NewReader("x"),
		})
		return errorCode(err)
	}
	if put(demo, "x") != "<nil>" || put(reader, "x") != "AccessDenied" || put(theirs, "x") != "AccessDenied" {
		t.Error("who may write is not as it should be")
	}
	p.stats("demo", "demo-bucket")
	doomed := p.accessKey("demo", "doomed", `{}`)
	read := func() string {
		_, err := doomed.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("demo-bucket"), Key: aws.String("x")})
		return errorCode(err)
	}
	if got := read(); got != "<nil>" {
		t.Fatalf("a new key: %s", got)
	}
	p.api("demo", "DELETE", "/v1/accesskeys/doomed", "")
	begin := time.Now()
	for read() == "<nil>" {
		if time.Since(begin) > time.Second {
			t.Fatal("a second after its deletion the key still reads")
		}
	}
	t.Logf("refused %v after the deletion was answered", time.Since(begin).Round(time.Microsecond))
	p.stop(syscall.SIGKILL)
	p.start()
	if got := read(); got != "InvalidAccessKeyId" {
		t.Errorf("after a kill and a restart: %s", got)
	}
	p.metrics("demo-bucket")
	// A bucket that the API deletes by its name is gone with what it held, and its name is free.
	p.api("demo", "DELETE", "/v1/buckets/demo-bucket?force=buckets/demo-bucket", "")
	theirs = p.accessKey("other", "two", `{}`)
	p.eventually("the bucket ended", func() bool { return make(theirs, "demo-bucket") == "<nil>" })
	if out, err := theirs.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("demo-bucket")}); err != nil ||
		len(out.Contents) != 0 {
		t.Errorf("another's bucket of the same name holds %v, %v", out, err)
	}
	if k := p.api("demo", "GET", "/v1/accesskeys/reader", ""); strings.Contains(fmt.Sprint(k), "ecret") {
		t.Errorf("a secret is shown: %v", k)
	}
}

// metrics looks for what Prometheus is told of a bucket and of the store.
func (p *platform) metrics(bucket string) {
	p.t.Helper()
	resp, err := http.Get(p.dev.Metrics.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, want := range []string{
		`dark_s3_bucket_objects{bucket="` + bucket + `"} 1`, "dark_s3_requests_total", "dark_store_free_bytes",
		`dark_control_unauthenticated_closed_total{door="transport",reason="full"} 0`,
		`dark_control_unauthenticated_connections{door="feed"} 0`,
		"dark_control_set_aside_items 0",
	} {
		if !strings.Contains(string(b), want) {
			p.t.Errorf("no metric %s", want)
		}
	}
	listed(p.t, string(b))
}

// stats waits until the edge has told of a bucket.
func (p *platform) stats(org, bucket string) {
	p.t.Helper()
	p.eventually("the edge told of "+bucket, func() bool {
		out := fmt.Sprint(p.api(org, "GET", "/v1/storage/stats?bucket=buckets/"+bucket, ""))
		return strings.Contains(out, "bucket:"+bucket) && strings.Contains(out, "objects:1")
	})
	p.eventually("both nodes tell how they read host names", func() bool {
		return strings.Count(fmt.Sprint(p.api("", "GET", "/v1/nodes", "")), "s3Hosts:") == 2
	})
}
