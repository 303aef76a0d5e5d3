package state

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// machine drives a Store as consensus would, an entry at a time.
type machine struct {
	*Store
	t     *testing.T
	index uint64
	now   time.Time
	// elapsed is what each entry says of the time since the one before; nil: nothing.
	elapsed *int64
}

func open(t *testing.T, o Options) *machine {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	s, err := Open("state", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &machine{Store: s, t: t, now: time.Unix(1_700_000_000, 0)}
}

func (m *machine) entry(txs ...*statev1.Transaction) consensus.Command {
	m.t.Helper()
	m.index++
	m.now = m.now.Add(time.Millisecond)
	b, err := proto.Marshal(&statev1.Entry{Time: m.now.UnixNano(), Transactions: txs, Elapsed: m.elapsed})
	if err != nil {
		m.t.Fatal(err)
	}
	return consensus.Command{Index: m.index, Term: 1, Data: b}
}

// do applies one transaction.
func (m *machine) do(tx *statev1.Transaction) (uint64, error) {
	m.t.Helper()
	o := m.Apply([]consensus.Command{m.entry(tx)})[0].([]outcome)[0]
	if o.refusal != nil {
		return 0, o.refusal
	}
	return o.revision, nil
}

func (m *machine) must(tx *statev1.Transaction) uint64 {
	m.t.Helper()
	r, err := m.do(tx)
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

func ref(org, name string) *statev1.Ref {
	return &statev1.Ref{Kind: "demo.v1.Thing", Organization: org, Name: name}
}

func put(org, name, value string, claims ...*statev1.Claim) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
		Ref:   ref(org, name),
		Value: []byte(value), Claims: claims,
	}}}
}

func del(org, name string) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_DeleteResource{DeleteResource: ref(org, name)}}
}

func tx(org string, ops ...*statev1.Op) *statev1.Transaction {
	return &statev1.Transaction{Organization: org, Ops: ops, Origin: &statev1.Origin{Who: "key:test"}}
}

func dnsClaim(name string, grants ...string) *statev1.Claim {
	return &statev1.Claim{Space: "dns", Name: name, Hierarchical: true, Grants: grants}
}

func (m *machine) get(revision uint64, org, name string) string {
	m.t.Helper()
	r, err := m.At(revision)
	if err != nil {
		m.t.Fatal(err)
	}
	defer r.Close()
	v, ok, err := r.Get("demo.v1.Thing", org, name)
	if err != nil {
		m.t.Fatal(err)
	}
	if !ok {
		return "-"
	}
	return string(v.Value)
}

func TestResourcesCanBeReadAtEachRevision(t *testing.T) {
	m := open(t, Options{})
	m.must(tx("a", put("a", "x", "one")))
	m.must(tx("a", put("a", "x", "two"), put("a", "y", "new")))
	m.must(tx("a", del("a", "x")))
	m.must(tx("a", put("a", "x", "again")))
	for rev, want := range map[uint64]string{1: "one -", 2: "two new", 3: "- new", 4: "again new", 0: "again new"} {
		if got := m.get(rev, "a", "x") + " " + m.get(rev, "a", "y"); got != want {
			t.Errorf("at %d: %s, want %s", rev, got, want)
		}
	}
	if _, err := m.At(5); !errs.Is(err, errs.NotFound) {
		t.Errorf("a revision to come: %v", err)
	}
	h, err := m.History("demo.v1.Thing", "a", "x", 0, 10)
	if err != nil || len(h) != 4 || h[0].Revision != 4 || !h[1].Deleted || string(h[3].Value) != "one" ||
		h[0].Created != 4 || h[2].Created != 1 {
		t.Errorf("history %+v, %v", h, err)
	}
	pairs, _, err := m.Diff(1, 4, nil, 10)
	if err != nil || len(pairs) != 2 || string(pairs[0].Before.Value) != "one" ||
		string(pairs[0].After.Value) != "again" || pairs[1].Before != nil {
		t.Errorf("diff %+v, %v", pairs, err)
	}
}

