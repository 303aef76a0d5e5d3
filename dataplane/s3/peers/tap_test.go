package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// tap passes connections on octet by octet and reads along: which requests were made
// and how they were answered. The wire is as the client and the server made it.
type tap struct {
	to string
	mu struct {
		sync.Mutex
		requests int
		statuses map[int]int
		// bad are the answers with a status of 500 or more, the first hundred.
		bad   []answer
		blind int
	}
	conns sync.WaitGroup
}

// answer is a request and how it was answered.
type answer struct {
	request, code string
	status        int
}

func (a answer) String() string { return fmt.Sprintf("%s: %d %s", a.request, a.status, a.code) }

// watch returns the same endpoint behind a tap. When the test ends it fails for every
// 5xx answer but NotImplemented to requests that one of the patterns fits.
func watch(t *testing.T, e endpoint, notImplemented ...string) endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{to: e.host()}
	p.mu.statuses = map[int]int{}
	p.conns.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		l.Close()
		p.conns.Wait()
		p.verdict(t, notImplemented)
	})
	e.URL = "http://" + l.Addr().String()
	return e
}

func (p *tap) verdict(t *testing.T, notImplemented []string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Logf("%d requests, answered %v", p.mu.requests, p.mu.statuses)
	if p.mu.blind > 0 {
		t.Errorf("%d connections could not be read along", p.mu.blind)
	}
	for _, a := range p.mu.bad {
		expected := slices.ContainsFunc(notImplemented, func(re string) bool { return regexp.MustCompile(re).MatchString(a.request) })
		if a.status != http.StatusNotImplemented || !expected {
			t.Error(a)
		}
	}
}

func (p *tap) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the test has ended
		}
		p.conns.Go(func() { p.pass(c) })
	}
}

func (p *tap) pass(client net.Conn) {
	defer client.Close()
	upstream, err := net.Dial("tcp", p.to)
	if err != nil {
		return // the client sees a closed connection
	}
	defer upstream.Close()
	asked, askedW := io.Pipe()
	told, toldW := io.Pipe()
	waiting := make(chan *http.Request, 16)
	var all sync.WaitGroup
	all.Go(func() { p.readRequests(asked, waiting) })
	all.Go(func() { p.readAnswers(told, waiting) })
	all.Go(func() {
		_, _ = io.Copy(io.MultiWriter(upstream, askedW), client) // either side may hang up at any time
		_ = upstream.(*net.TCPConn).CloseWrite()
		askedW.Close()
	})
	_, _ = io.Copy(io.MultiWriter(client, toldW), upstream)
	toldW.Close()
	client.Close()
	all.Wait()
}

func (p *tap) readRequests(r *io.PipeReader, out chan<- *http.Request) {
	defer close(out)
	defer func() { _, _ = io.Copy(io.Discard, r) }()
	for in := bufio.NewReader(r); ; {
		req, err := http.ReadRequest(in)
		if err != nil {
			p.lost(err)
			return
		}
		out <- req
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			p.lost(err)
			return
		}
	}
}

// lost counts what could not be understood; a connection may end at any octet.
func (p *tap) lost(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.blind++
}

var errorCode = regexp.MustCompile(`<Code>([A-Za-z0-9]+)</Code>`)

func (p *tap) readAnswers(r *io.PipeReader, waiting <-chan *http.Request) {
	defer func() {
		_, _ = io.Copy(io.Discard, r)
		for range waiting { // what was asked and never answered
		}
	}()
	in := bufio.NewReader(r)
	for req := range waiting {
		resp, err := http.ReadResponse(in, req)
		for err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(in, req)
		}
		if err != nil {
			p.lost(err)
			return
		}
		head, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		p.note(req, resp.StatusCode, head)
		if err != nil {
			p.lost(err)
			return
		}
	}
}

func (p *tap) note(req *http.Request, status int, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.requests++
	p.mu.statuses[status]++
	if status < 500 || len(p.mu.bad) == 100 {
		return
	}
	a := answer{request: req.Method + " " + strings.SplitN(req.RequestURI, "X-Amz-", 2)[0], status: status}
	if m := errorCode.FindSubmatch(body); m != nil {
		a.code = string(m[1])
	}
	p.mu.bad = append(p.mu.bad, a)
}
