package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge"
)

// TestTheRecoveryKeyOpensADiskInAnotherMachine: without the machine key, and without a control node, what
// an edge kept is read over S3; nothing is written, and the store is as it was.
func TestTheRecoveryKeyOpensADiskInAnotherMachine(t *testing.T) {
	p := startDev(t)
	large := bytes.Repeat([]byte("rescued "), 100_000)
	c := p.client(p.dev.S3.AccessKey, p.dev.S3.SecretKey)
	for key, body := range map[string][]byte{"large": large, "a small/one": []byte("small")} {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(p.dev.Demo.Bucket), Key: &key, Body: bytes.NewReader(body),
		}); err != nil {
			t.Fatal(err)
		}
	}
	beside := &rescue{dir: p.dir, listen: p.host + ":" + portS3}
	if err := beside.run(t.Context(), nil, io.Discard, io.Discard); !errors.Is(err, errRunning) {
		t.Errorf("rescue beside a running edge: %v", err)
	}
	var dropped bytes.Buffer
	drop := &offline{dir: p.dir, output: "text", work: store.Check, scrubs: true, drop: true, yes: true}
	if err := drop.run(t.Context(), &dropped, io.Discard); !errors.Is(err, errRunning) || dropped.Len() > 0 {
		t.Errorf("fsck --drop --yes beside a running edge: %v, and it printed %q", err, dropped.String())
	}
	p.stop(syscall.SIGKILL)
	recovery := regexp.MustCompile(`AGE-SECRET-KEY-\S+`).FindString(p.printed)
	if err := os.Remove(filepath.Join(p.dir, "edge", "machine.key")); err != nil {
		t.Fatal(err)
	}

	rescued := func(r *rescue, in string) string {
		var out bytes.Buffer
		err := r.run(t.Context(), strings.NewReader(in), &out, io.Discard)
		if err == nil {
			t.Fatalf("%+v serves: %s", r, out.String())
		}
		return err.Error()
	}
	listen := p.host + ":" + portS3
	for want, r := range map[string]*rescue{
		"the recovery key opens it, too": {dir: p.dir, listen: listen},
		"this is none":                   {dir: p.dir, listen: listen, recovery: "-"},
		"takes a file":                   {dir: p.dir, listen: listen, recovery: recovery},
		"not a loopback address":         {dir: p.dir, listen: "0.0.0.0:9000"},
	} {
		if got := rescued(r, "AGE-SECRET-KEY-1NONE"); !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}

	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		r := &rescue{dir: p.dir, listen: listen, recovery: "-"}
		ended <- r.run(ctx, strings.NewReader(recovery+"\n"), w, io.Discard)
		w.Close()
	}()
	said := make([]byte, 4096)
	n, err := r.Read(said)
	if err != nil {
		t.Fatal(<-ended)
	}
	key := regexp.MustCompile(`organization demo.*\n  AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+)`).
		FindSubmatch(said[:n])
	if key == nil {
		t.Fatalf("it says %s", said[:n])
	}
	p.dev.S3.Region = edge.RescueRegion
	c = p.client(string(key[1]), string(key[2]))
	bucket := aws.String(p.dev.Demo.Bucket)
	got, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("large")})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(b, large) {
		t.Errorf("%d octets, %v", len(b), err)
	}
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(list.Contents) < 2 {
		t.Errorf("listed %v, %v", list, err)
	}
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("large")})
	if errorCode(err) != "AccessDenied" {
		t.Errorf("a deletion: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