func TestTransactionsHappenWholeOrNotAtAll(t *testing.T) {
	m := open(t, Options{})
	m.must(tx("a", put("a", "x", "one")))
	bad := tx("a", put("a", "x", "two"), put("a", "z", "new"))
	bad.Preconditions = []*statev1.Precondition{{Condition: &statev1.Precondition_ResourceAt{
		ResourceAt: &statev1.ResourceAt{Ref: ref("a", "x"), Revision: 7},
	}}}
	if _, err := m.do(bad); !errs.Is(err, errs.Conflict) {
		t.Fatalf("err = %v", err)
	}
	if got := m.get(0, "a", "x") + m.get(0, "a", "z"); got != "one-" || m.Revision() != 1 {
		t.Fatalf("a refused transaction left %q at revision %d", got, m.Revision())
	}
}

func TestPreconditions(t *testing.T) {
	at := func(name string, rev uint64) *statev1.Precondition {
		return &statev1.Precondition{Condition: &statev1.Precondition_ResourceAt{
			ResourceAt: &statev1.ResourceAt{Ref: ref("a", name), Revision: rev},
		}}
	}
	none := func(prefix string, except ...string) *statev1.Precondition {
		return &statev1.Precondition{Condition: &statev1.Precondition_NoneUnder{
			NoneUnder: &statev1.NoneUnder{Prefix: ref("a", prefix), Except: except},
		}}
	}
	since := func(name string, rev uint64) *statev1.Precondition {
		return &statev1.Precondition{Condition: &statev1.Precondition_UnchangedSince{
			UnchangedSince: &statev1.UnchangedSince{Ref: ref("a", name), Revision: rev},
		}}
	}
	lease := func(g uint64) *statev1.Precondition {
		return &statev1.Precondition{Condition: &statev1.Precondition_LeaseHeld{
			LeaseHeld: &statev1.LeaseHeld{Lease: "l", Generation: g},
		}}
	}
	meta := func(rev uint64) *statev1.Precondition {
		return &statev1.Precondition{Condition: &statev1.Precondition_MetaAt{MetaAt: &statev1.MetaAt{
			Key:      "k",
			Revision: rev,
		}}}
	}
	for name, c := range map[string]struct {
		p    *statev1.Precondition
		ops  []*statev1.Op
		want bool
	}{
		"is at its revision":     {at("www/A", 1), nil, true},
		"is at another revision": {at("www/A", 2), nil, false},
		"does not exist":         {at("nope", 0), nil, true},
		"exists":                 {at("www/A", 0), nil, false},
		"deleted does not exist": {at("gone", 0), nil, true},
		"unchanged since":        {since("www/A", 1), nil, true},
		"changed since":          {since("gone", 1), nil, false},
		"none under":             {none("mail/"), nil, true},
		"some under":             {none("www/"), nil, false},
		"under but deleted":      {none("gone"), nil, true},
		"only the excepted":      {none("www/", "www/A"), nil, true},
		"none left after the transaction": {none("www/", "www/CNAME"), []*statev1.Op{
			del("a", "www/A"),
			put("a", "www/CNAME", ""),
		}, true},
		"one made by the transaction": {none("mail/"), []*statev1.Op{put("a", "mail/A", "")}, false},
		"lease held":                  {lease(1), nil, true},
		"lease lost":                  {lease(2), nil, false},
		"meta at":                     {meta(4), nil, true},
		"meta changed":                {meta(3), nil, false},
		"nothing known":               {&statev1.Precondition{}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := open(t, Options{})
			m.must(tx("a", put("a", "www/A", "1"), put("a", "gone", "1")))
			m.must(tx("a", del("a", "gone")))
			m.must(tx("", &statev1.Op{Op: &statev1.Op_TakeLease{TakeLease: &statev1.TakeLease{
				Lease:  "l",
				Holder: "me",
			}}}))
			m.must(tx("", &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{
				Key:   "k",
				Value: []byte("v"),
			}}}))
			x := tx("a", append(c.ops, put("a", "result", "1"))...)
			x.Preconditions = []*statev1.Precondition{c.p}
			if _, err := m.do(x); (err == nil) != c.want || err != nil && !errs.Is(err, errs.Conflict) {
				t.Fatalf("err = %v, want accepted %t", err, c.want)
			}
		})
	}
}

