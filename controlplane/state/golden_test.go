package state

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/consensus"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

var record = flag.Bool("record", false, "record the log of a new release; those of earlier ones stay")

// TestLogsOfReleasesGiveTheirHashes replays the log of each release, as it was written
// then, and compares the rolling hash over all rows: a member with this version must
// make of a log what those before it made.
func TestLogsOfReleasesGiveTheirHashes(t *testing.T) {
	if *record {
		recordRelease(t, "testdata/release-2")
	}
	logs, err := filepath.Glob("testdata/release-*.log")
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log of a release, %v", err)
	}
	for _, file := range logs {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".log") + ".hash")
		if err != nil {
			t.Fatal(err)
		}
		if got := replay(t, file); got != strings.TrimSpace(string(want)) {
			t.Errorf("%s: %s, it was %s", file, got, want)
		}
	}
}

func replay(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, Options{})
	for index := uint64(1); len(b) > 0; index++ {
		n := binary.BigEndian.Uint32(b)
		m.Apply([]consensus.Command{{Index: index, Term: 1, Data: b[4 : 4+n]}})
		b = b[4+n:]
	}
	hash, index := m.Hash()
	return fmt.Sprintf("%s at %d, revision %d", hex.EncodeToString(hash), index, m.Revision())
}

// recordRelease writes a log that has every kind of operation and precondition, and
// refusals of each.
func recordRelease(t *testing.T, name string) {
	t.Helper()
	m := open(t, Options{})
	m.elapsed = proto.Int64(int64(time.Millisecond))
	var out []byte
	add := func(txs ...*statev1.Transaction) {
		c := m.entry(txs...)
		out = binary.BigEndian.AppendUint32(out, uint32(len(c.Data)))
		out = append(out, c.Data...)
	}
	inner, err := proto.Marshal(&feedv1.Frame{
		Cluster: "c", Stream: "org/a", Revision: 2, Last: true,
		Items: []*feedv1.Item{
			{Kind: "demo.v1.Thing", Name: "x", Lane: 1, Value: []byte("v")}, {
				Kind: "demo.v1.Thing", Name: "y",
				Deleted: true,
			}, {Kind: "demo.v1.Thing", Name: "z/", Prefix: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := proto.Marshal(&feedv1.SignedFrame{Frame: inner})
	if err != nil {
		t.Fatal(err)
	}
	op := func(o *statev1.Op) *statev1.Transaction { return tx("", o) }
	add(op(&statev1.Op{Op: &statev1.Op_TakeLease{TakeLease: &statev1.TakeLease{Lease: "publisher", Holder: "c1"}}}),
		op(&statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: "k", Value: []byte("v")}}}))
	add(tx("a", put("a", "x", "1", dnsClaim("example.com", "b"))),
		tx("b", put("b", "x", "1", dnsClaim("www.example.com"))), tx("c", put("c", "x", "1", dnsClaim("example.com"))))
	add(op(&statev1.Op{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{
		Organization: "c",
		Limits:       &statev1.OrganizationLimits{WritesPerSecond: 1, Resources: map[string]uint64{"demo.v1.Thing": 2}},
	}}}))
	add(op(&statev1.Op{Op: &statev1.Op_Publish{Publish: &statev1.Publish{
		Through: 3,
		Frames:  []*statev1.StoredFrame{{Stream: "org/a", Revision: 2, Data: data, Hash: []byte("h"), Last: true}},
	}}}),
		op(&statev1.Op{Op: &statev1.Op_Publish{Publish: &statev1.Publish{Through: 1}}}))
	for i := range 30 {
		x := tx("c", put("c", fmt.Sprint(i%4), fmt.Sprint(i)))
		x.RequestId, x.RequestDigest = fmt.Sprint(i%25), []byte{byte(i)}
		add(x, tx("a", put("a", "x", fmt.Sprint(i)), del("a", "y"), put("a", "y", "")))
	}
	add(tx("a", del("a", "x")), op(&statev1.Op{Op: &statev1.Op_DeleteMeta{DeleteMeta: "k"}}),
		op(&statev1.Op{Op: &statev1.Op_RaiseFeatureLevel{RaiseFeatureLevel: 2}}))
	add(op(&statev1.Op{Op: &statev1.Op_CompactTo{CompactTo: 20}}),
		op(&statev1.Op{Op: &statev1.Op_DropPrefix{DropPrefix: ref("c", "")}}), op(&statev1.Op{}))
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".log", out, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".hash", []byte(replay(t, name+".log")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
