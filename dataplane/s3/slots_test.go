package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/preauth"
)

// TestStrangersHoldNoSlot: clients that cannot sign, of whose refused bodies no octet
// comes, hold no place that an authenticated client needs, and only so many of them are
// waited for.
func TestStrangersHoldNoSlot(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.InFlight, c.Limits.Courtesy = 2, 3 })
	s.bucket(t, "box", nil)
	for _, headers := range [][]string{
		nil, // nobody signed
		{"Authorization: AWS4-HMAC-SHA256 Credential=AKACME/20300101/eu-1/s3/aws4_request, SignedHeaders=host, " +
			"Signature=00\r\n"},
		{"Authorization: AWS4-HMAC-SHA256 Credential=AKACME/20300101/eu-1/s3/aws4_request, SignedHeaders=host, " +
			"Signature=00\r\n", "Expect: 100-continue\r\n"},
	} {
		for range 4 {
			c, r := s.dialRaw(t)
			refusedPut(t, c, 100<<20, headers...)
			resp := ok(http.ReadResponse(r, nil))(t)
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode/100 != 4 || !resp.Close {
				t.Fatalf("%+v", resp)
			}
		}
	}
	if n := s.h.bounds.courtesy.Load(); n > 3 {
		t.Errorf("%d refused bodies are waited for", n)
	}
	for range 5 {
		if a := s.raw(t, "PUT", "/box/k", []byte("x")); a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
}

// TestSlotsAreShared: neither an organization, nor a source, nor all who did not sign, get
// all places.
func TestSlotsAreShared(t *testing.T) {
	const bound = 64
	source := func(i int) holder {
		return holder{source: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)}
	}
	s := newSlots(bound)
	fill := func(h holder) (n int64) {
		for s.take(h, 1) {
			n++
		}
		return n
	}
	if n := fill(source(0)); n != bound/16 {
		t.Errorf("one source has %d", n)
	}
	unsigned := int64(bound / 16)
	for i := range bound {
		unsigned += fill(source(i + 1))
	}
	if unsigned != bound/2 {
		t.Errorf("all who did not sign have %d", unsigned)
	}
	if n := fill(holder{organization: "acme"}); n != bound/2 {
		t.Errorf("one organization has %d", n)
	}
	s.give(source(0), 1)
	if !s.take(holder{organization: "other"}, 1) || s.take(holder{organization: "other"}, 1) {
		t.Error("the bound of all does not hold")
	}
	if s.taken() != bound {
		t.Errorf("%d are taken", s.taken())
	}
}

// TestSlowUploadsOfOneOrganizationMakeNoOtherWait, nor do its slow documents.
func TestSlowUploadsOfOneOrganizationMakeNoOtherWait(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Bodies, c.Limits.Documents, c.Limits.Stall = 8, 64<<10, time.Minute })
	s.bucket(t, "box", nil)
	ok(s.client("AKOTHER").CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("theirs")}))(t)
	stall := func(method, target string, sent int) { // a body of which only a part comes
		r := ok(http.NewRequestWithContext(t.Context(), method, s.URL+target, nil))(t)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		s.sign(t, r, nil)
		c, _ := s.dialRaw(t)
		ok(fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n", method, target, r.Host))(t)
		for name, values := range r.Header {
			ok(fmt.Fprintf(c, "%s: %s\r\n", name, values[0]))(t)
		}
		ok(fmt.Fprint(c, "\r\n", strings.Repeat(" ", sent)))(t)
	}
	until := func(what string, done func() bool) {
		for end := time.Now().Add(time.Minute); !done(); runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	for i := range 12 {
		stall("PUT", fmt.Sprint("/box/", i), 0)
	}
	until("acme's uploads are not waited for", func() bool {
		return s.h.slots.taken() == 12 && s.h.bounds.bodies.slots.taken() == 4
	})
	put(t, s.client("AKOTHER"), "theirs", "k", make([]byte, 100_000))
	stall("PUT", "/box?lifecycle", 30<<10)
	until("acme's document is not held", func() bool { return s.h.bounds.documents.taken() == 30<<10 })
	if a := s.raw(t, "PUT", "/box?tagging", bytes.Repeat([]byte(" "), 4<<10)); a.status != 503 {
		t.Errorf("beyond acme's share: %+v", a)
	}
	theirs := types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String(strings.Repeat("b", 256))}}}
	ok(s.client("AKOTHER").PutBucketTagging(t.Context(), &awss3.PutBucketTaggingInput{
		Bucket:  aws.String("theirs"),
		Tagging: &theirs,
	}))(t)
}

