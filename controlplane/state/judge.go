package state

import (
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// judge says whether a transaction is accepted. A refusal is an answer; an error means
// that the rows could not be read.
func (a *applying) judge(tx *statev1.Transaction) (*errs.Error, error) {
	for _, step := range []func(*statev1.Transaction) (*errs.Error, error){
		a.judgeOps, a.judgePreconditions, a.judgeClaims, a.judgeLimits,
	} {
		if refusal, err := step(tx); refusal != nil || err != nil {
			return refusal, err
		}
	}
	return nil, nil
}

// judgeOps refuses what this version of Apply does not know, on every member alike.
func (a *applying) judgeOps(tx *statev1.Transaction) (*errs.Error, error) {
	for _, op := range tx.Ops {
		switch o := op.Op.(type) {
		case nil:
			return errs.New(errs.Invalid, "the transaction holds a change that this version does not know"), nil
		case *statev1.Op_Publish:
			if refusal, err := a.judgePublish(o.Publish); refusal != nil || err != nil {
				return refusal, err
			}
		case *statev1.Op_Tombstone:
			if refusal := judgeTombstone(o.Tombstone); refusal != nil {
				return refusal, nil
			}
		case *statev1.Op_CompactTo:
			if o.CompactTo >= a.p.Revision {
				return errs.New(errs.Invalid, "history can be forgotten only before the present revision %d",
					a.p.Revision), nil
			}
		}
	}
	return nil, nil
}

func (a *applying) judgePreconditions(tx *statev1.Transaction) (*errs.Error, error) {
	for _, p := range tx.Preconditions {
		ok, what, err := a.holds(tx, p)
		if err != nil {
			return nil, err
		}
		if !ok {
			return errs.New(errs.Conflict, "%s", what), nil
		}
	}
	return nil, nil
}

// holds judges one precondition; what says why it does not hold.
func (a *applying) holds(tx *statev1.Transaction, p *statev1.Precondition) (ok bool, what string, err error) {
	switch c := p.Condition.(type) {
	case *statev1.Precondition_ResourceAt:
		v, err := a.latest(c.ResourceAt.Ref)
		var at uint64
		if live(v) == 1 {
			at = v.Revision
		}
		return at == c.ResourceAt.Revision, changedText(c.ResourceAt.Ref.GetName(), at, c.ResourceAt.Revision), err
	case *statev1.Precondition_UnchangedSince:
		v, err := a.latest(c.UnchangedSince.Ref)
		return v == nil || v.Revision <= c.UnchangedSince.Revision, c.UnchangedSince.Ref.GetName() +
			" has changed meanwhile; read it again", err
	case *statev1.Precondition_MetaAt:
		var m statev1.MetaValue
		err := getProto(a.b, key(rowMeta, c.MetaAt.Key), &m)
		if errors.Is(err, pebble.ErrNotFound) {
			err = nil
		}
		return m.Revision == c.MetaAt.Revision, c.MetaAt.Key + " has changed meanwhile", err
	case *statev1.Precondition_LeaseHeld:
		var l statev1.Lease
		err := getProto(a.b, key(rowLease, c.LeaseHeld.Lease), &l)
		if errors.Is(err, pebble.ErrNotFound) {
			err = nil
		}
		return l.Generation == c.LeaseHeld.Generation, "another controller holds the lease " + c.LeaseHeld.Lease, err
	case *statev1.Precondition_NoneUnder:
		return a.noneUnder(tx, c.NoneUnder)
	}
	return false, "the transaction asks for a condition that this version does not know", nil
}

func changedText(name string, at, want uint64) string {
	switch {
	case want == 0:
		return name + " exists already"
	case at == 0:
		return name + " does not exist any more"
	}
	return name + " has changed meanwhile; read it again"
}

// noneUnder judges what will be there after the transaction.
func (a *applying) noneUnder(tx *statev1.Transaction, n *statev1.NoneUnder) (ok bool, what string, err error) {
	will := map[string]bool{} // names that the transaction itself decides
	for _, op := range tx.Ops {
		switch o := op.Op.(type) {
		case *statev1.Op_PutResource:
			if sameSpace(o.PutResource.Ref, n.Prefix) {
				will[o.PutResource.Ref.Name] = true
			}
		case *statev1.Op_DeleteResource:
			if sameSpace(o.DeleteResource, n.Prefix) {
				will[o.DeleteResource.Name] = false
			}
		}
	}
	found := ""
	for _, name := range sortedKeys(will) {
		if will[name] && strings.HasPrefix(name, n.Prefix.Name) && !slices.Contains(n.Except, name) {
			found = name
		}
	}
	from := prefixKey(rowLatest, n.Prefix.Kind, n.Prefix.Organization, n.Prefix.Name)
	err = scan(a.b, from, after(from), func(k, value []byte) error {
		name := texts(k)[2]
		if _, decided := will[name]; decided || found != "" || slices.Contains(n.Except, name) {
			return nil
		}
		v := &statev1.ResourceVersion{}
		if err := proto.Unmarshal(value, v); err != nil {
			return err
		}
		if !v.Deleted {
			found = name
		}
		return nil
	})
	return found == "", found + " stands in the way", err
}

func sameSpace(a, b *statev1.Ref) bool {
	return a.GetKind() == b.GetKind() && a.GetOrganization() == b.GetOrganization()
}
