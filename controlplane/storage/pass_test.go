package storage

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// stocked has one of each kind, published.
func stocked(t *testing.T) (w *world, b *storagev1.Bucket, k *storagev1.AccessKey) {
	w = newWorld(t)
	w.organization("acme", map[string]string{"site": "a"})
	w.edge("a1", map[string]string{"site": "a"})
	w.edge("a2", map[string]string{"site": "a"})
	w.edge("b1", map[string]string{"site": "b"})
	w.must("acme", w.s.EncryptionKey(), &storagev1.EncryptionKey{Name: "encryptionkeys/main"})
	b = w.must("acme", w.s.Bucket(), bucket("photos", nil)).(*storagev1.Bucket)
	k = w.must("acme", w.s.AccessKey(), &storagev1.AccessKey{Name: "accesskeys/one"}).(*storagev1.AccessKey)
	w.publish("acme", w.s.EncryptionKey(), "encryptionkeys/main", 0)
	w.publish("acme", w.s.Bucket(), "buckets/photos", 0)
	w.publish("acme", w.s.AccessKey(), "accesskeys/one", 0)
	return w, b, k
}

// TestWhoOpensWhat: a bucket's keys are for its cell alone, those of SSE-KMS and the
// signing keys for the edges that carry the organization, and nobody is told a secret.
func TestWhoOpensWhat(t *testing.T) {
	w, b, k := stocked(t)
	cell := b.Status.Placement.Cell
	for edge := range w.machines {
		keys, err := w.keysOf(edge, "acme", "buckets/photos")
		if (err == nil) != (edge == cell) {
			t.Errorf("%s opens the bucket's keys: %v", edge, err)
		}
		if err == nil && (len(keys.Keys) != 1 || len(keys.Keys[0].Key) != 32) {
			t.Errorf("%v", keys)
		}
		if _, err := w.keysOf(edge, "acme", "encryptionkeys/main"); (err == nil) != (edge != "b1") {
			t.Errorf("%s opens the key of SSE-KMS: %v", edge, err)
		}
		signing, err := w.signingKeys(edge, "acme", k.Status.AccessKeyId)
		if (err == nil) != (edge != "b1") {
			t.Errorf("%s opens signing keys: %v", edge, err)
		}
		if err != nil {
			continue
		}
		if len(signing.Keys) != 24*2 {
			t.Errorf("%d signing keys", len(signing.Keys))
		}
		want := sigv4.Derive(k.Status.SecretAccessKey, sigv4.Day(w.now), "dark")
		found := false
		for _, s := range signing.Keys {
			found = found || s.Region == "dark" && bytes.Equal(s.Key, want[:])
		}
		if !found {
			t.Error("today's signing key is missing")
		}
	}
	for at, r := range w.published {
		if bytes.Contains(r.Value, []byte(k.Status.SecretAccessKey)) {
			t.Errorf("%v holds the secret", at)
		}
	}
	p := &storagev1.PublishedBucket{}
	if err := proto.Unmarshal(w.published[[3]string{"org/acme", PublishedBucket, "buckets/photos"}].Value,
		p); err != nil {
		t.Fatal(err)
	}
	if p.Bucket != "photos" || p.Organization != "acme" || !bytes.Equal(p.Id, b.Status.Id) || p.Etag == "" ||
		p.CreateTime == nil {
		t.Errorf("%v", p)
	}
}

