package main

import (
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() { commandsOfScripts["throttle"] = throttle }

// throttle OCTETS makes the S3 endpoint as slow as so many octets a second each way, so
// that what is to be killed in its midst has one; throttle off makes it fast again.
func throttle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: throttle OCTETS|off")
	}
	if args[0] == "off" {
		ts.Setenv("DARK_S3_URL", ts.Getenv("DEV_S3_URL"))
		return
	}
	rate, err := strconv.Atoi(args[0])
	ts.Check(err)
	to, err := url.Parse(ts.Getenv("DEV_S3_URL"))
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	s := &slow{l: l, to: to.Host, rate: rate}
	s.all.Go(s.serve)
	ts.Defer(s.close)
	ts.Setenv("DARK_S3_URL", "http://"+l.Addr().String())
}

// slow passes connections on, slowly.
type slow struct {
	l    net.Listener
	to   string
	rate int
	all  sync.WaitGroup
	mu   struct {
		sync.Mutex
		open []net.Conn
	}
}

func (s *slow) close() {
	s.l.Close()
	s.mu.Lock()
	for _, c := range s.mu.open {
		c.Close()
	}
	s.mu.Unlock()
	s.all.Wait()
}

func (s *slow) keep(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.open = append(s.mu.open, c)
}

func (s *slow) serve() {
	for {
		from, err := s.l.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", s.to)
		if err != nil {
			from.Close()
			continue
		}
		s.keep(from)
		s.keep(to)
		s.all.Go(func() { s.pass(to, from) })
		s.all.Go(func() { s.pass(from, to) })
	}
}

// pass copies a hundredth of a second's octets at each tick.
func (s *slow) pass(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		<-tick.C
		if _, err := io.CopyN(to, from, int64(s.rate/100)); err != nil {
			return
		}
	}
}
