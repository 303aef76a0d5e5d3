package s3

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestPartsOfEitherFormAreRead: rows that were written before the list have each part as a field.
func TestPartsOfEitherFormAreRead(t *testing.T) {
	parts := []*storagev1.Part{{Number: 1, Size: 5}, {Number: 7, Size: 9, Checksum: []byte("sum")}}
	old, now := &storagev1.Object{Parts: parts}, &storagev1.Object{}
	if err := setParts(now, parts); err != nil {
		t.Fatal(err)
	}
	if len(now.GetParts()) != 0 {
		t.Error("the parts are there twice")
	}
	for _, o := range []*storagev1.Object{old, now} {
		got, err := partsOf(o)
		if err != nil || len(got) != 2 || partCount(o) != 2 || !proto.Equal(got[1], parts[1]) {
			t.Errorf("%v: %v %v", o, got, err)
		}
	}
	if got, err := partsOf(&storagev1.Object{}); err != nil || len(got) != 0 {
		t.Errorf("no parts: %v %v", got, err)
	}
	now.PartCount++
	var damaged *store.Damaged
	if _, err := partsOf(now); !errors.As(err, &damaged) {
		t.Errorf("a list that lacks one: %v", err)
	}
}

// TestWhoReadsSlowlyHoldsNoRow: rows of objects are read a few at a time, and a place for one is given back
// before anything is sent.
func TestWhoReadsSlowlyHoldsNoRow(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Rows = 1 })
	s.bucket(t, "box", nil)
	if a := s.raw(t, "PUT", "/box/large", bytes.Repeat([]byte("octets"), 3<<20)); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	c := s.client("AKACME")
	ctx := t.Context()
	slow, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("large")})
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	head := func() error {
		_, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("large")})
		return err
	}
	if err := head(); err != nil {
		t.Fatal(err)
	}
	if n := len(s.h.bounds.rows); n != 0 {
		t.Errorf("%d places are held", n)
	}
	s.h.bounds.rows <- struct{}{} // another's
	waited := make(chan error, 1)
	go func() { waited <- head() }()
	select {
	case err := <-waited:
		t.Fatalf("a row was read without a place: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	<-s.h.bounds.rows
	if err := <-waited; err != nil {
		t.Error(err)
	}
}
