//go:build unix

package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal tells whether w is a terminal: only a terminal has a window size.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}
