package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dark": main})
}

// TestOffline runs what needs no server.
func TestOffline(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "offline"), Cmds: commandsOfScripts, RequireExplicitExec: true,
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			return nil
		},
	})
}

// TestScripts drives a real darkd dev through the command, each script one of its own on
// its own loopback address.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers; not with -short")
	}
	bin := darkd(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata", Cmds: commandsOfScripts, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			return startServer(e, bin)
		},
	})
}

// darkd returns the server's binary: DARKD_BIN, or one built here.
func darkd(t *testing.T) string {
	t.Helper()
	if bin := os.Getenv("DARKD_BIN"); bin != "" {
		abs, err := filepath.Abs(bin)
		if err != nil {
			t.Fatal(err)
		}
		return abs
	}
	bin := filepath.Join(t.TempDir(), "darkd")
	out, err := exec.Command("go", "build", "-o", bin, "github.com/dark-ecosystem/dark/cmd/darkd").CombinedOutput()
	if err != nil {
		t.Fatalf("build darkd: %v\n%s", err, out)
	}
	return bin
}

// Addresses in 127.1; the tests of other packages take 127.2, 127.3 and 127.50 to 127.249.
var lastHost atomic.Uint32

// startTimeout is long because many servers start at once on few cores.
const startTimeout = 60 * time.Second

// startServer starts darkd dev and waits for the line that says it is ready.
func startServer(e *testscript.Env, bin string) error {
	for range 20 { // an address may be in use by another run of the same test
		host := fmt.Sprintf("127.1.%d.%d", os.Getpid()%250, lastHost.Add(1)%250+1)
		if !free(host) {
			continue
		}
		return startOn(e, bin, host)
	}
	return errors.New("no free loopback address for darkd dev")
}

func free(host string) bool {
	l, err := net.Listen("tcp", host+":8080")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func startOn(e *testscript.Env, bin, host string) error {
	data := filepath.Join(e.WorkDir, "data")
	cmd := exec.Command(bin, "dev", "--host", host, "--data", data)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+e.Getenv("XDG_CONFIG_HOME"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(e.WorkDir, "darkd.log"))
	if err != nil {
		return err
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return err
	}
	ready, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		announce(out, ready)
		_ = cmd.Wait()
		log.Close()
	}()
	e.Defer(func() { stop(cmd, ended) })
	e.Values[serverKey{}] = &server{e, bin, host, cmd.Process, ended}
	e.Setenv("HOST", host)
	e.Setenv("DATA", data)
	e.Setenv("BIG", strings.Repeat("long", 60))
	e.Setenv("DARKD_PID", strconv.Itoa(cmd.Process.Pid))
	select {
	case ok := <-ready:
		if ok {
			return tellS3(e, data)
		}
	case <-time.After(startTimeout):
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("darkd dev on %s did not become ready: %s", host, text)
}

// announce reads the server's output to its end and tells once whether it became ready.
func announce(out io.Reader, ready chan<- bool) {
	said := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if !said && strings.Contains(lines.Text(), "Dark is ready") {
			said = true
			ready <- true
		}
	}
	if !said {
		ready <- false
	}
}

func stop(cmd *exec.Cmd, ended <-chan struct{}) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-ended
	}
}

var commandsOfScripts = map[string]func(*testscript.TestScript, bool, []string){
	"exits": exits, "take": take, "resolves": resolves, "endserver": endServer,
	"eventually": eventually, "documents": documents, "startserver": startAgain, "begin": begin, "interrupt": interrupt,
}

// documents FILE N writes a zone and N record sets as documents.
func documents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: documents FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := []byte("{kind: Zone, name: many.test}\n")
	for i := range n {
		b = fmt.Appendf(b, "---\n{kind: RecordSet, name: many.test/h%d/A, spec: {records: [192.0.2.1]}}\n", i)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o644))
}

// exits CODE COMMAND ARGS... runs a command that must end with the exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// take NAME PATTERN sets a variable to what the pattern's first group matches in stdout.
func take(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: take NAME PATTERN")
	}
	m := regexp.MustCompile(`(?m)` + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("stdout has no %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// resolves NAME ADDRESS... asks the edge over UDP; without addresses there must be none.
func resolves(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: resolves NAME ADDRESS...")
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(ts.Getenv("HOST"), "5300"))
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ips, err := r.LookupNetIP(ctx, "ip4", args[0]+".")
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		err = nil
	}
	ts.Check(err)
	got := map[string]bool{}
	for _, ip := range ips {
		got[ip.String()] = true
	}
	for _, want := range args[1:] {
		if !got[want] {
			ts.Fatalf("%s has %v, not %s", args[0], ips, want)
		}
	}
	if len(got) != len(args)-1 {
		ts.Fatalf("%s has %v, want %v", args[0], ips, args[1:])
	}
}

// eventually PATTERN COMMAND ARGS... runs a command again until its output matches.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND ARGS...")
	}
	pattern := regexp.MustCompile(`(?m)` + args[0])
	for until := time.Now().Add(time.Minute); ; <-time.After(200 * time.Millisecond) {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(until) {
			ts.Fatalf("stdout still has no %s", args[0])
		}
	}
}

// endserver kills the script's server, as a power cut would.
func endServer(ts *testscript.TestScript, neg bool, _ []string) {
	pid, err := strconv.Atoi(ts.Getenv("DARKD_PID"))
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Kill())
	ts.Logf("killed darkd, process %d", pid)
}
