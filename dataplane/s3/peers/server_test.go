package peers

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// endpoint is where a client finds S3, and as whom it comes.
type endpoint struct {
	URL       string `json:"url"`
	Region    string `json:"region"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

// admin is how the API takes an operator.
type admin struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// host is the endpoint's address and port.
func (e endpoint) host() string {
	_, host, _ := strings.Cut(e.URL, "://")
	return host
}

// server is a darkd dev that this process started; cmd is nil for a foreign one.
type server struct {
	s3    endpoint
	admin admin
	cmd   *exec.Cmd
	ended chan struct{}
	dir   string
}

// shared is the one server of all tests, started by the first that asks.
var shared = sync.OnceValues(func() (*server, error) {
	if file := os.Getenv("DARK_S3_DEV"); file != "" {
		s := &server{}
		return s, s.readDev(file)
	}
	s, err := startServer()
	started = s
	return s, err
})

// started is what TestMain stops.
var started *server

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		started.stop()
	}
	os.Exit(code)
}

// serve returns the shared server's endpoint.
func serve(t *testing.T) endpoint {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a server; not with -short")
	}
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && s.cmd != nil {
			t.Logf("the end of darkd's log:\n%s", s.log(1500))
		}
	})
	return s.s3
}

// startServer starts a darkd dev with further flags; what it returns is to be stopped
// whatever the error.
func startServer(flags ...string) (*server, error) {
	dir, err := os.MkdirTemp("", "s3peers")
	if err != nil {
		return &server{}, err
	}
	s := &server{dir: dir, ended: make(chan struct{})}
	bin, err := darkd(dir)
	if err != nil {
		return s, err
	}
	host, err := freeHost()
	if err != nil {
		return s, err
	}
	return s, s.start(bin, host, flags...)
}

// darkd returns the server's binary: DARKD_BIN, or one built here.
func darkd(dir string) (string, error) {
	if bin := os.Getenv("DARKD_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	bin := filepath.Join(dir, "darkd")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/dark-ecosystem/dark/cmd/darkd").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build darkd: %w: %s", err, out)
	}
	return bin, nil
}

// freeHost is a loopback address whose ports nobody uses: darkd dev has fixed ones. The
// tests of other packages take 127.1, 127.2 and 127.50 to 127.249.
func freeHost() (string, error) {
	for i := range 200 {
		host := fmt.Sprintf("127.3.%d.%d", os.Getpid()%250, i+1)
		l, err := net.Listen("tcp", host+":9000")
		if err == nil {
			return host, l.Close()
		}
	}
	return "", errors.New("no free loopback address for darkd dev")
}

func (s *server) start(bin, host string, flags ...string) error {
	data := filepath.Join(s.dir, "data")
	s.cmd = exec.Command(bin, append([]string{"dev", "--host", host, "--data", data}, flags...)...)
	s.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(s.dir, "config"))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start darkd: %w", err)
	}
	ready := make(chan bool, 1)
	go func() {
		defer close(s.ended)
		ready <- announced(out)
		_, _ = io.Copy(io.Discard, out) // what else it prints is of no interest
		_ = s.cmd.Wait()                // how it ended is in its log
	}()
	select {
	case ok := <-ready:
		if ok {
			return s.readDev(filepath.Join(data, "dev.json"))
		}
	case <-time.After(time.Minute):
	}
	text := s.log(4000)
	return fmt.Errorf("darkd dev on %s did not become ready: %s", host, text)
}

// announced reads until the server says that it is ready.
func announced(out io.Reader) bool {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Dark is ready") {
			return true
		}
	}
	return false
}

func (s *server) readDev(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var dev struct {
		S3    endpoint `json:"s3"`
		Admin admin    `json:"admin"`
	}
	if err := json.Unmarshal(b, &dev); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if dev.S3.URL == "" {
		return fmt.Errorf("%s tells of no S3 endpoint", path)
	}
	s.s3, s.admin = dev.S3, dev.Admin
	return nil
}

// log is the end of what the server wrote.
func (s *server) log(n int) string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-n):])
}

func (s *server) stop() {
	if s.dir != "" {
		defer os.RemoveAll(s.dir)
	}
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.ended:
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}
