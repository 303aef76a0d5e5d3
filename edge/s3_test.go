package edge

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const (
	testKeyID  = "DKTESTTESTTESTTEST22"
	testSecret = "secretsecretsecretsecretsecretsecret1234"
	testRegion = "dark"
)

// sealTo seals a message to machines.
func sealTo(t testing.TB, m proto.Message, machines ...*keyring.Machine) []byte {
	t.Helper()
	plain, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var to []string
	for _, m := range machines {
		to = append(to, m.Recipient())
	}
	g, err := keyring.NewGroup(to...)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := g.Seal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func record(t testing.TB, kindName, name string, m proto.Message) *feedv1.Item {
	t.Helper()
	value, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return &feedv1.Item{Kind: kindName, Name: name, Lane: uint32(kind.LaneData), Value: value}
}

func machineOf(t testing.TB, dir string) *keyring.Machine {
	t.Helper()
	m, err := keyring.LoadMachine(filepath.Join(dir, fileMachine))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func bucketKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// bucketItems are a bucket of a cell and its keys.
func bucketItems(t testing.TB, name, cell string, id, key []byte, machines ...*keyring.Machine) []*feedv1.Item {
	t.Helper()
	return []*feedv1.Item{
		record(t, kindKeys, "buckets/"+name, &storagev1.PublishedKeys{
			Id:     id,
			Sealed: sealTo(t, &storagev1.Keys{Keys: []*storagev1.Key{{Version: 1, Key: key}}}, machines...),
		}),
		record(t, kindBucket, "buckets/"+name, &storagev1.PublishedBucket{
			Bucket: name, Id: id, Organization: "acme", Spec: &storagev1.BucketSpec{},
			Placement: &storagev1.Placement{Cell: cell, Generation: 1}, Etag: "1",
		}),
	}
}

func signingKeys() *storagev1.SigningKeys {
	out := &storagev1.SigningKeys{}
	today := sigv4.Day(time.Now())
	for d := today - 8; d <= today+15; d++ {
		key := sigv4.Derive(testSecret, d, testRegion)
		out.Keys = append(out.Keys, &storagev1.SigningKey{Day: d, Region: testRegion, Key: key[:]})
	}
	return out
}

func storageItems(t testing.TB, id, key []byte, m *keyring.Machine) []*feedv1.Item {
	return append(bucketItems(t, "photos", "edge1", id, key, m),
		record(t, kindStorage, "storage", &storagev1.PublishedStorage{
			Region:        testRegion,
			RegionAliases: []string{"us-east-1"},
		}),
		record(t, kindAccessKey, "accesskeys/"+testKeyID, &storagev1.PublishedAccessKey{
			AccessKeyId: testKeyID, Organization: "acme", Name: "accesskeys/one", Sealed: sealTo(t, signingKeys(), m),
		}))
}

// s3Node runs a node with S3 on a free port.
func s3Node(t *testing.T, dir string, feeds ...string) (*Node, *s3.Client, func()) {
	t.Helper()
	cfg := settings(t, dir)
	cfg.DNS, cfg.S3, cfg.Feeds = nil, []string{"127.0.0.1:0", "[::1]:0"}, feeds
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, n)
	client, hangUp := s3ClientOf(t, n)
	return n, client, func() { hangUp(); stop() }
}

// s3ClientOf is a client of a node, and how it closes its connections.
func s3ClientOf(t *testing.T, n *Node) (*s3.Client, func()) {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return s3.New(s3.Options{
		Region: testRegion, BaseEndpoint: aws.String("http://" + n.Addresses("s3")[0].String()), UsePathStyle: true,
		RetryMaxAttempts: 1,
		HTTPClient:       &http.Client{Transport: transport, Timeout: 20 * time.Second},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: testKeyID, SecretAccessKey: testSecret}, nil
		}),
	}), transport.CloseIdleConnections
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func httpStatus(err error) int {
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) {
		return r.HTTPStatusCode()
	}
	return 0
}

