package admit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// MaxTransaction is the most octets of a transaction that the API makes; the state
// machine's own limit is 512 KiB.
const MaxTransaction = 500 << 10

// Action is what a write does to a resource.
type Action uint8

// Actions.
const (
	Unchanged Action = iota
	Create
	Update
	Delete
)

// Change is one write of a transaction.
type Change struct {
	Kind          *kind.Kind
	Action        Action
	Organization  string
	Name, Stored  string
	Before, After proto.Message // as stored; nil where there is none
	Forced        bool          // it is deleted by name, with all that it holds
	// Reply completes After for the answer of the write that was made; may be nil.
	Reply func(proto.Message)
}

// Options of one write.
type Options struct {
	MustNotExist bool     // create
	MustExist    bool     // update
	ETag         string   // "": any
	Mask         []string // "": labels and spec
	Force        string   // the name again: delete it with all that it holds
}

// Tx gathers the writes of one transaction.
type Tx struct {
	// Validate returns what the proto's constraints refuse.
	Validate func(proto.Message) []kind.Violation
	Caller   kind.Caller
	// Organization written to, for kinds that belong to one.
	Organization string
	Now          time.Time

	over   *Overlay
	ops    []*statev1.Op
	pres   []*statev1.Precondition
	seen   map[string]bool
	scoped bool // writes something of the organization
	// shown has, for resources that are stored under another name than their own, the two.
	shown []string
}

// NewTx begins a transaction over what base reads.
func NewTx(base kind.Reader, organization string, caller kind.Caller, now time.Time) *Tx {
	return &Tx{
		Organization: organization, Caller: caller, Now: now, over: NewOverlay(base), seen: map[string]bool{},
		Validate: func(proto.Message) []kind.Violation { return nil },
	}
}

// Reader sees the writes made so far.
func (t *Tx) Reader() kind.Reader { return t.over }

// OrganizationOf is the organization under which resources of k are stored.
func (t *Tx) OrganizationOf(k *kind.Kind) string {
	if k.Scope == kind.ScopeInstallation {
		return ""
	}
	return t.Organization
}

// Put creates or changes a resource to what m says.
func (t *Tx) Put(ctx context.Context, k *kind.Kind, m proto.Message, o Options) (Change, error) {
	c, guard, err := t.open(ctx, k, Text(m, "name"))
	if errs.Is(err, errs.Invalid) {
		return c, withFields(err, t.Validate(m)) // every bad field is named at once
	}
	if err != nil {
		return c, err
	}
	if err := preconditions(c, o); err != nil {
		return c, err
	}
	next := New(k)
	if c.Before != nil {
		c.Action, next = Update, proto.Clone(c.Before)
	} else {
		c.Action, o.Mask = Create, nil
	}
	if err := applyMask(next, m, o.Mask); err != nil {
		return c, err
	}
	SetText(next, "name", c.Name)
	SetText(next, "organization", c.Organization)
	c.After = next
	return t.admit(ctx, c, guard)
}

// Delete ends a resource.
func (t *Tx) Delete(ctx context.Context, k *kind.Kind, name string, o Options) (Change, error) {
	c, guard, err := t.open(ctx, k, name)
	if err != nil {
		return c, err
	}
	c.Action, o.MustExist = Delete, true
	if err := preconditions(c, o); err != nil {
		return c, err
	}
	if c.Forced = o.Force != ""; c.Forced {
		if again, err := Canonical(k, o.Force); err != nil || again != c.Name {
			return c, errs.Bad(errs.Field{
				Name: "force",
				Text: fmt.Sprintf("%q is not the name of what is deleted, which is %s", o.Force, c.Name),
			})
		}
	}
	return t.admit(ctx, c, guard)
}

