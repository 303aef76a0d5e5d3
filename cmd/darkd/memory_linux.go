package main

import (
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// gcPercent: a control node under many writes lets its heap grow more than Go's default
// between collections; bench/writes has what that is worth. GOGC, where it is set, counts.
const gcPercent = 120

func collectLess() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

// keepToMemory has the process keep to a quarter of the machine's memory: above that
// collections come as often as they must, and what is bounded by memory, such as how many
// bodies S3 takes at a time, goes by it. GOMEMLIMIT, where it is set, counts.
func keepToMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err == nil {
		//nolint:unconvert // the fields' types differ by architecture
		debug.SetMemoryLimit(int64(s.Totalram) * int64(s.Unit) / 4)
	}
}
