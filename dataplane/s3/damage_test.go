package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// onDisk makes a server keep its objects on a disk that the test may damage between two.
func onDisk(t *testing.T, fs vfs.FS) (*testServer, *store.Store) {
	t.Helper()
	var own *store.Store
	s := newServer(t, func(c *Config) {
		var err error
		own, err = store.Open(store.Options{
			FS: fs, Dir: "own", Cell: "here", Keys: testKeys{}, Clock: c.Clock, SegmentSize: 1 << 20, Reserve: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		c.Store = own
	})
	t.Cleanup(func() { own.Close() })
	s.bucket(t, "box", nil)
	return s, own
}

// flipTables flips an octet in each table of rows that holds some octets.
func flipTables(t *testing.T, fs vfs.FS, what string) {
	t.Helper()
	names, err := fs.List("own/rows")
	if err != nil {
		t.Fatal(err)
	}
	flips := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		f, err := fs.OpenReadWrite("own/rows/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(all, []byte(what)); i >= 0 {
			flips++
			if _, err := f.WriteAt([]byte{all[i] ^ 1}, int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	if flips == 0 {
		t.Fatalf("no table has %q", what)
	}
}

// TestAListGoesOnBehindWhatIsLost: what comes before it is a page, the page after that is
// refused and names the key to go on at; objects that are lost can be deleted and replaced.
func TestAListGoesOnBehindWhatIsLost(t *testing.T) {
	fs := vfs.NewMem()
	s, own := onDisk(t, fs)
	for i := range 200 {
		if a := s.raw(t, "PUT", fmt.Sprintf("/box/key-%03d", i), fmt.Append(nil, i)); a.status != 200 {
			t.Fatalf("%+v", a)
		}
	}
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	sum := md5.Sum([]byte("100"))
	flipTables(t, fs, hex.EncodeToString(sum[:]))
	s, _ = onDisk(t, fs)
	// A write waits until what cannot be read is set aside; whether the object is there is not
	// said, since nobody knows.
	if a := s.raw(t, "PUT", "/box/key-100", nil, "If-None-Match: *"); a.status != 500 {
		t.Fatalf("%+v", a)
	}
	if a := s.raw(t, "GET", "/box/key-100", nil); a.status != 500 {
		t.Fatalf("a lost object: %+v", a)
	}
	page := s.raw(t, "GET", "/box?list-type=2", nil)
	n := strings.Count(page.body, "<Key>")
	if page.status != 200 || n == 0 || n > 100 || !strings.Contains(page.body, "<IsTruncated>true<") {
		t.Fatalf("%d keys: %.300s", n, page.body)
	}
	from := fmt.Sprintf("key-%03d", n-1)
	next := s.raw(t, "GET", "/box?list-type=2&start-after="+from, nil)
	_, behind, named := strings.Cut(next.body, "The keys from here to \"")
	if next.status != 500 || !named {
		t.Fatalf("%+v", next)
	}
	behind, _, _ = strings.Cut(behind, "\"")
	rest := s.raw(t, "GET", "/box?list-type=2&start-after="+url.QueryEscape(behind), nil)
	if m := strings.Count(rest.body, "<Key>"); rest.status != 200 || m == 0 || n+m >= 200 {
		t.Fatalf("%d keys behind %q: %.300s", m, behind, rest.body)
	}
	if a := s.raw(t, "PUT", "/box/key-100", []byte("new")); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	if a := s.raw(t, "GET", "/box/key-100", nil); a.status != 200 || a.body != "new" {
		t.Fatalf("%+v", a)
	}
	if a := s.raw(t, "DELETE", "/box/key-100", nil); a.status != 204 {
		t.Fatalf("%+v", a)
	}
	if a := s.raw(t, "GET", "/box/key-100", nil); a.status != 404 {
		t.Fatalf("%+v", a)
	}
	wantExpired(t, s, n+strings.Count(rest.body, "<Key>"))
}

// wantExpired has a lifecycle rule delete all objects that are not lost, before and behind
// those that are, which the pass tells of.
func wantExpired(t *testing.T, s *testServer, want int) {
	t.Helper()
	_ = s.publish("box", func(old *storagev1.PublishedBucket) (*storagev1.PublishedBucket, error) {
		next := proto.Clone(old).(*storagev1.PublishedBucket)
		next.Spec.LifecycleRules = []*storagev1.LifecycleRule{{Id: "all", Enabled: true, ExpireDays: 1}}
		return next, nil
	})
	s.clock.set(time.Now().Add(72 * time.Hour))
	done, err := s.h.Lifecycle(t.Context())
	var damaged *store.Damaged
	if !errors.As(err, &damaged) || done.Objects != want {
		t.Fatalf("%d objects expired, not %d: %v", done.Objects, want, err)
	}
}

// TestAnErrorHasNoHeaderOfTheObject: a cache would keep it as long as the object says of
// itself, and a client take its text for something else.
func TestAnErrorHasNoHeaderOfTheObject(t *testing.T) {
	fs := vfs.NewMem()
	s, own := onDisk(t, fs)
	about := []string{
		"Cache-Control: max-age=31536000", "Content-Encoding: br", "Content-Disposition: attachment",
		"X-Amz-Meta-A: b",
	}
	if a := s.raw(t, "PUT", "/box/k", randomBytes(300<<10), about...); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}
	f := ok(fs.OpenReadWrite("own/segments/00000001.seg", vfs.WriteCategoryUnspecified))(t)
	all := ok(io.ReadAll(f))(t)
	ok(f.WriteAt([]byte{all[32<<10] ^ 1}, 32<<10))(t)
	f.Close()
	s, _ = onDisk(t, fs)
	for _, how := range [][]string{nil, {"Range: bytes=0-9"}} {
		a := s.raw(t, "GET", "/box/k", nil, how...)
		wantBare(t, a, 500)
	}
}

// wantBare is for errors: nothing in their headers is the object's.
func wantBare(t *testing.T, a answer, status int) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != typeXML {
		t.Errorf("%+v", a)
	}
	for name := range a.header {
		switch name {
		case "Content-Length", "Content-Type", "Date", "Server", "X-Amz-Request-Id", "X-Amz-Id-2":
		default:
			t.Errorf("the error has %s: %s", name, a.header.Get(name))
		}
	}
}
