package rig

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every Linux.
const tick = 10 * time.Millisecond

// CPU is the user and system time that processes have used.
func CPU(pids ...int) time.Duration {
	var sum time.Duration
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended
		}
		f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		for _, v := range f[11:13] { // utime, stime: proc(5)
			n, _ := strconv.ParseInt(string(v), 10, 64)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// PeakMemory is the most resident memory that a process ever had, in bytes.
func PeakMemory(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.ParseUint(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}

// pidOf finds the child of this process that was given a directory.
func pidOf(dir string) (int, error) {
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		for _, arg := range bytes.Split(b, []byte{0}) {
			if string(arg) == dir {
				return strconv.Atoi(strings.Split(path, "/")[2])
			}
		}
	}
	return 0, fmt.Errorf("no process has %s", dir)
}

// Machine says in a line what was measured on.
func Machine() string {
	var u unix.Utsname
	_ = unix.Uname(&u) // it cannot fail with a good address
	model := "processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, _ := strings.Cut(line, ":"); strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s · %d × %s · Linux %s · load %s before", time.Now().UTC().Format("2006-01-02 15:04 MST"),
		runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), first)
}
