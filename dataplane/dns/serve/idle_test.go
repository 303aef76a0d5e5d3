package serve

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holdIdle names where the test binary, run again, holds idle connections to: their
// other ends count against another process's limit of open files.
const holdIdle = "DARK_TEST_HOLD_IDLE"

// perHolder is how many of the connections come from one address: below the default
// limit of connections from one.
const perHolder = 50

// hold opens connections as "COUNT ADDRESS" says, tells when it has them, and keeps
// them until its input ends.
func hold(what string) {
	count, addr, _ := strings.Cut(what, " ")
	n, err := strconv.Atoi(count)
	conns := make([]net.Conn, 0, n)
	for i := 0; i < n && err == nil; i++ {
		from := net.IPv4(127, 1, byte(i/perHolder>>8), byte(i/perHolder))
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: 10 * time.Second}
		var c net.Conn
		if c, err = d.Dial("tcp4", addr); err == nil {
			conns = append(conns, c)
		}
	}
	if err != nil {
		fmt.Println("failed:", err)
		return
	}
	fmt.Println("ready")
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // its end is the sign to go
	runtime.KeepAlive(conns)
}

// moreFiles raises the limit of open files to n, as root the hard one too.
func moreFiles(t *testing.T, n uint64) {
	t.Helper()
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	if l.Cur >= n {
		return
	}
	l.Cur, l.Max = n, max(l.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		t.Fatalf("raise the limit of open files to %d: %v", n, err)
	}
}

// TestIdleConnections: ten thousand connections that say nothing, within the default
// limits, cost a bounded amount of memory, and a client that asks is answered.
func TestIdleConnections(t *testing.T) {
	idle := 10_000
	if testing.Short() {
		idle = 500 // whoever is not root may have 1,024 files
	}
	moreFiles(t, uint64(idle)+200)
	addr := startTCP(t, nasty(t), Limits{Idle: time.Minute})
	before := memory()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", holdIdle, idle, addr))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if said, err := bufio.NewReader(out).ReadString('\n'); said != "ready\n" {
		t.Fatalf("%q %v", said, err)
	}
	// Connections are accepted in order: once this one is answered, all others are there.
	c := dial(t, addr)
	if _, err := c.Write(framed(t, question("www.example.com", "A"))); err != nil {
		t.Fatal(err)
	}
	if r, err := receive(c); err != nil || len(r.Answer) != 2 {
		t.Fatal(r, err)
	}
	each := (memory() - before) / int64(idle)
	t.Logf("%d connections, %d octets for each", idle, each)
	if each > maxIdleMemory {
		t.Errorf("%d octets for each connection, more than %d", each, maxIdleMemory)
	}
}

// maxIdleMemory is the most octets that a connection without a message may cost in this
// process: its reader's buffer, its goroutine's stack, its places in the maps.
const maxIdleMemory = 12 << 10

// memory is what the heap and the stacks hold now.
func memory() int64 {
	runtime.GC()
	runtime.GC() // twice: pools keep what they hold over one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