func get(t *testing.T, c *s3.Client, key string) ([]byte, error) {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("photos"), Key: aws.String(key)})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// TestObjectsAreServedWithoutAControlPlane: what an edge was told once is enough, after a
// restart too; buckets cannot be made meanwhile; a key that was revoked stays so.
func TestObjectsAreServedWithoutAControlPlane(t *testing.T) {
	dir := t.TempDir()
	machine := machineOf(t, dir)
	id, key := bytes.Repeat([]byte{7}, 16), bucketKey(9)
	first := sealedFrame(t, storageItems(t, id, key, machine)...)
	f := fakeControl(t, first)
	n, client, stop := s3Node(t, dir, f.addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	small, large := []byte("a small object that is told apart: pelican"), make([]byte, 300_000)
	rand.Read(large)
	put := func(key string, body []byte) error {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String("photos"), Key: aws.String(key),
			Body: bytes.NewReader(body),
		})
		return err
	}
	if err := errors.Join(put("small", small), put("large", large)); err != nil {
		t.Fatal(err)
	}
	f.stop()
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("another")})
	if httpStatus(err) != http.StatusServiceUnavailable {
		t.Errorf("a bucket without a control plane: %v", err)
	}
	stop()
	nothingInClear(t, dir, [][]byte{small, large[:64], key, []byte(testSecret), signingKeys().Keys[8].Key})
	_, client, stop = s3Node(t, dir)
	for name, want := range map[string][]byte{"small": small, "large": large} {
		if got, err := get(t, client, name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s after a restart: %d octets, %v", name, len(got), err)
		}
	}
	stop()
	// The key is revoked; the edge is killed and never sees a control node again.
	f = fakeControl(t, sealedAfter(t, first, &feedv1.Item{
		Kind: "dark.storage.v1.AccessKey",
		Name: "accesskey:" + testKeyID, Lane: uint32(kind.LaneDeny), Value: []byte{},
		Expires: time.Now().Add(time.Hour).Unix(),
	}))
	n, client, stop = s3Node(t, dir, f.addr)
	eventually(t, "denied", func() bool { return n.Denied("accesskey:" + testKeyID) })
	if _, err := get(t, client, "small"); code(err) != "InvalidAccessKeyId" {
		t.Errorf("a revoked key reads: %v", err)
	}
	stop()
	f.stop()
	_, client, _ = s3Node(t, dir)
	if _, err := get(t, client, "small"); code(err) != "InvalidAccessKeyId" {
		t.Errorf("a revoked key reads after a restart: %v", err)
	}
}