func preconditions(c Change, o Options) error {
	switch {
	case o.MustNotExist && c.Before != nil:
		return Because(errs.Conflict, ReasonExists, "%s exists already", c.Name)
	case o.MustExist && c.Before == nil:
		return errs.New(errs.NotFound, "%s does not exist", c.Name)
	case o.ETag != "" && (c.Before == nil || o.ETag != Text(c.Before, "etag")):
		return Because(errs.Conflict, ReasonETag, "%s has changed: its etag is not %q any more", c.Name, o.ETag)
	}
	return nil
}

// open finds a resource and what must hold where it is written. Before carries its
// etag, which is not stored.
func (t *Tx) open(ctx context.Context, k *kind.Kind, name string) (Change, []*statev1.Precondition, error) {
	c := Change{Kind: k, Organization: t.OrganizationOf(k)}
	name, err := Canonical(k, name)
	if err != nil {
		return c, nil, err
	}
	c.Name, c.Stored = name, name
	var guard []*statev1.Precondition
	if k.Locate != nil {
		if c.Stored, guard, err = k.Locate(ctx, t.over, c.Organization, name); err != nil {
			return c, nil, err
		}
		t.shown = append(t.shown, c.Stored, c.Name)
	}
	if t.over.Pending(k.FullName(), c.Organization, c.Stored) {
		return c, nil, errs.Bad(errs.Field{Name: "name", Text: c.Name + " is written twice in one transaction"})
	}
	old, rev, err := t.over.Get(ctx, k.FullName(), c.Organization, c.Stored)
	if err != nil {
		return c, nil, err
	}
	if old != nil {
		c.Before = proto.Clone(old)
		SetText(c.Before, "etag", ETag(rev))
	}
	return c, append(guard, At(c.ref(), rev)), nil
}

// inNames is what the state machine refused, told in the names that people know: the
// state machine knows no kinds, and names what is stored.
func (t *Tx) inNames(err error) error {
	var e *errs.Error
	if len(t.shown) == 0 || !errors.As(err, &e) {
		return err
	}
	if text := strings.NewReplacer(t.shown...).Replace(e.Text); text != e.Text {
		return errs.Wrap(e.Kind, err, "%s", text)
	}
	return err
}

func (c Change) ref() *statev1.Ref {
	return &statev1.Ref{Kind: c.Kind.FullName(), Organization: c.Organization, Name: c.Stored}
}

// admit validates, asks the kind and writes down what follows.
func (t *Tx) admit(ctx context.Context, c Change, guard []*statev1.Precondition) (Change, error) {
	if c.Before != nil {
		SetText(c.Before, "etag", "")
	}
	if c.After != nil {
		clearFields(c.After, "etag", "revision", "create_time", "update_time")
	}
	a := &kind.Admission{
		Reader: t.over, Caller: t.Caller, Organization: c.Organization, Name: c.Name, Stored: c.Stored,
		Old: c.Before, New: c.After, Now: t.Now, Forced: c.Forced,
	}
	if c.After != nil {
		a.Violations = t.Validate(c.After)
	}
	if c.Kind.Admit != nil {
		if err := c.Kind.Admit(ctx, a); err != nil && (len(a.Violations) == 0 || !errs.Is(err, errs.Invalid)) {
			return c, err
		}
	}
	if len(a.Violations) > 0 {
		return c, bad(a.Violations)
	}
	t.require(guard...)
	if c.Action == Update && proto.Equal(c.Before, a.New) {
		c.Action, c.After = Unchanged, c.Before
		return c, nil
	}
	c.After, c.Reply = a.New, a.Reply
	return c, t.write(c, a)
}

func (t *Tx) write(c Change, a *kind.Admission) error {
	op := &statev1.Op{Op: &statev1.Op_DeleteResource{DeleteResource: c.ref()}}
	if c.After != nil {
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.After)
		if err != nil {
			return errs.Wrap(errs.Internal, err, "cannot store %s", c.Name)
		}
		put := &statev1.PutResource{Ref: c.ref(), Value: value}
		for _, cl := range a.Claims {
			put.Claims = append(put.Claims, &statev1.Claim{
				Space: cl.Space, Name: cl.Name,
				Hierarchical: cl.Hierarchical, Grants: cl.Grants,
			})
		}
		op = &statev1.Op{Op: &statev1.Op_PutResource{PutResource: put}}
	}
	t.ops = append(append(t.ops, op), a.Ops...)
	t.require(a.Preconditions...)
	t.over.Set(c.Kind.FullName(), c.Organization, c.Stored, c.After)
	t.scoped = t.scoped || c.Organization != ""
	return nil
}

