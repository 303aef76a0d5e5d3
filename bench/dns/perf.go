package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// run measures one load; rate 0 is as fast as it goes.
func (s *server) run(ctx context.Context, queries string, rate, seconds int) (run, error) {
	args := []string{
		"-s", s.at.Addr().String(), "-p", strconv.Itoa(int(s.at.Port())), "-d", queries, "-l",
		strconv.Itoa(seconds), "-q", "100", "-c", "8", "-T", "1", "-b", "4096", "-e",
	}
	if rate > 0 {
		args = append(args, "-Q", strconv.Itoa(rate))
	}
	user, sys := cpu(s.pids())
	out, err := exec.CommandContext(ctx, "dnsperf", args...).CombinedOutput()
	if err != nil {
		return run{}, fmt.Errorf("dnsperf: %w\n%s", err, out)
	}
	user2, sys2 := cpu(s.pids())
	done := field(string(out), "Queries completed:")
	return run{
		qps: field(string(out), "Queries per second:"), completed: percent(string(out), "Queries completed:"),
		user: (user2 - user) * 1e6 / done, sys: (sys2 - sys) * 1e6 / done,
	}, nil
}

// field is the number after a label in dnsperf's report.
func field(out, label string) float64 {
	_, rest, _ := strings.Cut(out, label)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	v, _ := strconv.ParseFloat(f[0], 64)
	return v
}

// percent is the number in parentheses after a label.
func percent(out, label string) float64 {
	_, rest, _ := strings.Cut(out, label)
	_, rest, _ = strings.Cut(rest, "(")
	text, _, _ := strings.Cut(rest, "%")
	v, _ := strconv.ParseFloat(text, 64)
	return v
}

// pids are the server's process and its children.
func (s *server) pids() []int {
	all := []int{s.pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		f := stat(path)
		if len(f) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(f[1])
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if slices.Contains(all, parent) {
			all = append(all, pid)
		}
	}
	return all
}

// stat are the fields of /proc/PID/stat after the command's name.
func stat(path string) []string {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	s := string(b)
	return strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
}

// cpu is the user and system time of processes in seconds.
func cpu(pids []int) (user, sys float64) {
	const hz = 100 // USER_HZ
	for _, pid := range pids {
		f := stat(fmt.Sprintf("/proc/%d/stat", pid))
		if len(f) < 13 {
			continue
		}
		u, _ := strconv.ParseFloat(f[11], 64)
		s, _ := strconv.ParseFloat(f[12], 64)
		user, sys = user+u/hz, sys+s/hz
	}
	return user, sys
}

// resident is the memory of processes in octets, what they share counted once.
func resident(pids []int) (sum int64) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		sum += int64(field(string(b), "Pss:")) << 10
	}
	return sum
}

func median(v []float64) float64 { s := slices.Sorted(slices.Values(v)); return s[len(s)/2] }
func least(v []float64) float64  { return slices.Min(v) }
func most(v []float64) float64   { return slices.Max(v) }