// TestNothingIsSealedTwice: not by passes over what was published, nor by another leader,
// nor by a change of what is not sealed.
func TestNothingIsSealedTwice(t *testing.T) {
	w, _, k := stocked(t)
	if n := w.pass(); n != 1 { // the record of the endpoint
		t.Errorf("the first pass published %d records", n)
	}
	for range 3 {
		if n := w.pass(); n != 0 {
			t.Errorf("a further pass published %d records", n)
		}
	}
	w.s.Reset()
	if n := w.pass(); n != 0 {
		t.Errorf("another leader's pass published %d records", n)
	}
	at := [3]string{"org/acme", publishedAccessKey, "accesskeys/" + k.Status.AccessKeyId}
	read := func() *storagev1.PublishedAccessKey {
		p := &storagev1.PublishedAccessKey{}
		if err := proto.Unmarshal(w.published[at].Value, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	before, since := read(), w.state.Revision()
	w.must("acme", w.s.AccessKey(), &storagev1.AccessKey{Name: "accesskeys/one", Spec: &storagev1.AccessKeySpec{
		Scopes: []*storagev1.Scope{{Actions: []string{"read"}}},
	}})
	w.publish("acme", w.s.AccessKey(), "accesskeys/one", since)
	after := read()
	if len(after.Scopes) != 1 || !bytes.Equal(before.Sealed, after.Sealed) {
		t.Errorf("a change of scopes sealed again, or was not published: %v", after)
	}
	if n := w.pass(); n != 0 {
		t.Errorf("a pass after it published %d records", n)
	}
}

// TestDaysRollOn: with a clock that goes on by the hour, each access key is sealed once a
// day, and edges always have at least 14 days and the day 8 days ago.
func TestDaysRollOn(t *testing.T) {
	w, _, k := stocked(t)
	w.pass()
	sealed := 0
	for range 24 * 20 {
		w.now = w.now.Add(time.Hour)
		sealed += w.pass()
		signing, err := w.signingKeys("a1", "acme", k.Status.AccessKeyId)
		if err != nil {
			t.Fatal(err)
		}
		first, last := int64(signing.Keys[0].Day), int64(signing.Keys[len(signing.Keys)-1].Day)
		if d := int64(sigv4.Day(w.now)); first > d-8 || last < d+14 {
			t.Fatalf("at %v: days %d to %d, today is %d", w.now, first, last, d)
		}
	}
	if sealed < 19 || sealed > 21 {
		t.Errorf("sealed %d times in 20 days", sealed)
	}
}

// TestEdgesComeAndGo: what is sealed follows the edges and the placement.
func TestEdgesComeAndGo(t *testing.T) {
	w, b, k := stocked(t)
	w.pass()
	id := k.Status.AccessKeyId
	w.edge("a3", map[string]string{"site": "a"})
	if n := w.pass(); n != 2 { // the access key and the key of SSE-KMS; the bucket's cell is as it was
		t.Errorf("%d records for a new edge", n)
	}
	if _, err := w.signingKeys("a3", "acme", id); err != nil {
		t.Errorf("the new edge: %v", err)
	}
	cell := b.Status.Placement.Cell
	if err := w.delete("", cluster.Node(nil), "nodes/"+cell); err != nil {
		t.Fatal(err)
	}
	if n := w.pass(); n != 3 {
		t.Errorf("%d records when the cell's edge went", n)
	}
	for _, name := range []string{"buckets/photos", "encryptionkeys/main"} {
		if _, err := w.keysOf(cell, "acme", name); err == nil {
			t.Errorf("an edge that was removed opens %s", name)
		}
	}
	if _, err := w.signingKeys(cell, "acme", id); err == nil {
		t.Error("an edge that was removed opens signing keys")
	}
	w.organization("acme", map[string]string{"site": "b"})
	if n := w.pass(); n != 2 {
		t.Errorf("%d records for another placement", n)
	}
	if _, err := w.signingKeys("b1", "acme", id); err != nil {
		t.Errorf("the edge of the new placement: %v", err)
	}
	if _, err := w.signingKeys("a3", "acme", id); err == nil {
		t.Error("an edge of the old placement opens what was sealed anew")
	}
	// A machine key that is none, written by hand, is left out and spoils nothing.
	w.node(&clusterv1.Node{
		Name: "nodes/odd", Labels: map[string]string{"site": "b"},
		Spec: &clusterv1.NodeSpec{Role: "edge", MachineKey: []byte("x")},
	})
	if n := w.pass(); n != 0 {
		t.Errorf("%d records for an edge without a key", n)
	}
}

// TestWhatEndedStaysEnded: a record that a pass sealed is not published once the resource
// ended or changed meanwhile.
func TestWhatEndedStaysEnded(t *testing.T) {
	w, b, k := stocked(t)
	w.pass()
	w.edge("a3", map[string]string{"site": "a"})
	r, err := w.state.At(0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.s.Pass(t.Context(), r, w.read, w.now); n != 2 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	since := w.state.Revision()
	for _, x := range []struct {
		k    *kind.Kind
		name string
	}{
		{w.s.AccessKey(), "accesskeys/one"},
		{w.s.Bucket(), "buckets/photos"},
		{w.s.EncryptionKey(), "encryptionkeys/main"},
	} {
		if err := w.delete("acme", x.k, x.name); err != nil {
			t.Fatal(err)
		}
		w.publish("acme", x.k, x.name, since)
	}
	if n := w.drain(); n != 0 {
		t.Errorf("%d records of what ended", n)
	}
	if n := w.pass(); n != 0 {
		t.Errorf("%d records of what ended, a pass later", n)
	}
	told := map[string]kind.Record{}
	for at, r := range w.published {
		switch {
		case at[2] == "accesskey:"+k.Status.AccessKeyId || at[2] == "bucket:"+hex.EncodeToString(b.Status.Id):
			told[at[0]] = r
		case at[1] != publishedStorage:
			t.Errorf("still published: %v", at)
		}
	}
	// An access key is denied for as long as an edge could accept it; an erasure is no denial.
	if r := told["system"]; r.Lane != kind.LaneDeny || r.Expires != w.now.Add(24*24*time.Hour).Unix() {
		t.Errorf("the access key: %+v", r)
	}
	if r := told["role/edge"]; r.Lane != kind.LaneData || r.Value == nil {
		t.Errorf("the bucket: %+v", r)
	}
}

// many makes access keys, a few hundred in each transaction.
func (w *world) many(keys int) {
	w.t.Helper()
	for i := range keys / 500 {
		err := w.do("acme", func(ctx context.Context, tx *admit.Tx) error {
			for j := range 500 {
				if _, err := tx.Put(ctx, w.s.AccessKey(), &storagev1.AccessKey{Name: fmt.Sprintf("accesskeys/k%d-%d", i,
					j)}, admit.Options{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestAPassSealsWhoseMinuteCame: of many access keys, each once, and then only those.
func TestAPassSealsWhoseMinuteCame(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	w.edge("e1", nil)
	const keys = 1000
	w.many(keys)
	if n := w.pass(); n != keys+1 {
		t.Fatalf("the first pass published %d", n)
	}
	if n := w.pass(); n != 0 {
		t.Errorf("the second pass published %d", n)
	}
	w.now = w.now.Add(30 * time.Minute)
	if n := w.pass(); n < 3 || n > 60 { // 30 of 1,440 minutes: about 21
		t.Errorf("half an hour later %d were sealed", n)
	}
}

// BenchmarkPass is a pass over 10,000 access keys that seals none.
func BenchmarkPass(b *testing.B) {
	w := newWorld(b)
	w.organization("acme", nil)
	w.edge("e1", nil)
	w.many(10_000)
	w.pass()
	for b.Loop() {
		if n := w.pass(); n != 0 {
			b.Fatalf("%d were sealed", n)
		}
	}
}
