package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

func tombstoneOp(org, name string, expires time.Time) *statev1.Op {
	t := &statev1.Tombstone{Organization: org, Stream: "system", Kind: "demo.v1.Thing", Name: name}
	if !expires.IsZero() {
		t.Expires = expires.Unix()
	}
	return &statev1.Op{Op: &statev1.Op_Tombstone{Tombstone: t}}
}

// counted is how many tombstones an organization has, and all together.
func (m *machine) counted(org string) (own, all uint64) {
	return m.usage[org].Resources[tombstones], m.usage[""].Resources[tombstones]
}

// publishItems publishes items in the system stream.
func (m *machine) publishItems(items ...*feedv1.Item) {
	m.t.Helper()
	signed, err := proto.Marshal(&feedv1.Frame{Stream: "system", Revision: 1, Last: true, Items: items})
	if err != nil {
		m.t.Fatal(err)
	}
	data, err := proto.Marshal(&feedv1.SignedFrame{Frame: signed})
	if err != nil {
		m.t.Fatal(err)
	}
	m.must(tx("", &statev1.Op{Op: &statev1.Op_Publish{Publish: &statev1.Publish{
		Through: 1, Frames: []*statev1.StoredFrame{{
			Stream: "system", Revision: 1, Data: data, Hash: []byte("h"),
			Last: true,
		}},
	}}}))
}

// records are the names of what the system stream has.
func (m *machine) records() string {
	m.t.Helper()
	var names []string
	if _, err := m.Records("system", func(i *feedv1.Item) error {
		names = append(names, i.Name)
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
	return strings.Join(names, " ")
}

// What ended is charged until it expires, and then forgotten with its published record,
// on every member alike.
func TestTombstonesAreForgottenWhenTheyExpire(t *testing.T) {
	m := open(t, Options{})
	m.must(tx("a", put("a", "x", "1"), tombstoneOp("a", "x", time.Time{})))
	m.must(tx("a", put("a", "y", "1"), tombstoneOp("a", "y", time.Time{})))
	m.must(tx("b", put("b", "z", "1"), tombstoneOp("b", "z", time.Time{})))
	ends := m.now.Add(time.Hour)
	m.must(tx("a", del("a", "x"), tombstoneOp("a", "x", ends)))
	m.must(tx("a", del("a", "y"), tombstoneOp("a", "y", ends.Add(time.Hour))))
	m.publishItems(&feedv1.Item{Kind: "demo.v1.Thing", Name: "x", Lane: 2, Value: []byte("-"), Expires: ends.Unix()},
		&feedv1.Item{
			Kind: "demo.v1.Thing", Name: "y", Lane: 2, Value: []byte("-"),
			Expires: ends.Add(time.Hour).Unix(),
		})
	for _, step := range []struct {
		at      time.Time
		a, all  uint64
		records string
	}{{ends.Add(-time.Minute), 2, 3, "x y"}, {ends.Add(time.Minute), 1, 2, "y"}, {ends.Add(2 * time.Hour), 0, 1, ""}} {
		m.now = step.at
		m.must(tx("c", put("c", "tick", step.at.String())))
		if a, all := m.counted("a"); a != step.a || all != step.all || m.records() != step.records {
			t.Errorf("at %v: %d of a, %d in all, records %q", step.at, a, all, m.records())
		}
	}
	if b, _ := m.counted("b"); b != 1 {
		t.Errorf("what has not ended is counted %d times", b)
	}
}

// An organization at its bound makes nothing more, and ends what it has all the same, even
// past its other limits; another organization is not concerned.
func TestEndingIsNeverRefused(t *testing.T) {
	m := open(t, Options{})
	for i := 0; i < maxTombstones; i += 1000 {
		var ops []*statev1.Op
		for j := range 1000 {
			ops = append(ops, tombstoneOp("a", fmt.Sprint("t", i+j), time.Time{}))
		}
		m.must(tx("a", ops...))
	}
	m.must(tx("a", put("a", "t0", "1")))
	_, err := m.do(tx("a", put("a", "more", "1"), tombstoneOp("a", "more", time.Time{})))
	if !errs.Is(err, errs.Exhausted) || !strings.Contains(fmt.Sprint(err), "10000 keys and buckets") {
		t.Errorf("past the bound: %v", err)
	}
	m.must(tx("b", put("b", "x", "1"), tombstoneOp("b", "x", time.Time{})))
	m.must(&statev1.Transaction{Ops: []*statev1.Op{{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{
		Organization: "a", Limits: &statev1.OrganizationLimits{HistoryBytes: 1, WritesPerSecond: 1},
	}}}}})
	for i := range 20 { // ten seconds' worth of writes
		_, err = m.do(tx("a", put("a", "t0", fmt.Sprint(i))))
	}
	if !errs.Is(err, errs.Exhausted) {
		t.Fatalf("the other limits do not bite: %v", err)
	}
	soon := m.now.Add(time.Hour)
	m.must(tx("a", del("a", "t0"), tombstoneOp("a", "t0", soon)))
	m.must(tx("a", tombstoneOp("a", "before tombstones were", soon))) // nor was one reserved
	// An end among other writes is one of them.
	if _, err := m.do(tx("a", put("a", "x", "1"), tombstoneOp("a", "t1", soon))); !errs.Is(err, errs.Exhausted) {
		t.Errorf("writes beside an end: %v", err)
	}
	m.now = soon.Add(time.Minute)
	m.must(tx("c", put("c", "tick", "1")))
	if a, _ := m.counted("a"); a != maxTombstones-1 {
		t.Errorf("%d are counted", a)
	}
}

func TestTombstonesAreBoundedInOctets(t *testing.T) {
	m := open(t, Options{})
	if _, err := m.do(tx("a", tombstoneOp("a", strings.Repeat("x", maxTombstoneBytes), time.Time{}))); !errs.Is(err,
		errs.Invalid) {
		t.Errorf("%v", err)
	}
}

// Members of an earlier version are not asked for what they do not know.
func TestTransactionsWithoutTombstones(t *testing.T) {
	plain := tx("a", put("a", "x", "1"))
	if withoutTombstones(plain) != plain {
		t.Error("one that has none was copied")
	}
	both := tx("a", put("a", "x", "1"), tombstoneOp("a", "x", time.Time{}))
	if got := withoutTombstones(both); len(got.Ops) != 1 || len(both.Ops) != 2 {
		t.Errorf("%d operations left of %d", len(got.Ops), len(both.Ops))
	}
}
