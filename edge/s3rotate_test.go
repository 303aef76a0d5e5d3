package edge

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestRotatedBucketKeyWrapsAgain: an edge that is told of a new version writes with it at
// once and reads what the old one wrapped, before its background work and after it; no octet
// of the segments moves. That epochs are under the new version then is the store's test.
func TestRotatedBucketKeyWrapsAgain(t *testing.T) {
	dir := t.TempDir()
	machine := machineOf(t, dir)
	id := bytes.Repeat([]byte{7}, 16)
	f := fakeControl(t, sealedFrame(t, storageItems(t, id, bucketKey('a'), machine)...))
	n, client, stop := s3Node(t, dir, f.addr)
	defer f.stop()
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789", 10_000)
	write := func(key string) {
		t.Helper()
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String("photos"), Key: &key,
			Body: strings.NewReader(large),
		}); err != nil {
			t.Fatal(err)
		}
	}
	reads := func(key string) {
		t.Helper()
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("photos"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		if b, err := io.ReadAll(out.Body); err != nil || string(b) != large {
			t.Fatalf("%s: %d octets, %v", key, len(b), err)
		}
	}
	write("old")
	s := s3Of(n)
	before := s.store.Stats()
	keys := &storagev1.Keys{Keys: []*storagev1.Key{
		{Version: 1, Key: bucketKey('a')},
		{Version: 2, Key: bucketKey('b')},
	}}
	items := append(bucketItems(t, "photos", "edge1", id, bucketKey('a'), machine)[1:],
		record(t, kindKeys, "buckets/photos", &storagev1.PublishedKeys{Id: id, Sealed: sealTo(t, keys, machine)}))
	old := &storageView{s3: s.handler.View(), keys: *s.keys.now.Load()}
	v, refused := s.compileStorage(old, changesOf(items...))
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	s.swap(v)
	if _, version, err := s.keys.Key(store.ID(id), "", 0); err != nil || version != 2 {
		t.Fatalf("version %d, %v", version, err)
	}
	reads("old")
	if err := s.store.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if now := s.store.Stats(); now.LiveBytes != before.LiveBytes || now.Extents != before.Extents {
		t.Errorf("segments changed: %+v, then %+v", before, now)
	}
	write("new")
	reads("old")
	reads("new")
}
