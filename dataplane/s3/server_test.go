package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const (
	testRegion = "eu-1"
	testARN    = "arn:dark:kms:eu-1:acme:key/0123456789abcdef0123456789abcdef"
)

// testKeys gives each space and each name a key of its own.
type testKeys struct{}

func (testKeys) Key(space store.ID, name string, version uint32) ([32]byte, uint32, error) {
	if version == 0 {
		version = 1
	}
	return sha256.Sum256(fmt.Appendf(nil, "%x %s %d", space, name, version)), version, nil
}

// testServer is the real handler on the real store, on loopback, and a control plane of a
// few lines.
type testServer struct {
	*httptest.Server
	h     *Handler
	store *store.Store
	clock *testClock
	logs  struct {
		sync.Mutex
		lines []string
	}
	denied sync.Map
	mu     struct {
		sync.Mutex
		down    bool // the control plane does not answer
		buckets map[string]*storagev1.PublishedBucket
		rev     int
	}
}

type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.IsZero() {
		return time.Now()
	}
	return c.now
}

func (c *testClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// newServer starts one; change may alter its configuration.
func newServer(t testing.TB, change ...func(*Config)) *testServer {
	t.Helper()
	s := &testServer{clock: &testClock{}}
	s.mu.buckets = map[string]*storagev1.PublishedBucket{}
	c := clock.At(s.clock.Now)
	var err error
	s.store, err = store.Open(store.Options{
		FS: vfs.NewMem(), Dir: "store", Cell: "here", Keys: testKeys{}, Clock: c,
		SegmentSize: 32 << 20, Reserve: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Store: s.store, Control: s, Clock: c, Domains: []string{"s3.test"},
		Denied: func(subject string) bool { _, ok := s.denied.Load(subject); return ok },
		RequestLog: func(line []byte) {
			s.logs.Lock()
			defer s.logs.Unlock()
			s.logs.lines = append(s.logs.lines, string(line))
		},
	}
	for _, f := range change {
		f(&config)
	}
	s.h = New(config)
	s.Server = httptest.NewServer(s.h)
	t.Cleanup(func() {
		s.Server.Close()
		s.h.Close()
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	s.swap(t,
		Settings(&storagev1.PublishedStorage{Region: testRegion, RegionAliases: []string{"us-east-1"}}),
		s.accessKey("AKACME", "acme"), s.accessKey("AKOTHER", "other"),
		PutEncryptionKey(EncryptionKey{Name: "encryptionkeys/main", Organization: "acme", ARN: testARN}),
		PutEncryptionKey(EncryptionKey{
			Name: "encryptionkeys/old", Organization: "acme",
			ARN: strings.Replace(testARN, "key/0", "key/f", 1), Retired: true,
		}),
	)
	return s
}

func (s *testServer) swap(t testing.TB, changes ...Change) {
	t.Helper()
	v, err := s.h.View().With(changes...)
	if err != nil {
		t.Fatal(err)
	}
	s.h.Swap(v)
}

func secretOf(id string) string { return "secret of " + id }

// accessKey publishes an access key with its signing keys around now.
func (s *testServer) accessKey(id, organization string, scopes ...*storagev1.Scope) Change {
	keys := &storagev1.SigningKeys{}
	today := sigv4.Day(s.clock.Now())
	for day := today - 8; day <= today+15; day++ {
		for _, region := range []string{testRegion, "us-east-1"} {
			k := sigv4.Derive(secretOf(id), day, region)
			keys.Keys = append(keys.Keys, &storagev1.SigningKey{Day: day, Region: region, Key: k[:]})
		}
	}
	return PutAccessKey(&storagev1.PublishedAccessKey{
		AccessKeyId: id, Organization: organization, Name: "accesskeys/" + strings.ToLower(id), Scopes: scopes,
	}, keys)
}

// The control plane.

func (s *testServer) publish(name string, change func(old *storagev1.PublishedBucket) (*storagev1.PublishedBucket,
	error),
) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.down {
		return errs.New(errs.Unavailable, "no control node answers")
	}
	next, err := change(s.mu.buckets[name])
	if err != nil {
		return err
	}
	step := DropBucket(name)
	delete(s.mu.buckets, name)
	if next != nil {
		s.mu.rev++
		next.Etag = fmt.Sprint(s.mu.rev)
		s.mu.buckets[name] = next
		step = PutBucket(next)
	}
	v, err := s.h.View().With(step)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "the bucket cannot be compiled")
	}
	s.h.Swap(v)
	return nil
}

// looseKey may leave documents unsigned.
const looseKey = "AKLOOSE"

// asked is what the control plane reads in a proof, beside the signature.
func (s *testServer) asked(proof, organization string) (*storagev1.BucketSpec, *sigv4.Signed, error) {
	p, err := sigv4.ReadToken(proof)
	if err == nil {
		err = p.Verify(secretOf(p.AccessKeyID), []string{testRegion, "us-east-1"}, s.clock.Now())
	}
	if errors.Is(err, sigv4.ErrUncovered) && p.AccessKeyID == looseKey {
		err = nil
	}
	if err != nil {
		return nil, nil, errs.New(errs.Unauthenticated, "%s", err.Error())
	}
	spec, err := Asked(organization, p, s.h.View().defaults, func(id string) string {
		k, _ := s.h.View().encryptionKey(organization, id)
		return k.Name
	})
	return spec, p, err
}

func (s *testServer) CreateBucket(_ context.Context, proof, organization string, b *storagev1.Bucket) error {
	name := strings.TrimPrefix(b.GetName(), "buckets/")
	if proof != "sigv4." { // not the tests' own
		want, p, err := s.asked(proof, organization)
		if err != nil || !p.Names(name, sigv4.NewHosts("s3.test")) || !proto.Equal(want, b.GetSpec()) {
			return errs.New(errs.Denied, "%v was signed, and %v is asked for (%v)", want, b.GetSpec(), err)
		}
	}
	return s.publish(name, func(old *storagev1.PublishedBucket) (*storagev1.PublishedBucket, error) {
		if old != nil || !strings.HasPrefix(proof, "sigv4.") {
			return old, errs.New(errs.Conflict, "the name is taken")
		}
		id := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, s.mu.rev))
		return &storagev1.PublishedBucket{
			Bucket: name, Id: id[:16], Organization: organization, Spec: b.GetSpec(),
			Placement: &storagev1.Placement{Cell: "here"}, CreateTime: timestamppb.New(s.clock.Now()),
		}, nil
	})
}