func TestNamesBelongToOneOrganization(t *testing.T) {
	m := open(t, Options{})
	m.must(tx("a", put("a", "z1", "", dnsClaim("example.com", "friend"))))
	m.must(tx("a", put("a", "z2", "", dnsClaim("other.example.com"))))
	for _, c := range []struct {
		org, name string
		ok        bool
	}{
		{"b", "example.com", false},
		{"b", "www.example.com", false},
		{"b", "a.b.c.example.com", false},
		{"b", "com", false},
		{"b", "x.other.example.com", false},
		{"a", "sub.example.com", true},
		{"friend", "theirs.example.com", true},
		{"friend", "x.other.example.com", false}, // other.example.com grants nothing
		{"b", "notexample.com", true},
		{"b", "example.com.au", true},
		{"b", "example.net", true},
	} {
		_, err := m.do(tx(c.org, put(c.org, "zone-"+c.name, "", dnsClaim(c.name))))
		if (err == nil) != c.ok || err != nil && !errs.Is(err, errs.Conflict) {
			t.Errorf("%s asks for %s: %v, want ok %t", c.org, c.name, err, c.ok)
		}
	}
	m.must(tx("a", del("a", "z1"), del("a", "z2"), del("a", "zone-sub.example.com")))
	m.must(tx("friend", del("friend", "zone-theirs.example.com")))
	m.must(tx("b", put("b", "now mine", "", dnsClaim("example.com"))))
}

func TestLimitsNameThemselves(t *testing.T) {
	m := open(t, Options{})
	m.must(tx("", &statev1.Op{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{
		Organization: "a",
		Limits: &statev1.OrganizationLimits{
			Resources: map[string]uint64{"demo.v1.Thing": 3}, WritesPerSecond: 1, HistoryBytes: 200,
		},
	}}}))
	for i := range 3 {
		m.must(tx("a", put("a", fmt.Sprint(i), "x")))
	}
	if _, err := m.do(tx("a", put("a", "4", "x"))); !errs.Is(err, errs.Exhausted) || !strings.Contains(err.Error(),
		"resources[demo.v1.Thing]") {
		t.Errorf("a fourth resource: %v", err)
	}
	m.must(tx("a", put("a", "1", "changed")))
	var err error
	for i := 0; err == nil && i < 20; i++ {
		_, err = m.do(tx("a", put("a", "1", strings.Repeat("x", 40))))
	}
	if !errs.Is(err, errs.Exhausted) || !strings.Contains(err.Error(), "history_bytes") &&
		!strings.Contains(err.Error(), "writes_per_second") {
		t.Errorf("much history: %v", err)
	}
	m.must(tx("b", put("b", "1", "another organization goes on")))
}

func TestWritesPerSecondAreCountedByTheEntriesTime(t *testing.T) {
	m := open(t, Options{})
	m.must(tx("", &statev1.Op{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{
		Organization: "a",
		Limits:       &statev1.OrganizationLimits{WritesPerSecond: 2},
	}}}))
	n := 0
	for range 100 {
		if _, err := m.do(tx("a", put("a", "x", "y"))); err == nil {
			n++
		} else if !strings.Contains(err.Error(), "writes_per_second") {
			t.Fatal(err)
		}
	}
	if n != 20 {
		t.Errorf("%d writes at once, the burst is 20", n)
	}
	m.now = m.now.Add(3 * time.Second)
	n = 0
	for range 100 {
		if _, err := m.do(tx("a", put("a", "x", "y"))); err == nil {
			n++
		}
	}
	if n != 6 {
		t.Errorf("%d writes after three seconds, want 6", n)
	}
}

func TestRepeatedRequestGetsTheFirstAnswer(t *testing.T) {
	m := open(t, Options{})
	x := tx("a", put("a", "x", "1"))
	x.RequestId, x.RequestDigest = "r1", []byte("d1")
	first := m.must(x)
	m.must(tx("a", put("a", "x", "2")))
	o := m.Apply([]consensus.Command{m.entry(x)})[0].([]outcome)[0]
	if o.revision != first || !o.repeated || m.get(0, "a", "x") != "2" {
		t.Fatalf("outcome %+v, x = %s", o, m.get(0, "a", "x"))
	}
	x.RequestDigest = []byte("d2")
	if _, err := m.do(x); !errs.Is(err, errs.Conflict) {
		t.Fatalf("another request under the same id: %v", err)
	}
	m.now = m.now.Add(25 * time.Hour)
	m.must(tx("a", put("a", "y", "1")))
	if _, err := m.do(x); err != nil {
		t.Fatalf("the id is forgotten after a day: %v", err)
	}
}

