package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// pty opens a pseudo terminal and returns both its ends (pty(7)).
func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("this machine has no pseudo-terminals: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

func TestColoursAreForTerminalsThatWantThem(t *testing.T) {
	f := &fake{apply: func(*resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
		return &resourcev1.ApplyResponse{
				Revision: 7,
				Changes: []*resourcev1.Change{{
					Action: resourcev1.Change_ACTION_CREATE, Kind: "Zone",
					Name: "zones/a",
				}},
			},
			nil
	}}
	addr := f.serve(t)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	for _, c := range []struct {
		noColour, term string
		want           bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		t.Setenv("NO_COLOR", c.noColour)
		t.Setenv("TERM", c.term)
		master, slave := pty(t)
		seen := make(chan []byte, 1)
		go func() { // reading a pty whose other end closed fails with EIO: that is its end
			b, _ := io.ReadAll(master)
			seen <- b
		}()
		err := Run(t.Context(), []string{"--addr", addr, "apply", "-f", "-"}, Streams{
			In:  strings.NewReader(zoneDoc),
			Out: slave, Err: io.Discard,
		}, Apply)
		slave.Close()
		if got := <-seen; err != nil || !bytes.Contains(got, []byte("1 created")) ||
			bytes.Contains(got, []byte("\x1b[")) != c.want {
			t.Errorf("%+v: %v, %q", c, err, got)
		}
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) || isTerminal(&bytes.Buffer{}) {
		t.Error("what is no terminal was taken for one")
	}
}
