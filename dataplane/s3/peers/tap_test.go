package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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
		open  map[net.Conn]bool
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
	p, at, closeTap := tapOn(t, e.host())
	t.Cleanup(func() {
		closeTap()
		t.Logf("%d requests, answered %v", p.mu.requests, p.mu.statuses)
		for _, f := range p.faults(notImplemented) {
			t.Error(f)
		}
	})
	e.URL = "http://" + at
	return e
}

// tapOn starts a tap before a server; what it noted is complete once it is closed.
func tapOn(t *testing.T, server string) (p *tap, at string, closeTap func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = &tap{to: server}
	p.mu.statuses, p.mu.open = map[int]int{}, map[net.Conn]bool{}
	p.conns.Go(func() { p.accept(l) })
	return p, l.Addr().String(), func() {
		l.Close()
		p.hangUp()
		p.conns.Wait()
	}
}

// hangUp closes the connections that clients left open.
func (p *tap) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.mu.open {
		c.Close()
	}
}

// holding keeps a connection for hangUp; the function returned lets it go.
func (p *tap) holding(c net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.open[c] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.mu.open, c)
	}
}

// faults are the answers that no client should have had.
func (p *tap) faults(notImplemented []string) (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.blind > 0 {
		out = append(out, fmt.Sprintf("%d connections could not be read along", p.mu.blind))
	}
	for _, a := range p.mu.bad {
		expected := slices.ContainsFunc(notImplemented, func(re string) bool {
			return regexp.MustCompile(re).MatchString(a.request)
		})
		if a.status != http.StatusNotImplemented || !expected {
			out = append(out, a.String())
		}
	}
	return out
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
	defer p.holding(client)()
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

// TestTapBites: what a client is answered is seen through every shape of HTTP that S3
// clients use, and the octets pass unchanged.
func TestTapBites(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Trailer-Seen", r.Trailer.Get("X-Sum"))
		switch r.URL.Path {
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, "<Error><Code>InternalError</Code></Error>")
		case "/later":
			w.WriteHeader(http.StatusNotImplemented)
		default:
			_, _ = w.Write(body)
		}
	}))
	defer server.Close()
	p, at, closeTap := tapOn(t, server.Listener.Addr().String())
	c := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second}}
	for _, path := range []string{"/broken", "/fine", "/later?acl", "/fine"} {
		for _, method := range []string{http.MethodPut, http.MethodHead, http.MethodGet} {
			req, err := http.NewRequestWithContext(t.Context(), method, "http://"+at+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if method == http.MethodPut {
				req.Body, req.Trailer = io.NopCloser(strings.NewReader("some text")), http.Header{"X-Sum": {"1"}}
				req.Header.Set("Expect", "100-continue")
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || method == http.MethodPut && (path == "/fine" && string(b) != "some text" ||
				resp.Header.Get("Trailer-Seen") != "1") {
				t.Errorf("%s %s: %q, %v", method, path, b, err)
			}
		}
	}
	c.CloseIdleConnections()
	closeTap()
	if p.mu.requests != 12 || p.mu.statuses[200] != 6 {
		t.Errorf("%d requests, answered %v", p.mu.requests, p.mu.statuses)
	}
	want := []string{"PUT /broken: 500 InternalError", "HEAD /broken: 500 ", "GET /broken: 500 InternalError"}
	if got := p.faults([]string{`^[A-Z]+ /later\?acl$`}); !slices.Equal(got, want) {
		t.Errorf("the faults are %q", got)
	}
	if got := p.faults(nil); len(got) != 6 {
		t.Errorf("without exceptions the faults are %q", got)
	}
}
