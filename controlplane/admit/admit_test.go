package admit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	demov1 "github.com/dark-ecosystem/dark/proto/dark/demo/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

const noteKind = "dark.demo.v1.Note"

func writer(s *statetest.State, p admit.Proposer) *admit.Writer {
	return &admit.Writer{State: s, Proposer: p, Validate: func(proto.Message) []kind.Violation { return nil }}
}

func request() admit.Request {
	return admit.Request{Organization: "acme", Origin: &statev1.Origin{Who: "test"}}
}

func note(name, text string) *demov1.Note {
	return &demov1.Note{Name: name, Spec: &demov1.NoteSpec{Text: text}}
}

func put(k *kind.Kind, m proto.Message, o admit.Options) func(context.Context, *admit.Tx) error {
	return func(ctx context.Context, tx *admit.Tx) error { _, err := tx.Put(ctx, k, m, o); return err }
}

func text(t *testing.T, s *statetest.State, name string) string {
	t.Helper()
	r, err := s.At(0)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := admit.NewView(r, nil).Get(t.Context(), noteKind, "acme", name)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := m.(*demov1.Note)
	return n.GetSpec().GetText()
}

func TestPreconditionsOfAWrite(t *testing.T) {
	s, k := statetest.New(), demo.Note()
	w := writer(s, s)
	do := func(o admit.Options, text string) error {
		_, err := w.Do(t.Context(), request(), put(k, note("notes/a", text), o))
		return err
	}
	if err := do(admit.Options{MustExist: true}, "x"); !errs.Is(err, errs.NotFound) {
		t.Fatal(err)
	}
	if err := do(admit.Options{ETag: "1"}, "x"); admit.ReasonOf(err) != admit.ReasonETag {
		t.Fatal(err)
	}
	if err := do(admit.Options{MustNotExist: true}, "x"); err != nil {
		t.Fatal(err)
	}
	if err := do(admit.Options{MustNotExist: true}, "y"); admit.ReasonOf(err) != admit.ReasonExists {
		t.Fatal(err)
	}
	if err := do(admit.Options{ETag: admit.ETag(s.Revision() - 1)}, "y"); admit.ReasonOf(err) != admit.ReasonETag {
		t.Fatal(err)
	}
	if err := do(admit.Options{ETag: admit.ETag(s.Revision())}, "y"); err != nil || text(t, s, "notes/a") != "y" {
		t.Fatal(err)
	}
	rev := s.Revision()
	if err := do(admit.Options{}, "y"); err != nil || s.Revision() != rev {
		t.Fatalf("an unchanged resource was written: %v", err)
	}
}

func TestMask(t *testing.T) {
	s, k := statetest.New(), demo.Note()
	w := writer(s, s)
	for _, c := range []struct {
		mask   []string
		labels map[string]string
		want   string
		bad    bool
	}{
		{nil, map[string]string{"a": "1", "b": "2"}, "one a=1 b=2", false},
		{[]string{"spec"}, nil, "two a=1 b=2", false},
		{[]string{"labels.a"}, map[string]string{"a": "9"}, "two a=9 b=2", false},
		{[]string{"labels.a"}, nil, "two b=2", false},
		{[]string{"spec.text", "name", "etag", "status"}, nil, "five b=2", false},
		{[]string{"labels"}, nil, "five", false},
		{[]string{"spec.nothing"}, nil, "five", true},
		{[]string{"nothing"}, nil, "five", true},
		{[]string{"spec.text.more"}, nil, "five", true},
	} {
		n := note("notes/a", map[string]string{
			"": "one", "spec": "two",
			"spec.text name etag status": "five",
		}[strings.Join(c.mask, " ")])
		n.Labels = c.labels
		_, err := w.Do(t.Context(), request(), put(k, n, admit.Options{Mask: c.mask}))
		if c.bad != errs.Is(err, errs.Invalid) {
			t.Fatalf("%v: %v", c.mask, err)
		}
		if got := shown(t, s); got != c.want {
			t.Fatalf("%v: %s, want %s", c.mask, got, c.want)
		}
	}
}

func shown(t *testing.T, s *statetest.State) string {
	t.Helper()
	r, err := s.At(0)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := admit.NewView(r, nil).Get(t.Context(), noteKind, "acme", "notes/a")
	if err != nil {
		t.Fatal(err)
	}
	out := []string{m.(*demov1.Note).Spec.Text}
	for k, v := range m.(*demov1.Note).Labels {
		out = append(out, k+"="+v)
	}
	slices.Sort(out[1:])
	return strings.Join(out, " ")
}

// lagging is a member whose state is behind until it is brought up to date.
type lagging struct {
	*statetest.State
	at    uint64
	asked int
	alone bool // without a majority
}

func (l *lagging) At(revision uint64) (admit.Reader, error) {
	if revision == 0 {
		revision = l.at
	}
	return l.State.At(revision)
}

func (l *lagging) Current(context.Context) error {
	l.asked++
	if l.alone {
		return errs.New(errs.Unavailable, "no majority")
	}
	l.at = l.Revision()
	return nil
}