// sealedAfter is the frame after another.
func sealedAfter(t *testing.T, before []byte, items ...*feedv1.Item) []byte {
	t.Helper()
	f, hash, err := frame.Open(before, frame.NewKeys(frame.Key{Public: settings(t, "").PublishingKey}).At(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := frame.Seal(testKey, &feedv1.Frame{
		Cluster: "test", Stream: "org/acme", Epoch: 1, PreviousRevision: f.Revision, PreviousHash: hash[:],
		Revision: f.Revision + 1,
		Last:     true, Items: items, SignedAt: time.Now().UnixNano(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// nothingInClear looks for secrets in every file but the machine key: it is what the
// thief of a disk with another machine key has.
func nothingInClear(t *testing.T, dir string, secrets [][]byte) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == fileMachine {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for i, s := range secrets {
			if bytes.Contains(b, s) {
				t.Errorf("%s has secret %d in the clear", path, i)
			}
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Fatalf("%d files, %v", files, err)
	}
}

// TestWhatWasDeletedIsErasedAndWhatVanishedIsNot: only the deny lane's word erases.
func TestWhatWasDeletedIsErasedAndWhatVanishedIsNot(t *testing.T) {
	dir := t.TempDir()
	machine := machineOf(t, dir)
	id := bytes.Repeat([]byte{7}, 16)
	first := sealedFrame(t, storageItems(t, id, bucketKey(9), machine)...)
	f := fakeControl(t, first)
	n, client, stop := s3Node(t, dir, f.addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("photos"), Key: aws.String("x"),
		Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	s := s3Of(n)
	gone := &storageView{s3: s.handler.View()} // as when the organization left this edge
	s.swap(gone)
	place := store.Placement{Tenant: "acme", Space: store.ID(id), Cell: "edge1", Generation: 1}
	if _, err := s.store.At(place); err != nil {
		t.Errorf("a bucket that vanished: %v", err)
	}
	v, refused := s.compileStorage(gone, []kind.Change{{
		Kind: kindErased, Name: "bucket:" + hex.EncodeToString(id),
		Value: []byte{},
	}, {Kind: kindErased, Name: "bucket:zz", Value: []byte{}}})
	if len(refused) != 1 {
		t.Errorf("refused %v", refused)
	}
	s.swap(v)
	eventually(t, "erased", func() bool {
		_, err := s.store.At(place)
		return errors.Is(err, store.ErrErased)
	})
	stop()
	f.stop()
}

func s3Of(n *Node) *s3Server {
	for _, p := range n.parts {
		if m, ok := p.Metrics.(s3Metrics); ok {
			return m.s
		}
	}
	return nil
}

// TestS3OverTLS: HTTP/1.1 alone, with the certificate that was given.
func TestS3OverTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	cfg := settings(t, t.TempDir())
	cfg.DNS, cfg.S3 = nil, []string{"127.0.0.1:0"}
	cfg.S3TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, n)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + n.Addresses("s3")[0].String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 1 || resp.StatusCode != http.StatusForbidden {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
}

func TestS3InClearIsForLoopback(t *testing.T) {
	cfg := settings(t, t.TempDir())
	cfg.S3 = []string{"192.0.2.1:9000"}
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "TLS") {
		t.Errorf("%v", err)
	}
}

// signedGet reads an object with a request that is signed at a time.
func signedGet(t *testing.T, endpoint, key string, at time.Time) (int, string) {
	t.Helper()
	date := at.UTC().Format("20060102T150405Z")
	canonical := strings.Join([]string{
		"GET", "/photos/" + key, "", "host:" + endpoint, "x-amz-content-sha256:UNSIGNED-PAYLOAD", "x-amz-date:" + date,
		"",
		"host;x-amz-content-sha256;x-amz-date", "UNSIGNED-PAYLOAD",
	}, "\n")
	scope := date[:8] + "/" + testRegion + "/s3/aws4_request"
	sum := sha256.Sum256([]byte(canonical))
	signing := sigv4.Derive(testSecret, sigv4.Day(at), testRegion)
	mac := hmac.New(sha256.New, signing[:])
	mac.Write([]byte("AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + hex.EncodeToString(sum[:])))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+endpoint+"/photos/"+key, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Date", date)
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+testKeyID+"/"+scope+
		", SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="+hex.EncodeToString(mac.Sum(nil)))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestFourteenDaysAlone: with the control plane gone and the edge started anew each day,
// requests are verified for 14 days and more; when the last signing key is over they fail
// closed. What the edge says of its budget falls with the days.
func TestFourteenDaysAlone(t *testing.T) {
	dir := t.TempDir()
	f := fakeControl(t, sealedFrame(t, storageItems(t, bytes.Repeat([]byte{7}, 16), bucketKey(9),
		machineOf(t, dir))...))
	n, client, stop := s3Node(t, dir, f.addr)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("photos"), Key: aws.String("x"),
		Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	f.stop()
	for day := range 18 {
		ahead := time.Duration(day) * aDay
		cfg := settings(t, dir)
		cfg.DNS, cfg.S3 = nil, []string{"127.0.0.1:0"}
		cfg.Clock = clock.At(func() time.Time { return time.Now().Add(ahead) })
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, n)
		status, body := signedGet(t, n.Addresses("s3")[0].String(), "x", time.Now().Add(ahead))
		left := int(n.ends().Sub(time.Now().Add(ahead)) / aDay)
		switch {
		case day <= 15 && (status != http.StatusOK || body != "x" || left != 15-day):
			t.Errorf("day %d: %d %s, %d days left", day, status, body, left)
		case day > 15 && (status < 400 || strings.Contains(body, "<Code>InternalError")):
			t.Errorf("day %d: %d %s", day, status, body)
		case day == 16:
			t.Logf("on day 16: %d %s", status, body)
		}
		stop()
	}
}
