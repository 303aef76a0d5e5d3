package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/bench/s3client"
	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const (
	bucket       = "bench-bucket"
	organization = "bench"
	emptyMD5     = "d41d8cd98f00b204e9800998ecf8427e"
)

var who = s3client.Credentials{Access: "DKBENCH2222222222222", Secret: "bench-secret-key", Region: s3.DefaultRegion}

// keys are those of a bench: one for all spaces.
type keys struct{ key [32]byte }

func (k keys) Key(store.ID, string, uint32) ([32]byte, uint32, error) { return k.key, 1, nil }

// opened is a store in a directory of its own with one space.
type opened struct {
	dir   string
	store *store.Store
	space *store.Space
}

func openStore() (*opened, error) {
	dir, err := os.MkdirTemp("", "dark-bench-store")
	if err != nil {
		return nil, err
	}
	o := &opened{dir: dir}
	var k keys
	rand.Read(k.key[:])
	if o.store, err = store.Open(store.Options{Dir: dir, Cell: "bench", Keys: k, MoveRate: 1 << 40}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	o.space, err = o.store.At(store.Placement{Tenant: organization, Space: store.ID{1}, Cell: "bench", Generation: 1})
	return o, err
}

func (o *opened) close() error { return errors.Join(o.store.Close(), os.RemoveAll(o.dir)) }

// serveKeys fills a bucket and serves it until its standard input ends.
func serveKeys(ctx context.Context, n int) (err error) {
	o, err := openStore()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	begin := time.Now()
	if err := o.fill(ctx, n); err != nil {
		return err
	}
	view, err := theView()
	if err != nil {
		return err
	}
	h := s3.New(s3.Config{Store: o.store})
	defer h.Close()
	h.Swap(view)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	fmt.Printf("%d keys were loaded in %s\n", n, time.Since(begin).Round(time.Millisecond))
	_, _ = io.Copy(io.Discard, os.Stdin)
	return errors.Join(server.Close(), ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// fill writes empty objects under ten prefixes, in batches.
func (o *opened) fill(ctx context.Context, n int) error {
	value, err := proto.Marshal(&storagev1.Object{ContentType: "binary/octet-stream", Encryption: "AES256"})
	if err != nil {
		return err
	}
	const batch = 10_000
	ops := make([]store.Op, 0, batch)
	for i := range n {
		key := fmt.Appendf(nil, "od%02d/%08d", i*10/n, i)
		ops = append(ops, store.Op{Kind: store.Put, Key: key, Tag: []byte(emptyMD5), Value: value, Counts: true})
		if len(ops) < batch && i < n-1 {
			continue
		}
		if _, err := o.space.Commit(ctx, ops...); err != nil {
			return err
		}
		ops = ops[:0]
	}
	return nil
}

// theView has the bucket and the access key.
func theView() (*s3.View, error) {
	id := store.ID{1}
	signing := &storagev1.SigningKeys{}
	day := int32(time.Now().Unix() / 86400)
	for d := day - 1; d <= day+1; d++ {
		k := sigv4.Derive(who.Secret, d, who.Region)
		signing.Keys = append(signing.Keys, &storagev1.SigningKey{Day: d, Region: who.Region, Key: k[:]})
	}
	return s3.NewView().With(
		s3.PutBucket(&storagev1.PublishedBucket{
			Bucket: bucket, Id: id[:], Organization: organization, Spec: &storagev1.BucketSpec{},
			Placement: &storagev1.Placement{Cell: "bench", Generation: 1},
		}),
		s3.PutAccessKey(&storagev1.PublishedAccessKey{
			AccessKeyId: who.Access, Organization: organization,
			Name: "accesskeys/bench",
		}, signing),
	)
}