// TestPlacesGoToTheFirstWhoMayHaveOne.
func TestPlacesGoToTheFirstWhoMayHaveOne(t *testing.T) {
	acme, other := holder{organization: "acme"}, holder{organization: "other"}
	p := newPlaces(4)
	for _, h := range []holder{acme, acme} {
		if p.join(h) != nil {
			t.Fatal("acme has not its share")
		}
	}
	waits := p.join(acme)
	if waits == nil {
		t.Fatal("acme has more than its share")
	}
	for _, h := range []holder{other, other} {
		if p.join(h) != nil {
			t.Fatal("acme's waiting is in another's way")
		}
	}
	gone, theirs := p.join(acme), p.join(other)
	if !p.quit(gone) || p.quit(gone) {
		t.Error("quit twice")
	}
	p.leave(other)
	<-theirs.given
	p.leave(acme)
	<-waits.given
	if p.quit(waits) || p.slots.taken() != 4 {
		t.Errorf("%d places are taken", p.slots.taken())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.enter(ctx, acme, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("gone: %v", err)
	}
	if err := p.enter(t.Context(), acme, 0); !errors.Is(err, s3xml.SlowDown) || len(p.mu.waiting) != 0 {
		t.Errorf("impatient: %v, and %d wait", err, len(p.mu.waiting))
	}
}

// TestAFormIsReadBeforeItHasAPlace: browsers' forms say only in their bodies who signed
// them, and strangers who send none of theirs keep no other body waiting.
func TestAFormIsReadBeforeItHasAPlace(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Bodies = 1 })
	s.bucket(t, "box", nil)
	for range 2 {
		c, _ := s.dialRaw(t)
		ok(fmt.Fprint(c, "POST /box HTTP/1.1\r\nHost: s3\r\nContent-Type: multipart/form-data; "+
			"boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n"))(t)
	}
	for end := time.Now().Add(time.Minute); s.h.slots.taken() != 2; {
		if runtime.Gosched(); time.Now().After(end) {
			t.Fatal("the forms are not being read")
		}
	}
	if a := s.raw(t, "PUT", "/box/k", make([]byte, 100_000)); a.status != 200 {
		t.Fatalf("%+v", a)
	}
}

// TestClientsBelowTheLeastRateEnd, though they never stall: writers and readers. At this
// rate all clients are too slow.
func TestClientsBelowTheLeastRateEnd(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	ok(s.client("AKACME").PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("box"),
		Key:    aws.String("big"), Body: strings.NewReader(strings.Repeat("x", 32<<20)),
	}))(t)
	config := s.h.config
	config.Limits.Stall, config.Limits.LeastRate = 200*time.Millisecond, 1<<40
	strict := New(config)
	t.Cleanup(strict.Close)
	strict.Swap(s.h.View())
	server := httptest.NewServer(strict)
	t.Cleanup(server.Close)
	s.URL = server.URL
	t.Run("writer", func(t *testing.T) {
		body := &endless{}
		r := ok(http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/box/k", body))(t)
		r.ContentLength = 1 << 30
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		s.sign(t, r, nil)
		if resp, err := s.Client().Do(r); err == nil {
			b := ok(io.ReadAll(resp.Body))(t)
			resp.Body.Close()
			if !strings.Contains(string(b), "RequestTimeout") {
				t.Errorf("%s: %s", resp.Status, b)
			}
		} // else its connection was reset while it wrote
		if body.sent.Load() >= 1<<30 {
			t.Error("all of it was taken")
		}
	})
	t.Run("reader", func(t *testing.T) {
		out := ok(s.client("AKACME").GetObject(t.Context(), &awss3.GetObjectInput{
			Bucket: aws.String("box"),
			Key:    aws.String("big"),
		}))(t)
		defer out.Body.Close()
		for octet := make([]byte, 1); ; { // an octet at a time, and never none
			if _, err := out.Body.Read(octet); errors.Is(err, io.EOF) {
				t.Error("all of it was given")
			} else if err == nil {
				continue
			}
			return
		}
	})
}

// endless is a body that is sent an octet at a time.
type endless struct{ sent atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.sent.Add(1) > 1<<30 {
		return 0, io.EOF
	}
	return copy(b, "x"), nil
}

// TestPatience: 30 seconds of stalling, once, and 1 KiB a second for ever.
func TestPatience(t *testing.T) {
	q := &request{h: &Handler{config: Config{Limits: Limits{}.orDefaults()}}, patience: 30 * time.Second}
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for range 1000 {
		q.moved(ago(10*time.Second), 11<<10)
	}
	if q.patience < 29*time.Second {
		t.Errorf("after 1.1 KiB/s there are %v", q.patience)
	}
	q.moved(ago(29*time.Second), 1)
	if q.patience > 2*time.Second || q.patience <= 0 {
		t.Errorf("after an octet in 29 seconds there are %v", q.patience)
	}
	if start := time.Now(); q.impatient(start, 0).Sub(start) > 2*time.Second {
		t.Error("the next octet may take longer")
	}
}

// TestConnectionsOfKnownCallersCountAsThat: a connection waits for its caller until a
// request is signed, or is one that all may make; a refused one changes nothing.
func TestConnectionsOfKnownCallersCountAsThat(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	l := preauth.Listen(ok(net.Listen("tcp", "127.0.0.1:0"))(t), preauth.Limits{
		Total: 8, PerSource: 8,
		Deadline: time.Hour,
	})
	server := &http.Server{Handler: s.h, ConnContext: ConnContext, ReadHeaderTimeout: time.Minute}
	go server.Serve(l) //nolint:errcheck // ends with the server
	t.Cleanup(func() { server.Close() })
	s.URL = "http://" + l.Addr().String()
	if resp := ok(s.Client().Get(s.URL + "/box/k"))(t); resp.StatusCode != http.StatusForbidden ||
		l.Stats().Waiting != 1 {
		t.Errorf("refused: %s, %+v", resp.Status, l.Stats())
	} else {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if a := s.raw(t, "GET", "/box", nil); a.status != 200 || l.Stats().Waiting != 0 {
		t.Errorf("signed: %d, %+v", a.status, l.Stats())
	}
}