func (s *testServer) UpdateBucket(_ context.Context, proof, organization string, b *storagev1.Bucket) error {
	want, p, err := s.asked(proof, organization)
	if err != nil || !p.Names(strings.TrimPrefix(b.GetName(), "buckets/"), sigv4.NewHosts("s3.test")) {
		return errs.New(errs.Denied, "the proof is not for this: %v", err)
	}
	_, part, _ := p.Part()
	for _, path := range part.Fields {
		fd := want.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(strings.TrimPrefix(path, "spec.")))
		if x, y := want.ProtoReflect().Get(fd), b.GetSpec().ProtoReflect().Get(fd); !x.Equal(y) {
			return errs.New(errs.Denied, "%v was signed for %s, and %v is asked for", x, path, y)
		}
	}
	return s.publish(strings.TrimPrefix(b.GetName(), "buckets/"),
		func(old *storagev1.PublishedBucket) (*storagev1.PublishedBucket, error) {
			switch {
			case old == nil:
				return nil, errs.New(errs.NotFound, "no such bucket")
			case old.GetOrganization() != organization:
				return old, errs.New(errs.Denied, "not yours")
			case b.GetEtag() != old.GetEtag():
				return old, errs.New(errs.Conflict, "somebody was first")
			}
			next := proto.Clone(old).(*storagev1.PublishedBucket)
			next.Spec = b.GetSpec()
			return next, nil
		})
}

func (s *testServer) DeleteBucket(_ context.Context, _, _, name string) error {
	return s.publish(name, func(*storagev1.PublishedBucket) (*storagev1.PublishedBucket, error) { return nil, nil })
}

// bucket makes a bucket of acme's with a spec, without a request.
func (s *testServer) bucket(t testing.TB, name string, spec *storagev1.BucketSpec) {
	t.Helper()
	if spec == nil {
		spec = &storagev1.BucketSpec{}
	}
	if err := s.CreateBucket(t.Context(), "sigv4.", "acme", &storagev1.Bucket{
		Name: "buckets/" + name,
		Spec: spec,
	}); err != nil {
		t.Fatal(err)
	}
}

// client is an SDK client for an access key.
func (s *testServer) client(id string, options ...func(*awss3.Options)) *awss3.Client {
	return awss3.New(awss3.Options{
		Region: testRegion, BaseEndpoint: aws.String(s.URL), UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials(id), HTTPClient: s.Client(),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}, options...)
}

func credentials(id string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secretOf(id)}, nil
	})
}

// dial opens a plain connection, for what no client library would send.
func (s *testServer) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

var _ http.Handler = (*Handler)(nil)
