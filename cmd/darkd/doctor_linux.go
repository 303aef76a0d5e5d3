package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holder finds the process that holds a port: its socket in /proc/net (proc(5)), then
// who has that open.
func holder(network, addr, dir string) (held, error) {
	inodes, err := sockets(network, addr)
	if err != nil {
		return held{}, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return held{}, err
	}
	all, err := filepath.Glob("/proc/[0-9]*/fd")
	if err != nil {
		return held{}, err
	}
	for _, fds := range all {
		open := links(fds)
		if !slices.ContainsFunc(open, func(l string) bool { return slices.Contains(inodes, l) }) {
			continue
		}
		h := held{ours: slices.ContainsFunc(open, func(l string) bool { return strings.HasPrefix(l, dir+"/") })}
		h.pid, _ = strconv.Atoi(strings.Split(fds, "/")[2])
		name, err := os.ReadFile(filepath.Join(filepath.Dir(fds), "comm"))
		h.name = strings.TrimSpace(string(name))
		return h, err
	}
	return held{}, errors.New("its process belongs to another user")
}

// links are what a process has open.
func links(fds string) []string {
	entries, err := os.ReadDir(fds)
	if err != nil {
		return nil // another user's, or it has ended
	}
	var all []string
	for _, e := range entries {
		if l, err := os.Readlink(filepath.Join(fds, e.Name())); err == nil {
			all = append(all, l)
		}
	}
	return all
}

// sockets are those that stand in the way of an address, as /proc/PID/fd names them.
func sockets(network, addr string) ([]string, error) {
	want, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	var found []string
	for _, file := range []string{"/proc/net/" + network, "/proc/net/" + network + "6"} {
		f, err := os.Open(file)
		if err != nil {
			continue // a kernel without IPv6
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			// sl, local address, remote address, state, queues, timer, retransmissions, uid, timeout, inode
			v := strings.Fields(lines.Text())
			if len(v) < 10 || network == "tcp" && v[3] != "0A" { // LISTEN
				continue
			}
			a, ok := procAddr(v[1])
			if ok && a.Port() == want.Port() && (a.Addr() == want.Addr() || a.Addr().IsUnspecified() ||
				want.Addr().IsUnspecified()) {
				found = append(found, "socket:["+v[9]+"]")
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			return nil, err
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no socket of this network namespace has it")
	}
	return found, nil
}

// procAddr reads 0100007F:1B59, which is 127.0.0.1:7001: words of the address in the
// machine's order, the port as one would read it.
func procAddr(s string) (netip.AddrPort, bool) {
	h, p, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(h)
	if err != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	n, err := strconv.ParseUint(p, 16, 16)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok && err == nil
}

// synchronised asks the kernel whether something disciplines its clock (adjtimex(2)).
func synchronised() finding {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	const do = "run chrony, systemd-timesyncd or another NTP client"
	switch {
	case err != nil:
		return warn("clock", do, "whether the clock is synchronised cannot be seen: %v", err)
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		return warn("clock", do, "nothing synchronises the clock; certificates and frames expire by it")
	}
	return well("clock", "synchronised, at most %d ms wrong", t.Maxerror/1000)
}

// kernel looks at what edges use, and will use, of the kernel.
func kernel() []finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return []finding{warn("kernel", "", "its version cannot be read: %v", err)}
	}
	all := []finding{well("kernel", "Linux %s", unix.ByteSliceToString(u.Release[:]))}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.Close(fd))
	}
	if err != nil {
		all = append(all, fail("reuseport", "use Linux 3.9 or newer", "sockets cannot share a port: %v", err))
	} else {
		all = append(all, well("reuseport", "each core can have its own socket of a port"))
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil {
		return append(all, warn("xdp", "a kernel with CONFIG_DEBUG_INFO_BTF will be needed",
			"no BTF; this version does not use XDP yet"))
	}
	return append(all, well("xdp", "BTF is there; this version does not use XDP yet"))
}
