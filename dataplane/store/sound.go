package store

import (
	"errors"
	"fmt"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// errUnsound is an op that no proposer of ours makes. A log may hand out what a member of
// another build, or with a damaged memory, put in: it is refused by all members alike, and
// panics none of them.
var errUnsound = errors.New("the command is not one")

// sound says whether an op has the form that Apply relies on.
func sound(op *storev1.Op) error {
	ok := true
	switch do := op.Op.(type) {
	case *storev1.Op_Put:
		ok = soundPut(do.Put)
	case *storev1.Op_Rewrap:
		for _, f := range do.Rewrap.GetExtents() {
			ok = ok && soundFresh(f)
		}
	}
	if !ok {
		return fmt.Errorf("an op on key %.100q: %w", op.Key, errUnsound)
	}
	return nil
}

func soundPut(p *storev1.Put) bool {
	if p == nil || len(p.Tag) > MaxTag || p.Size < 0 {
		return false
	}
	for _, e := range p.Extents {
		if len(e.GetId()) != len(ID{}) || !soundLength(e.Length) {
			return false
		}
	}
	for _, f := range p.Fresh {
		if !soundFresh(f) {
			return false
		}
	}
	return true
}

func soundFresh(f *storev1.NewExtent) bool {
	return len(f.GetId()) == len(ID{}) && soundLength(f.Length) && f.Hold != nil
}

func soundLength(n int64) bool { return n >= 0 && n <= maxExtentLen }
