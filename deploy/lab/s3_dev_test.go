package lab

import (
	"bufio"
	"context"
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
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// platform is a darkd dev as a process of its own, with S3.
type platform struct {
	host, data string
	cmd        *exec.Cmd
	ended      chan struct{}
	client     *s3.Client
	bucket     string
	metrics    string
}

// startPlatform starts darkd dev with its data below dir; the test's end stops it.
func startPlatform(t *testing.T, dir string) *platform {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a server; not with -short")
	}
	p := &platform{host: freeHost(t), data: dir}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of darkd's log:\n%s", p.log(4000))
		}
		p.stop(syscall.SIGTERM)
	})
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// freeHost is a loopback address whose ports nobody uses: darkd dev has fixed ones. The
// tests of other packages take 127.1 to 127.3, a Cluster takes 127.50 to 127.199.
func freeHost(t *testing.T) string {
	t.Helper()
	for i := range 200 {
		host := fmt.Sprintf("127.%d.%d.%d", 200+os.Getpid()%50, 1+os.Getpid()/50%250, i+1)
		l, err := net.Listen("tcp", host+":9000")
		if err == nil {
			l.Close()
			return host
		}
	}
	t.Fatal("no free loopback address for darkd dev")
	return ""
}

// start starts the process and waits until it is ready.
func (p *platform) start() error {
	if err := os.MkdirAll(p.data, 0o700); err != nil {
		return err
	}
	cmd := exec.Command(darkd, "dev", "--host", p.host, "--data", p.data)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(p.data, "config"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() {
		defer close(ended)
		said := false
		for lines := bufio.NewScanner(out); !said && lines.Scan(); {
			said = strings.Contains(lines.Text(), "Dark is ready")
		}
		ready <- said
		_, _ = io.Copy(io.Discard, out) // what else it prints is of no interest
		_ = cmd.Wait()                  // how it ended is in its log
	}()
	select {
	case ok := <-ready:
		if ok {
			return p.connect()
		}
	case <-time.After(time.Minute):
	}
	return fmt.Errorf("darkd dev did not become ready: %s", p.log(4000))
}

// connect reads dev.json.
func (p *platform) connect() error {
	b, err := os.ReadFile(filepath.Join(p.data, "dev.json"))
	if err != nil {
		return err
	}
	var dev struct {
		S3      struct{ URL, Region, AccessKey, SecretKey string }
		Demo    struct{ Bucket string }
		Metrics struct{ URL string }
	}
	if err := json.Unmarshal(b, &dev); err != nil {
		return err
	}
	if dev.S3.URL == "" {
		return errors.New("dev.json tells of no S3 endpoint")
	}
	p.bucket, p.metrics = dev.Demo.Bucket, dev.Metrics.URL
	p.client = s3Client(dev.S3.URL, dev.S3.Region, dev.S3.AccessKey, dev.S3.SecretKey)
	return nil
}

// s3Client makes each request once: the ledger must know what was sent.
func s3Client(url, region, id, secret string) *s3.Client {
	return s3.New(s3.Options{
		Region: region, BaseEndpoint: aws.String(url), UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
		}),
	})
}

func (p *platform) stop(sig syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(sig) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

func (p *platform) logFile() string { return p.data + ".log" }

// log is the end of what the process wrote.
func (p *platform) log(n int) string {
	b, err := os.ReadFile(p.logFile())
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-n):])
}

// code is the S3 error code of an error, "" when there is none.
func s3Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// s3Status is the HTTP status of an error, 0 when there was no answer.
func s3Status(err error) int {
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) {
		return resp.HTTPStatusCode()
	}
	return 0
}
