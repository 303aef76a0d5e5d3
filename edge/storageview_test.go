package edge

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// changesOf are items as the view gives them.
func changesOf(items ...*feedv1.Item) []kind.Change {
	var out []kind.Change
	for _, i := range items {
		out = append(out, kind.Change{Kind: i.Kind, Organization: "acme", Name: i.Name, Value: i.Value, Revision: 1})
	}
	return out
}

func ended(kindName, name string) kind.Change {
	return kind.Change{Kind: kindName, Organization: "acme", Name: name, Revision: 2}
}

// TestKeysFollowTheirRecords: versions, what is sealed to others, what ends, what is bad.
func TestKeysFollowTheirRecords(t *testing.T) {
	dir := t.TempDir()
	machine, other := machineOf(t, dir), machineOf(t, filepath.Join(dir, "other"))
	s := &s3Server{machine: machine, keys: newStorageKeys()}
	id, id2 := store.ID(bytes.Repeat([]byte{1}, 16)), store.ID(bytes.Repeat([]byte{2}, 16))
	const arn = "arn:aws:kms:dark:acme:key/main"
	s.keys.done()
	var v any
	step := func(refusals int, changes ...kind.Change) *storageView {
		t.Helper()
		next, refused := s.compileStorage(v, changes)
		if len(refused) != refusals {
			t.Fatalf("refused %v, want %d", refused, refusals)
		}
		v = next
		s.keys.set(&next.(*storageView).keys)
		return next.(*storageView)
	}
	key := func(space store.ID, name string, version uint32) string {
		k, v, err := s.keys.Key(space, name, version)
		if err != nil {
			if !errors.Is(err, store.ErrKey) {
				t.Errorf("%v", err)
			}
			return "none"
		}
		return fmt.Sprintf("%c%d", k[0], v)
	}
	want := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	keys := func(m *keyring.Machine, versions ...byte) []byte {
		out := &storagev1.Keys{}
		for i, b := range versions {
			out.Keys = append(out.Keys, &storagev1.Key{Version: uint32(i + 1), Key: bucketKey(b)})
		}
		return sealTo(t, out, m)
	}
	want(key(id, "", 0), "none")
	one := step(0, changesOf(bucketItems(t, "photos", "edge1", id[:], bucketKey('a'), machine)...)...)
	want(key(id, "", 0), "a1")
	want(key(id, "", 7), "none")
	if _, ok := one.s3.Bucket("photos"); !ok {
		t.Error("the bucket is not in the view")
	}
	step(0, changesOf(record(t, kindKeys, "buckets/photos", &storagev1.PublishedKeys{
		Id:     id[:],
		Sealed: keys(machine, 'a', 'b'),
	}))...)
	want(key(id, "", 0), "b2")
	want(key(id, "", 1), "a1")
	// Another cell's bucket is in the view and cannot be opened, which is no fault.
	two := step(0, changesOf(bucketItems(t, "elsewhere", "edge2", id2[:], bucketKey('x'), other)...)...)
	want(key(id2, "", 0), "none")
	if _, ok := two.s3.Bucket("elsewhere"); !ok {
		t.Error("another cell's bucket is not in the view")
	}
	// Keys of SSE-KMS are found by their ARN.
	step(0, changesOf(record(t, kindKeys, "encryptionkeys/main", &storagev1.PublishedKeys{
		Id: id2[:], Arn: arn,
		Sealed: keys(machine, 'k'),
	}))...)
	want(key(id, arn, 0), "k1")
	step(0, ended(kindKeys, "encryptionkeys/main"))
	want(key(id, arn, 0), "none")
	// What is bad is refused, and the last good value stays.
	for _, bad := range []*storagev1.PublishedKeys{
		{Id: id[:], Sealed: []byte("nonsense")},
		{Id: id[:4], Sealed: keys(machine, 'z')},
		{Id: id[:], Sealed: keys(machine)},
		{Id: id[:], Sealed: sealTo(t, &storagev1.Keys{Keys: []*storagev1.Key{{Version: 1, Key: []byte("short")}}},
			machine)},
	} {
		step(1, changesOf(record(t, kindKeys, "buckets/photos", bad))...)
		want(key(id, "", 0), "b2")
	}
	step(1, kind.Change{Kind: kindBucket, Organization: "acme", Name: "buckets/photos", Value: []byte{0xff}})
	step(1, changesOf(record(t, kindBucket, "buckets/photos", &storagev1.PublishedBucket{
		Bucket: "photos",
		Id:     []byte("short"),
	}))...)
	if b, ok := v.(*storageView).s3.Bucket("photos"); !ok || b.ID != id {
		t.Error("the last good bucket is gone")
	}
	// Deleted and made again in one cut: another identity, another key.
	again := changesOf(bucketItems(t, "photos", "edge1", id2[:], bucketKey('n'), machine)...)
	step(0, append([]kind.Change{ended(kindBucket, "buckets/photos"), ended(kindKeys, "buckets/photos")}, again...)...)
	want(key(id, "", 0), "none")
	want(key(id2, "", 0), "n1")
	step(0, ended(kindBucket, "buckets/photos"), ended(kindKeys, "buckets/photos"))
	want(key(id2, "", 0), "none")
	if _, ok := one.s3.Bucket("photos"); !ok {
		t.Error("an old view was changed")
	}
}

// TestLayersShareWhatDoesNotChange: many edits, each compared with a plain map.
func TestLayersShareWhatDoesNotChange(t *testing.T) {
	var l layered[int]
	plain := map[string]int{}
	for round := range 50 {
		e := l.edit()
		old := l
		for i := range 40 {
			k := fmt.Sprint((round*31 + i*7) % 700)
			if (round+i)%5 == 0 {
				e.drop(k)
				delete(plain, k)
				continue
			}
			e.set(k, round)
			plain[k] = round
		}
		before := fmt.Sprint(old.get("3"))
		l = e.done()
		if fmt.Sprint(old.get("3")) != before {
			t.Fatal("an old map was changed")
		}
		for i := range 700 {
			k := fmt.Sprint(i)
			v, ok := l.get(k)
			w, wok := plain[k]
			if v != w || ok != wok {
				t.Fatalf("round %d, %s: %d %v, want %d %v", round, k, v, ok, w, wok)
			}
		}
	}
	if len(l.base) == 0 {
		t.Error("the layers were never merged")
	}
}
