package main

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// gcPercent: a control node under many writes lets its heap grow more than Go's default
// between collections; bench/writes has what that is worth. GOGC and GOMEMLIMIT, where
// they are set, count.
const gcPercent = 200

// collectLess trades memory for fewer collections, up to a quarter of the machine's; above
// that they come as often as they must.
func collectLess() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return
	}
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(int64(s.Totalram) * int64(s.Unit) / 4) //nolint:unconvert // the fields' types differ by architecture
}
