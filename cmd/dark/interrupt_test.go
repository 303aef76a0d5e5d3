package main

import (
	"os"
	"os/exec"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// server is what a script's server was started with.
type server struct {
	env       *testscript.Env
	bin, host string
	process   *os.Process
	ended     <-chan struct{}
}

type serverKey struct{}

// begun is the name of a command that runs beside its script.
type begun string

// startAgain starts the script's server again where it was, after endserver.
func startAgain(ts *testscript.TestScript, _ bool, _ []string) {
	s := ts.Value(serverKey{}).(*server)
	<-s.ended
	ts.Check(startOn(s.env, s.bin, s.host))
	ts.Setenv("DARKD_PID", strconv.Itoa(ts.Value(serverKey{}).(*server).process.Pid))
}

// begin NAME ARGS... starts dark with these arguments; it writes to NAME.out and NAME.err.
func begin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: begin NAME ARGS...")
	}
	cmd := exec.Command("dark", args[1:]...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+ts.Getenv("XDG_CONFIG_HOME"))
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	diag, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer diag.Close()
	cmd.Stdout, cmd.Stderr = out, diag
	ts.Check(cmd.Start())
	ts.Defer(func() { _ = cmd.Process.Kill() })
	ts.Value(serverKey{}).(*server).env.Values[begun(args[0])] = cmd
}

// interrupt NAME CODE presses Ctrl-C on what begin began, which must end with the exit code.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: interrupt NAME CODE")
	}
	cmd := ts.Value(begun(args[0])).(*exec.Cmd)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait()
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s exits with %s, want %s", args[0], got, args[1])
	}
}
