package s3

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// setParts notes the parts of an object. They are one field that most requests pass over: reading each of
// 10,000 costs more than all else that a HEAD does.
func setParts(o *storagev1.Object, parts []*storagev1.Part) (err error) {
	o.PartCount = int32(len(parts)) //nolint:gosec // at most s3xml.MaxPart
	o.PartList, err = proto.Marshal(&storagev1.Parts{Parts: parts})
	return err
}

// partCount is how many parts an object was uploaded in; 0 where it was not.
func partCount(o *storagev1.Object) int { return max(len(o.GetParts()), int(o.GetPartCount())) }

// partsOf reads the parts of an object.
func partsOf(o *storagev1.Object) ([]*storagev1.Part, error) {
	if o.GetPartCount() == 0 {
		return o.GetParts(), nil
	}
	var p storagev1.Parts
	err := proto.Unmarshal(o.GetPartList(), &p)
	if err == nil && len(p.GetParts()) != int(o.GetPartCount()) {
		err = fmt.Errorf("%d parts in a list of %d", len(p.GetParts()), o.GetPartCount())
	}
	if err != nil {
		return nil, &store.Damaged{Thing: store.Thing{Kind: store.DamagedRow}, What: "the parts of an object", Err: err}
	}
	return p.GetParts(), nil
}