func TestCompactionForgetsWhatNobodyCanRead(t *testing.T) {
	m := open(t, Options{})
	for i := range 10 {
		m.must(tx("a", put("a", "x", fmt.Sprint(i))))
	}
	m.must(tx("a", put("a", "gone", "1")))
	m.must(tx("a", del("a", "gone")))
	m.must(tx("a", put("a", "y", "1")))
	before := map[uint64]string{}
	for rev := uint64(8); rev <= m.Revision(); rev++ {
		before[rev] = m.get(rev, "a", "x") + m.get(rev, "a", "gone")
	}
	m.must(tx("", &statev1.Op{Op: &statev1.Op_CompactTo{CompactTo: 8}}))
	for rev, want := range before {
		if got := m.get(rev, "a", "x") + m.get(rev, "a", "gone"); got != want {
			t.Errorf("at %d: %s, want %s", rev, got, want)
		}
	}
	if _, err := m.At(7); !errs.Is(err, errs.Expired) {
		t.Errorf("before the oldest: %v", err)
	}
	if _, err := m.Commits(3, 10); !errs.Is(err, errs.Expired) {
		t.Errorf("a watch from before the oldest: %v", err)
	}
	if c, err := m.Commits(7, 100); err != nil || len(c) == 0 || c[0].Revision != 8 {
		t.Errorf("a watch from the oldest: %v, %v", c, err)
	}
	if h, _ := m.History("demo.v1.Thing", "a", "x", 0, 100); len(h) != 3 {
		t.Errorf("%d versions are kept, want those of 8, 9 and 10", len(h))
	}
	m.must(tx("", &statev1.Op{Op: &statev1.Op_CompactTo{CompactTo: 13}}))
	if h, _ := m.History("demo.v1.Thing", "a", "gone", 0, 100); len(h) != 0 {
		t.Errorf("a deletion is kept for ever: %+v", h)
	}
	if _, bad, _, err := m.VerifyAudit(); bad != 0 || err != nil {
		t.Errorf("the audit chain of what is kept breaks at %d, %v", bad, err)
	}
}