func bad(vs []kind.Violation) error {
	fields := make([]errs.Field, len(vs))
	for i, v := range vs {
		fields[i] = errs.Field{Name: v.Field, Text: v.Text}
	}
	return errs.Bad(fields...)
}

// withFields adds violations to an Invalid error.
func withFields(err error, vs []kind.Violation) error {
	var e *errs.Error
	if len(vs) == 0 || !errors.As(err, &e) {
		return err
	}
	fields := e.Fields
	for _, v := range vs {
		fields = append(fields, errs.Field{Name: v.Field, Text: v.Text})
	}
	return errs.Bad(fields...)
}

// require adds preconditions, each once.
func (t *Tx) require(pres ...*statev1.Precondition) {
	for _, p := range pres {
		key, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
		if err == nil && t.seen[string(key)] {
			continue
		}
		t.seen[string(key)] = true
		t.pres = append(t.pres, p)
	}
}

// Require adds a condition of the caller's own.
func (t *Tx) Require(p *statev1.Precondition) { t.require(p) }

// Add adds an operation of the caller's own.
func (t *Tx) Add(op *statev1.Op) { t.ops = append(t.ops, op) }

// Empty reports whether the transaction changes nothing.
func (t *Tx) Empty() bool { return len(t.ops) == 0 }

// Transaction returns what is to be proposed.
func (t *Tx) Transaction() (*statev1.Transaction, error) {
	tx := &statev1.Transaction{Preconditions: t.pres, Ops: t.ops}
	if t.scoped {
		tx.Organization = t.Organization
	}
	if n := proto.Size(tx); n > MaxTransaction {
		return nil, Because(errs.Exhausted, ReasonTooLarge,
			"the change has %d octets, more than the %d of one transaction; make it in parts", n, MaxTransaction)
	}
	return tx, nil
}

// At asks that a resource's last change was at a revision; 0 that there is none.
func At(r *statev1.Ref, revision uint64) *statev1.Precondition {
	return &statev1.Precondition{Condition: &statev1.Precondition_ResourceAt{ResourceAt: &statev1.ResourceAt{
		Ref:      r,
		Revision: revision,
	}}}
}

// Reserve makes room for the record that says that a thing ended, when the thing begins;
// the thing is refused where its organization has no more room.
func Reserve(organization string, r kind.Record) *statev1.Op {
	r.Expires = 0
	return Ended(organization, r)
}

// Ended has the record that says that a thing ended forgotten when it expires. It goes into
// the transaction that ends the thing, which no limit refuses then.
func Ended(organization string, r kind.Record) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_Tombstone{Tombstone: &statev1.Tombstone{
		Organization: organization, Stream: r.Stream, Kind: r.Kind, Name: r.Name, Expires: r.Expires,
	}}}
}

// NoneUnder asks that after the transaction nothing but the named is below a prefix.
func NoneUnder(kind, organization, prefix string, except ...string) *statev1.Precondition {
	return &statev1.Precondition{Condition: &statev1.Precondition_NoneUnder{NoneUnder: &statev1.NoneUnder{
		Prefix: &statev1.Ref{Kind: kind, Organization: organization, Name: prefix}, Except: except,
	}}}
}

// UnchangedSince asks that a resource did not change after a revision.
func UnchangedSince(r *statev1.Ref, revision uint64) *statev1.Precondition {
	return &statev1.Precondition{Condition: &statev1.Precondition_UnchangedSince{
		UnchangedSince: &statev1.UnchangedSince{Ref: r, Revision: revision},
	}}
}