// TestAFollowerThatIsBehind admits again on current state, and asks for that only when
// it must.
func TestAFollowerThatIsBehind(t *testing.T) {
	s, k := statetest.New(), demo.Note()
	for i := range 3 {
		if _, err := writer(s, s).Do(t.Context(), request(), put(k, note("notes/a", fmt.Sprint(i)),
			admit.Options{})); err != nil {
			t.Fatal(err)
		}
	}
	l := &lagging{State: s, at: 1}
	w := &admit.Writer{State: l, Proposer: l, Validate: func(proto.Message) []kind.Violation { return nil }}
	if _, err := w.Do(t.Context(), request(), put(k, note("notes/a", "mine"),
		admit.Options{MustExist: true})); err != nil || l.asked != 1 || text(t, s, "notes/a") != "mine" {
		t.Fatalf("%v, asked %d times", err, l.asked)
	}
	l.at = 1
	if _, err := w.Do(t.Context(), request(), put(k, note("notes/a", "etag"),
		admit.Options{ETag: admit.ETag(s.Revision())})); err != nil {
		t.Fatalf("an etag that only others have seen: %v", err)
	}
	l.at, l.asked = l.Revision(), 0
	if _, err := w.Do(t.Context(), request(), put(k, note("notes/b", "new"), admit.Options{})); err != nil ||
		l.asked != 0 {
		t.Fatalf("%v, asked %d times for nothing", err, l.asked)
	}
	l.alone = true // that something is not there is not to be told then
	if _, err := w.Do(t.Context(), request(), put(k, note("notes/none", "x"),
		admit.Options{MustExist: true})); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("without a majority: %v", err)
	}
}

// TestHotResource: many writers of one resource, none of whom set a condition, all pass.
func TestHotResource(t *testing.T) {
	s, k := statetest.New(), demo.Note()
	w := writer(s, s)
	failed := make(chan error, 4)
	for i := range 4 {
		go func() {
			var err error
			for j := range 10 {
				_, e := w.Do(t.Context(), request(), put(k, note("notes/hot", fmt.Sprint(i, j)), admit.Options{}))
				err = errors.Join(err, e)
			}
			failed <- err
		}()
	}
	for range 4 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if s.Revision() != 40 {
		t.Errorf("%d revisions", s.Revision())
	}
}

func TestOverlaySeesPendingWrites(t *testing.T) {
	s, k := statetest.New(), demo.Note()
	for _, n := range []string{"b", "d", "f"} {
		if _, err := writer(s, s).Do(t.Context(), request(), put(k, note("notes/"+n, n), admit.Options{})); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.At(0)
	if err != nil {
		t.Fatal(err)
	}
	tx := admit.NewTx(admit.NewView(r, nil), "acme", kind.Caller{}, time.Time{})
	for _, n := range []string{"a", "c", "g"} {
		if _, err := tx.Put(t.Context(), k, note("notes/"+n, n), admit.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Put(t.Context(), k, note("notes/d", "D"), admit.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Delete(t.Context(), k, "f", admit.Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Put(t.Context(), k, note("notes/a", "twice"), admit.Options{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("written twice: %v", err)
	}
	list := func(stop int) string {
		var got []string
		if err := tx.Reader().List(t.Context(), noteKind, "acme", "notes/", func(_ string, m proto.Message) bool {
			got = append(got, m.(*demov1.Note).Spec.Text)
			return len(got) != stop
		}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(got, "")
	}
	if got := list(0); got != "abcDg" {
		t.Errorf("listed %s", got)
	}
	for stop, want := range map[int]string{1: "a", 2: "ab", 3: "abc", 5: "abcDg"} {
		if got := list(stop); got != want {
			t.Errorf("stopped after %d: %s", stop, got)
		}
	}
}

func TestTransactionIsBounded(t *testing.T) {
	s, k := statetest.New(), demo.Note()
	_, err := writer(s, s).Do(t.Context(), request(), func(ctx context.Context, tx *admit.Tx) error {
		for i := range 600 {
			if _, err := tx.Put(ctx, k, note(fmt.Sprintf("notes/n%d", i), strings.Repeat("x", 1000)),
				admit.Options{}); err != nil {
				return err
			}
		}
		return nil
	})
	if admit.ReasonOf(err) != admit.ReasonTooLarge || !errs.Is(err, errs.Exhausted) {
		t.Fatal(err)
	}
}

func TestKindsAreChecked(t *testing.T) {
	gated := demo.Note()
	gated.Lane = kind.LaneGated
	half := demo.Note()
	half.Unlocate = func(s string) string { return s }
	for what, list := range map[string][]*kind.Kind{
		"gated": {gated}, "twice": {demo.Note(), demo.Note()},
		"half": {half},
	} {
		if _, err := admit.NewKinds(list); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	ks, err := admit.NewKinds([]*kind.Kind{demo.Note()})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"Note", "note", "notes", "NOTES", noteKind} {
		if _, ok := ks.Find(n); !ok {
			t.Errorf("%s is not found", n)
		}
	}
}

// TestAnOwnerMayHaveASlash: it is typed as it is shown, in a full name and in a short one.
func TestAnOwnerMayHaveASlash(t *testing.T) {
	k := &kind.Kind{Pattern: "zones/{zone}/records/{owner}/{type}", NameRule: func(ids []string) ([]string, error) {
		return ids, nil
	}}
	for in, want := range map[string]string{
		"a/0/25/NS": "zones/a/records/0%2F25/NS", "zones/a/records/0/25/NS": "zones/a/records/0%2F25/NS",
		"a/0%2F25/NS": "zones/a/records/0%2F25/NS", "a/www/A": "zones/a/records/www/A",
		"zones/a/records/www/A": "zones/a/records/www/A", "a/NS": "", "zones/a/www/A": "", "a/0/25/": "", "a//A": "",
	} {
		if got, err := admit.Canonical(k, in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

func TestPlainNames(t *testing.T) {
	for in, want := range map[string]string{
		"a": "notes/a", "notes/a-1": "notes/a-1", "A": "", "": "", "notes/": "", "notes/a/b": "", "-a": "",
		"a.b": "", "other/a": "", strings.Repeat("a", 63): "notes/" + strings.Repeat("a", 63),
		strings.Repeat("a", 64): "",
	} {
		got, err := admit.Canonical(demo.Note(), in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}