func TestAuditChainShowsAnyChange(t *testing.T) {
	m := open(t, Options{})
	for i := range 20 {
		m.must(tx("a", put("a", "x", fmt.Sprint(i))))
	}
	if n, bad, head, err := m.VerifyAudit(); n != 20 || bad != 0 || err != nil ||
		hex.EncodeToString(head) != hex.EncodeToString(m.AuditHead()) {
		t.Fatalf("%d checked, broken at %d, %v", n, bad, err)
	}
	c, err := m.Commits(9, 1)
	if err != nil {
		t.Fatal(err)
	}
	c[0].Origin.Who = "key:somebody-else"
	b, err := deterministic.Marshal(c[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := m.db.DB().Set(commitKey(10), b, nil); err != nil {
		t.Fatal(err)
	}
	if _, bad, _, _ := m.VerifyAudit(); bad != 10 {
		t.Fatalf("broken at %d, want 10", bad)
	}
}

// TestApplyIsAFunctionOfTheLog applies the same random entries in different batches,
// with restarts, and compares the rolling hash over all rows.
func TestApplyIsAFunctionOfTheLog(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	gen := open(t, Options{})
	var cmds []consensus.Command
	for range 1500 {
		var txs []*statev1.Transaction
		for range 1 + rnd.IntN(4) {
			txs = append(txs, randomTransaction(rnd))
		}
		cmds = append(cmds, gen.entry(txs...))
	}
	want := ""
	for _, size := range []int{1, 7, 400} {
		m := open(t, Options{})
		for from := 0; from < len(cmds); from += size {
			// A restart applies some of what it has again; that must change nothing.
			m.Apply(cmds[max(0, from-3):min(len(cmds), from+size)])
		}
		hash, index := m.Hash()
		if got := fmt.Sprintf("%x at %d", hash, index); want == "" {
			want = got
		} else if got != want {
			t.Errorf("in batches of %d: %s, want %s", size, got, want)
		}
	}
}

func randomTransaction(rnd *rand.Rand) *statev1.Transaction {
	org := string(rune('a' + rnd.IntN(3)))
	x := tx(org)
	for range 1 + rnd.IntN(3) {
		name := fmt.Sprint("n", rnd.IntN(20))
		switch rnd.IntN(4) {
		case 0:
			x.Ops = append(x.Ops, del(org, name))
		case 1:
			x.Ops = append(x.Ops, put(org, name, fmt.Sprint(rnd.Int()),
				dnsClaim(fmt.Sprintf("l%d.l%d", rnd.IntN(3), rnd.IntN(3)), "a")))
		default:
			x.Ops = append(x.Ops, put(org, name, fmt.Sprint(rnd.Int())))
		}
	}
	if rnd.IntN(10) == 0 {
		x.RequestId = fmt.Sprint(rnd.IntN(50))
	}
	if rnd.IntN(3) == 0 {
		x.Preconditions = append(x.Preconditions, &statev1.Precondition{Condition: &statev1.Precondition_UnchangedSince{
			UnchangedSince: &statev1.UnchangedSince{Ref: ref(org, "n1"), Revision: uint64(rnd.IntN(1000))},
		}})
	}
	return x
}

func TestMembersThatDifferStop(t *testing.T) {
	var diverged error
	m := open(t, Options{Diverged: func(err error) { diverged = err }})
	for range checksumEvery {
		m.must(tx("a", put("a", "x", "1")))
		if m.Revision()%1000 == 0 {
			m.now = m.now.Add(time.Second)
		}
	}
	index, hash := m.Checked()
	if index != checksumEvery {
		t.Fatalf("checked index %d", index)
	}
	m.must(tx("", &statev1.Op{Op: &statev1.Op_Checksum{Checksum: &statev1.Checksum{Index: index, Hash: hash}}}))
	if diverged != nil {
		t.Fatal(diverged)
	}
	m.must(tx("", &statev1.Op{Op: &statev1.Op_Checksum{Checksum: &statev1.Checksum{
		Index: index,
		Hash:  []byte("another"),
	}}}))
	if diverged == nil || !strings.Contains(diverged.Error(), "rejoin") {
		t.Fatalf("diverged: %v", diverged)
	}
}

func TestSnapshotCarriesTheWholeState(t *testing.T) {
	fs := vfs.NewMem()
	a := open(t, Options{FS: fs})
	for i := range 100 {
		a.must(tx("a", put("a", fmt.Sprint(i%10), fmt.Sprint(i))))
	}
	if err := a.Checkpoint(fs, "checkpoint"); err != nil {
		t.Fatal(err)
	}
	other := vfs.NewMem()
	b := open(t, Options{FS: other})
	if _, err := vfs.Clone(fs, other, "checkpoint", "checkpoint"); err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(other, "checkpoint"); err != nil {
		t.Fatal(err)
	}
	x := a.entry(tx("a", put("a", "after", "1")))
	a.Apply([]consensus.Command{x})
	b.Apply([]consensus.Command{x})
	ah, ai := a.Hash()
	bh, bi := b.Hash()
	if hex.EncodeToString(ah) != hex.EncodeToString(bh) || ai != bi || b.get(50, "a", "9") != a.get(50, "a", "9") {
		t.Fatalf("%x at %d, %x at %d", ah, ai, bh, bi)
	}
}

func TestWatchesWakeForEachRevision(t *testing.T) {
	m := open(t, Options{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		for at := uint64(0); at < 50 && err == nil; {
			if err = m.WaitRevision(ctx, at); err == nil {
				var c []*statev1.Commit
				c, err = m.Commits(at, 1)
				if err == nil && (len(c) != 1 || c[0].Revision != at+1) {
					err = fmt.Errorf("after %d came %v", at, c)
				}
				at++
			}
		}
		done <- err
	}()
	for i := range 50 {
		m.must(tx("a", put("a", "x", fmt.Sprint(i))))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := m.WaitRevision(ctx, 50); !errors.Is(err, context.Canceled) {
		t.Fatalf("err = %v", err)
	}
}

func TestOrganizationsAreTakenInTurn(t *testing.T) {
	q := newTurns()
	add := func(org string, n int) {
		for range n {
			q.add(&pending{tx: tx(org), size: 100})
		}
	}
	add("loud", 1000)
	add("quiet", 2)
	batch := q.take(1160) // ten
	got := map[string]int{}
	for _, p := range batch {
		got[p.tx.Organization]++
	}
	if len(batch) != 10 || got["quiet"] != 2 {
		t.Fatalf("%d, %v", len(batch), got)
	}
	for n := len(batch); ; {
		b := q.take(MaxEntryBytes)
		if n += len(b); len(b) == 0 {
			if n != 1002 || !q.empty() {
				t.Fatalf("%d taken", n)
			}
			return
		}
	}
}
