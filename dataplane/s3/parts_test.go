package s3

import (
	"errors"
	"testing"

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
