package edge

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// What is told upward of damaged things is bounded in count and in octets.
const (
	toldDamage      = 200
	toldDamageBytes = 64 << 10
	toldCause       = 200 // octets
)

// damageTold is what goes upward of what is damaged.
func damageTold(all []store.Damage, v *s3.View) *storagev1.StorageDamage {
	out := &storagev1.StorageDamage{}
	if len(all) == 0 {
		return out
	}
	names, size := bucketsOf(v), 0
	for i := range all {
		d := damagedObject(&all[i], names, v)
		if size += proto.Size(d); len(out.Things) == toldDamage || size > toldDamageBytes {
			out.More = true
			break
		}
		out.Things = append(out.Things, d)
	}
	return out
}

// valid makes a text one that a message can carry.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func damagedObject(d *store.Damage, names BucketNames, v *s3.View) *storagev1.DamagedObject {
	out := &storagev1.DamagedObject{
		Kind: string(d.Kind), What: valid(names.In(d.Thing.String())),
		Cause: valid(names.In(d.Cause[:min(len(d.Cause), toldCause)])),
		First: d.First.Unix(), Last: d.Last.Unix(), Lost: d.Lost,
	}
	space, ok := d.Thing.In()
	if !ok {
		return out
	}
	out.Bucket = names[space]
	if b, known := v.Bucket(out.Bucket); known && d.Key != nil {
		key, version := s3.ObjectOf(d.Key, d.Version, b.Spec)
		out.Key, out.VersionId = valid(key), version
	}
	return out
}
