package edge

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// manyFrames are the parts of a snapshot of a zone with n record sets.
func manyFrames(t testing.TB, n int) [][]byte {
	t.Helper()
	z, err := proto.Marshal(&dnsv1.PublishedZone{
		Apex: "example.com", Generation: 1, Serial: 7,
		PrimaryNameServer: "ns1.example.com.", Mailbox: "hostmaster.example.com.", Refresh: 1, Retry: 2, Expire: 3,
		NegativeTtl: 4, SoaTtl: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	items := []*feedv1.Item{{Kind: "dark.dns.v1.Zone", Name: "zones/example.com", Lane: 1, Value: z}}
	var frames [][]byte
	seal := func(last bool) {
		data, _, err := frame.Seal(testKey, &feedv1.Frame{
			Cluster: "test", Stream: "org/acme", Epoch: 1, Revision: 1,
			Part: uint32(len(frames)), Last: last, Snapshot: true, HeadHash: make([]byte, 32), Items: items,
			SignedAt: time.Now().UnixNano(),
		})
		if err != nil {
			t.Fatal(err)
		}
		frames, items = append(frames, data), nil
	}
	for i := range n {
		owner := fmt.Sprintf("host%07d", i)
		a, err := proto.Marshal(&dnsv1.PublishedRecordSet{
			Apex: "example.com", Generation: 1, Owner: owner, Type: 1,
			Ttl: 60, Rdata: [][]byte{{192, byte(i >> 16), byte(i >> 8), byte(i)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, &feedv1.Item{
			Kind: "dark.dns.v1.RecordSet", Name: "zones/example.com/1/" + owner + "/A",
			Lane: 1, Value: a,
		})
		if len(items) == 4000 {
			seal(false)
		}
	}
	seal(true)
	return frames
}

// BenchmarkStart is the time from New to a compiled view with a million record sets.
func BenchmarkStart(b *testing.B) {
	const records = 1_000_000
	dir := b.TempDir()
	fill(b, dir, manyFrames(b, records))
	for b.Loop() {
		n, err := New(benchSettings(dir))
		if err != nil {
			b.Fatal(err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-heap")
		b.ReportMetric(n.Status().Loaded.Seconds(), "s-loaded")
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchSettings(dir string) Config {
	return Config{
		Dir: dir, Name: "edge1", ClusterID: "test", PublishingKey: testKey.Public().(ed25519.PublicKey),
		TLS: func() (*tls.Config, error) { return &tls.Config{InsecureSkipVerify: true}, nil },
	}
}

// fill lets a node take in frames.
func fill(b *testing.B, dir string, frames [][]byte) {
	b.Helper()
	f := fakeControl(b, frames...)
	cfg := benchSettings(dir)
	cfg.Feeds = []string{f.addr}
	n, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	begun := time.Now()
	if err := n.WaitRevision(ctx, 1); err != nil {
		b.Fatal(err)
	}
	b.Logf("first snapshot taken in and compiled in %v", time.Since(begun))
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	f.stop()
}
