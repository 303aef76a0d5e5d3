package admit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// Kinds finds kinds by any of their names.
type Kinds struct {
	list   []*kind.Kind
	byName map[string]*kind.Kind
}

// NewKinds checks a list of kinds and indexes it.
func NewKinds(list []*kind.Kind) (*Kinds, error) {
	ks := &Kinds{byName: map[string]*kind.Kind{}}
	for _, k := range list {
		if err := check(k); err != nil {
			return nil, fmt.Errorf("kind %s: %w", k.FullName(), err)
		}
		for _, n := range []string{k.FullName(), strings.ToLower(k.ShortName()), strings.ToLower(k.Plural)} {
			if ks.byName[n] != nil {
				return nil, fmt.Errorf("kind %s: the name %q is taken by %s", k.FullName(), n, ks.byName[n].FullName())
			}
			ks.byName[n] = k
		}
		ks.list = append(ks.list, k)
	}
	slices.SortFunc(ks.list, func(a, b *kind.Kind) int { return strings.Compare(a.ShortName(), b.ShortName()) })
	return ks, nil
}

func check(k *kind.Kind) error {
	fields := k.Message.ProtoReflect().Descriptor().Fields()
	for _, f := range []string{
		"name", "organization", "labels", "etag", "revision", "create_time", "update_time",
		"spec",
	} {
		if fields.ByName(protoName(f)) == nil {
			return fmt.Errorf("the message has no field %s", f)
		}
	}
	switch {
	case k.Lane == kind.LaneGated:
		return errors.New("lane gated needs releases, which this version does not have")
	case k.Service == "" || k.Plural == "" || len(variables(k)) == 0:
		return errors.New("service, plural and pattern must be set")
	case (k.Locate == nil) != (k.Unlocate == nil):
		return errors.New("one of Locate and Unlocate is set without the other")
	}
	return nil
}

// Find returns the kind with a full name, short name or plural; the latter two in any case.
func (ks *Kinds) Find(name string) (*kind.Kind, bool) {
	if k, ok := ks.byName[name]; ok {
		return k, true
	}
	k, ok := ks.byName[strings.ToLower(name)]
	return k, ok
}

// All returns the kinds by short name.
func (ks *Kinds) All() []*kind.Kind { return ks.list }

// Children returns the kinds whose names are below a name of k.
func (ks *Kinds) Children(k *kind.Kind) []*kind.Kind {
	var out []*kind.Kind
	for _, c := range ks.list {
		if c != k && strings.HasPrefix(c.Pattern, k.Pattern+"/") {
			out = append(out, c)
		}
	}
	return out
}

// Depth is the number of collections in the pattern of k: 1 for what has no parent.
func Depth(k *kind.Kind) int {
	n := 0
	for _, s := range strings.Split(k.Pattern, "/") {
		if !isVariable(s) {
			n++
		}
	}
	return n
}

// New returns an empty message of the kind.
func New(k *kind.Kind) proto.Message { return k.Message.ProtoReflect().New().Interface() }
