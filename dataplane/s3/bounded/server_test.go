package bounded

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const (
	region = "eu-1"
	keyID  = "AKACME"
	secret = "not very secret"
	bucket = "box"

	// serveEnv makes this binary the server: a settings document.
	serveEnv = "DARK_S3_BOUNDED"
)

// settings of the server.
type settings struct {
	Dir    string
	Limits s3.Limits
}

// TestMain is the server's main function, too.
func TestMain(m *testing.M) {
	text := os.Getenv(serveEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	var s settings
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		err = s.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// keys gives each space a key of its own.
type keys struct{}

func (keys) Key(space store.ID, name string, version uint32) ([32]byte, uint32, error) {
	return sha256.Sum256(fmt.Appendf(nil, "%x %s", space, name)), max(version, 1), nil
}

// holds is what the server has, as it answers to each line of its standard input.
type holds struct {
	Usage     store.Usage
	Extents   uint64
	LiveBytes uint64
}

// serve answers S3 with the store on disk and encrypted, until its input ends.
func (s settings) serve() error {
	diskKey := sha256.Sum256([]byte("disk"))
	kept, err := store.Open(store.Options{
		Dir: s.Dir, Cell: "here", Keys: keys{}, DiskKey: &diskKey,
		SegmentSize: 32 << 20, Reserve: -1,
	})
	if err != nil {
		return err
	}
	h := s3.New(s3.Config{Store: kept, Limits: s.Limits})
	id := sha256.Sum256([]byte(bucket))
	view, err := s3.NewView().With(
		s3.Settings(&storagev1.PublishedStorage{Region: region}), accessKey(),
		s3.PutBucket(&storagev1.PublishedBucket{
			Bucket: bucket, Id: id[:16], Organization: "acme", Placement: &storagev1.Placement{Cell: "here"},
			CreateTime: timestamppb.Now(),
			// so that ACLs are read
			Spec: &storagev1.BucketSpec{Ownership: storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER},
		}))
	if err != nil {
		return err
	}
	h.Swap(view)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	fmt.Println(l.Addr())
	b, _ := view.Bucket(bucket)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := tell(kept, b); err != nil {
			return err
		}
	}
	_ = server.Close() // the connections of those that stall
	<-ended
	h.Close()
	return kept.Close()
}

func tell(kept *store.Store, b *s3.Bucket) error {
	space, err := kept.At(b.Placement)
	if err != nil {
		return err
	}
	st := kept.Stats()
	has := holds{Extents: st.Extents, LiveBytes: st.LiveBytes}
	if has.Usage, err = space.Usage(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(has)
}

func accessKey() s3.Change {
	signing := &storagev1.SigningKeys{}
	today := sigv4.Day(time.Now())
	for day := today - 1; day <= today+1; day++ {
		k := sigv4.Derive(secret, day, region)
		signing.Keys = append(signing.Keys, &storagev1.SigningKey{Day: day, Region: region, Key: k[:]})
	}
	return s3.PutAccessKey(&storagev1.PublishedAccessKey{
		AccessKeyId: keyID, Organization: "acme",
		Name: "accesskeys/test",
	}, signing)
}

// server is the process as the test sees it.
type server struct {
	addr string
	pid  int
	in   *os.File
	out  *bufio.Reader
}

// start starts a server that was told to keep its memory below limit.
func start(t *testing.T, limits s3.Limits, limit int) *server {
	t.Helper()
	text, err := json.Marshal(settings{Dir: t.TempDir(), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(t))
	cmd.Env = append(os.Environ(), serveEnv+"="+string(text), fmt.Sprint("GOMEMLIMIT=", limit))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stderr = &said
	in, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdin = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	s := &server{pid: cmd.Process.Pid, in: ours, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		ours.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the server ended with %v: %s", err, said.String())
		}
	})
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	s.addr = line[:len(line)-1]
	return s
}

// binary is this test's, without the race detector.
func binary(t *testing.T) string {
	t.Helper()
	if !race {
		path, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := filepath.Join(t.TempDir(), "server.test")
	if b, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v: %s", err, b)
	}
	return path
}

// holds asks the server what it has.
func (s *server) holds(t *testing.T) (h holds) {
	t.Helper()
	if _, err := fmt.Fprintln(s.in); err != nil {
		t.Fatal(err)
	}
	line, err := s.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// peak is the greatest resident size of the process so far (VmHWM of proc(5)), in octets.
func (s *server) peak(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(b, []byte("VmHWM:"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 2 || string(fields[1]) != "kB" {
		t.Fatalf("no VmHWM in %s", b)
	}
	n, err := strconv.Atoi(string(fields[0]))
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// until polls what another process does.
func until(ctx context.Context, cond func() bool) bool {
	for !cond() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true
}
