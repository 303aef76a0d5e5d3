//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestASecondSignalEndsWhatHearsNoContext: the open of a pipe that nobody writes to.
func TestASecondSignalEndsWhatHearsNoContext(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "dark", "apply", "-f", pipe)
	cmd.Env = []string{"XDG_CONFIG_HOME=" + dir, "DARK_ADDR=http://127.0.0.1:1", "DARK_TOKEN=t"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		select {
		case <-ended:
			return
		case <-late:
			t.Fatal("it does not end")
		case <-tick.C:
			_ = cmd.Process.Signal(unix.SIGTERM)
		}
	}
}
