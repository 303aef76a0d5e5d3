package api_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	"github.com/dark-ecosystem/dark/proto/dark/identity/v1/identitygrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
	"github.com/dark-ecosystem/dark/proto/dark/storage/v1/storagegrpc"
)

// half is a gRPC request whose message lacks its last octet until it is ended.
type half struct {
	body *io.PipeWriter
	resp chan string // the status of gRPC in the answer
}

// h2c is a client of HTTP/2 in clear.
func h2c(t *testing.T) *http.Client {
	t.Helper()
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (i *installation) half(c *http.Client, token string, size int) half {
	i.t.Helper()
	r, w := io.Pipe()
	h := half{body: w, resp: make(chan string, 1)}
	req, err := http.NewRequestWithContext(i.t.Context(), http.MethodPost,
		"http://"+i.addr+"/dark.dns.v1.ZoneService/CreateZone", r)
	if err != nil {
		i.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Authorization", "Bearer "+token)
	go func() {
		resp, err := c.Do(req)
		if err != nil {
			h.resp <- err.Error()
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		h.resp <- resp.Header.Get("Grpc-Status") + resp.Trailer.Get("Grpc-Status")
	}()
	go func() {
		_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(size)), make([]byte, size-1)...))
	}()
	i.t.Cleanup(func() { w.Close() })
	return h
}

// TestNoMessageIsReadForAStranger: what 250 such requests held of memory stayed held.
func TestNoMessageIsReadForAStranger(t *testing.T) {
	i := start(t)
	c := h2c(t)
	for range 20 {
		h := i.half(c, "dark_nothing", api.MaxRequest)
		if got := <-h.resp; got != "16" {
			t.Fatalf("status %s, want 16, unauthenticated", got)
		}
	}
	if n := api.Held(i.srv); n != 0 {
		t.Fatalf("%d octets are held", n)
	}
}

// TestMessagesOfAKeyAreBounded: a key whose messages do not end holds its share, the next
// is refused, others go on, and the deadline gives all of it back.
func TestMessagesOfAKeyAreBounded(t *testing.T) {
	i := start(t)
	key := i.organization("acme", "dns:*")
	other := i.organization("other", "dns:*")
	c := h2c(t)
	var open []half
	for range 8 {
		open = append(open, i.half(c, key, api.MaxRequest))
	}
	until(t, func() bool { return api.Held(i.srv) == 8*api.MaxRequest })
	if got := <-i.half(c, key, api.MaxRequest).resp; got == "" || got == "0" {
		t.Fatalf("one more: status %q", got)
	}
	i.must(200, other, "", "POST", "/v1/zones", `{"name":"zones/a.test"}`)
	for _, h := range open {
		h.body.Close()
		<-h.resp
	}
	until(t, func() bool { return api.Held(i.srv) == 0 })
}

func TestAMessageThatDoesNotEndIsGivenUp(t *testing.T) {
	i := start(t)
	api.Hasten(i.srv, 50*time.Millisecond, time.Hour)
	h := i.half(h2c(t), i.admin, 1<<20)
	if got := <-h.resp; got == "" || got == "0" {
		t.Fatalf("status %q", got)
	}
	until(t, func() bool { return api.Held(i.srv) == 0 })
}

// TestTextThatIsNotUTF8IsNamed: gRPC itself would answer Internal, which is what clients of
// S3 were told of a bucket policy in Latin-1.
func TestTextThatIsNotUTF8IsNamed(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	const latin = "caf#" // # stands for é in Latin-1
	for name, c := range map[string]struct {
		method string
		m      proto.Message
	}{
		"bucket.spec.policy": {
			storagegrpc.BucketService_CreateBucket_FullMethodName,
			&storagev1.CreateBucketRequest{Bucket: &storagev1.Bucket{
				Name: "buckets/x",
				Spec: &storagev1.BucketSpec{Policy: latin},
			}},
		},
		"zone.labels": {
			dnsgrpc.ZoneService_CreateZone_FullMethodName,
			&dnsv1.CreateZoneRequest{Zone: &dnsv1.Zone{Labels: map[string]string{"a": latin}}},
		},
		"apiKey.spec.permissions": {
			identitygrpc.ApiKeyService_CreateApiKey_FullMethodName,
			&identityv1.CreateApiKeyRequest{ApiKey: &identityv1.ApiKey{
				Spec: &identityv1.ApiKeySpec{Permissions: []string{latin}},
			}},
		},
		"reason": {"/dark.resource.v1.ResourceService/Rollback", &resourcev1.RollbackRequest{Reason: latin}},
	} {
		b, err := proto.Marshal(c.m)
		if err != nil {
			t.Fatal(err)
		}
		_, err = i.srv.Invoke(t.Context(), c.method, i.admin, "acme", "", bytes.ReplaceAll(b, []byte("#"),
			[]byte("\xe9")))
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), name+": is not UTF-8") {
			t.Errorf("%s: %v", name, err)
		}
	}
	out := i.must(400, i.admin, "acme", "POST", "/v1/buckets",
		"{\"name\":\"buckets/x\",\"spec\":{\"policy\":\"caf\xe9\"}}")
	if got := jsonOf(out); !strings.Contains(got, `"field":"spec.policy"`) {
		t.Errorf("%s", got)
	}
	i.must(400, i.admin, "acme", "GET", "/v1/zones/%e9", "")
	i.must(400, i.admin, "caf\xe9", "GET", "/v1/zones", "")
}

// TestStreamsWithoutACredentialShutOutNobody: 64 of them, of one host, kept everybody from
// joining and from asking for health.
func TestStreamsWithoutACredentialShutOutNobody(t *testing.T) {
	i := start(t)
	health := healthpb.NewHealthClient(i.conn)
	refused := 0
	for range 80 {
		w, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = w.Recv()
		}
		if status.Code(err) == codes.ResourceExhausted {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused != 76 {
		t.Errorf("%d of 80 streams of one host were refused, want all but 4", refused)
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	if code, out := i.rest("", "", "POST", "/v1/cluster:join",
		`{"token":"dark_join_x","certificateRequest":"AA=="}`); code == 429 {
		t.Errorf("joining: %d %s", code, out)
	}
}

// TestHalfRequestsWithoutACredentialAreBoundedByHost: another host still joins.
func TestHalfRequestsWithoutACredentialAreBoundedByHost(t *testing.T) {
	i := start(t)
	half := func(from string) string { // the answer's first line: 100 when the body is asked for
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.DialContext(t.Context(), "tcp", i.addr)
		if err != nil {
			return err.Error()
		}
		t.Cleanup(func() { c.Close() })
		fmt.Fprint(c, "POST /v1/cluster:join HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\nExpect: 100-continue\r\n\r\n")
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line
	}
	lines := make(chan string, 80)
	for range 80 {
		go func() { lines <- half("127.0.0.1") }()
	}
	asked := 0
	for range 64 { // 16 have a place, 16 wait for one, the others are refused
		if line := <-lines; strings.Contains(line, " 100 ") {
			asked++
		} else if !strings.Contains(line, " 429 ") {
			t.Error(line)
		}
	}
	if asked != 16 {
		t.Errorf("%d of one host have a place, want 16", asked)
	}
	if line := half("127.0.0.2"); !strings.Contains(line, " 100 ") {
		t.Errorf("another host: %s", line)
	}
}
