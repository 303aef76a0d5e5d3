package bounded

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// client signs what no library would send.
type client struct {
	addr   string
	signer *v4.Signer
	http   http.Client
}

func newClient(s *server) *client {
	return &client{
		addr: s.addr, signer: v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }),
		http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}},
	}
}

// answer is what came back; the zero value is a connection that was cut.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) text(element string) string {
	_, rest, _ := strings.Cut(a.body, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	return text
}

func (a answer) code() string { return a.text("Code") }

// again: a client tries again, as it was told, or since it was cut off or had no turn on a
// busy machine.
func (a answer) again() bool {
	return a.status == 0 || a.code() == "SlowDown" || a.code() == "RequestTimeout"
}

// signed is a request with a signature; headers are "Name: value".
func (c *client) signed(method, target string, body []byte, headers ...string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://"+c.addr+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	who := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}
	return r, c.signer.SignHTTP(context.Background(), who, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", region,
		time.Now())
}

// do sends a request as it should be sent.
func (c *client) do(t *testing.T, method, target string, body []byte, headers ...string) answer {
	t.Helper()
	r, err := c.signed(method, target, body, headers...)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, target, err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// raw sends a signed head with a length of its own, and a body that send writes until it
// cannot any more; then, unless it hangs up, it waits for the answer.
func (c *client) raw(t *testing.T, method, target, length string, headers []string, send func(io.Writer) error,
	hangUp bool,
) answer {
	t.Helper()
	r, err := c.signed(method, target, nil, headers...)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, c.addr, length)
	_ = r.Header.Write(&head)
	head.WriteString("\r\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := conn.Write(head.Bytes()); err == nil && send(conn) == nil && hangUp {
			_ = conn.(*net.TCPConn).CloseWrite() // the answer tells
		}
	}()
	defer func() {
		conn.Close()
		<-sent
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // what is missing of it shows
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// text sends a text.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// flood sends so many octets of a document that begins in one way and goes on in another;
// framed: in chunks of HTTP's chunked coding.
func flood(octets int, open, on string, framed bool) func(io.Writer) error {
	block := []byte(strings.Repeat(on, 1+(64<<10)/len(on)))
	return func(w io.Writer) error {
		for n := 0; n < octets; {
			b := block[:min(len(block), octets-n)]
			if n == 0 {
				b = append([]byte(open), block...)
			}
			n += len(b)
			if framed {
				b = append(append(fmt.Appendf(nil, "%x\r\n", len(b)), b...), "\r\n"...)
			}
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
}
