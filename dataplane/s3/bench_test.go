package s3

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bench sends the same signed request again and again over one connection. The signature
// is made once: what a client costs is not what is measured. cpu-us/op has both ends, of
// which the client's is a write and a read of the socket.
func bench(b *testing.B, s *testServer, method, target string, body []byte, headers ...string) {
	b.Helper()
	r := ok(http.NewRequest(method, s.URL+target, nil))(b)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	sum := sha256.Sum256(body)
	if r.Header.Get("X-Amz-Content-Sha256") == "" {
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	}
	r.ContentLength = int64(len(body))
	s.signBench(b, r)
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, target, r.URL.Host, len(body))
	_ = r.Header.Write(&head)
	head.WriteString("\r\n")
	head.Write(body)
	c := s.dial(b)
	in := bufio.NewReaderSize(c, 64<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	before := cpu()
	for b.Loop() {
		ok(c.Write(head.Bytes()))(b)
		skipAnswer(b, in, method == http.MethodHead)
	}
	b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e3, "cpu-us/op")
}

func (s *testServer) signBench(b *testing.B, r *http.Request) { s.sign(b, r, nil) }

// skipAnswer reads an answer at the least cost.
func skipAnswer(b *testing.B, in *bufio.Reader, head bool) {
	length, first := 0, true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 20")) {
			rest := make([]byte, 600)
			n, _ := in.Read(rest)
			b.Fatalf("%s%s", line, rest[:n])
		}
		first = false
		if len(line) == 2 {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			fmt.Sscan(string(v), &length)
		}
	}
	if !head {
		if _, err := io.CopyN(io.Discard, in, int64(length)); err != nil {
			b.Fatal(err)
		}
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkEndpoint(b *testing.B) {
	s := newServer(b)
	s.bucket(b, "box", nil)
	small, large := randomBytes(4<<10), randomBytes(16<<20)
	s.raw(b, "PUT", "/box/small", small)
	s.raw(b, "PUT", "/box/large", large)
	s.bucket(b, "list", nil)
	for i := range 2000 {
		s.raw(b, "PUT", fmt.Sprintf("/list/dir/some-key-%06d", i), nil)
	}
	b.Run("HEAD", func(b *testing.B) { bench(b, s, "HEAD", "/box/small", nil) })
	b.Run("GET-4K", func(b *testing.B) { bench(b, s, "GET", "/box/small", nil) })
	b.Run("PUT-4K", func(b *testing.B) { bench(b, s, "PUT", "/box/small", small) })
	b.Run("LIST-1000", func(b *testing.B) { bench(b, s, "GET", "/list?list-type=2", nil) })
	b.Run("GET-16M", func(b *testing.B) { bench(b, s, "GET", "/box/large", nil) })
	b.Run("PUT-16M", func(b *testing.B) { bench(b, s, "PUT", "/box/large", large) })
	b.Run("PUT-16M-unsigned", func(b *testing.B) {
		bench(b, s, "PUT", "/box/large", large, "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD")
	})
}
