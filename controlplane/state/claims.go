package state

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// judgeClaims refuses names that somebody else holds. Who holds them is not told: the
// asker may be anyone.
func (a *applying) judgeClaims(tx *statev1.Transaction) (*errs.Error, error) {
	asked := map[string]string{} // claim → resource, within this transaction
	for _, op := range tx.Ops {
		put := op.GetPutResource()
		for _, c := range put.GetClaims() {
			if other, ok := asked[c.Space+"/"+c.Name]; ok && other != put.Ref.Name {
				return errs.New(errs.Conflict, "%s and %s both ask for the name %s", other, put.Ref.Name, c.Name), nil
			}
			asked[c.Space+"/"+c.Name] = put.Ref.Name
			if refusal, err := a.judgeClaim(put.Ref, c); refusal != nil || err != nil {
				return refusal, err
			}
		}
	}
	return nil, nil
}

func (a *applying) judgeClaim(ref *statev1.Ref, c *statev1.Claim) (*errs.Error, error) {
	holder, err := a.holder(claimKey(c.Space, c.Name, c.Hierarchical))
	if err != nil {
		return nil, err
	}
	if holder != nil && !proto.Equal(holder.Ref, ref) {
		return errs.New(errs.Conflict, "the name %s is taken", c.Name), nil
	}
	if !c.Hierarchical {
		return nil, nil
	}
	name := c.Name
	for i := strings.IndexByte(name, '.'); i >= 0; i = strings.IndexByte(name, '.') {
		name = name[i+1:]
		above, err := a.holder(claimKey(c.Space, name, true))
		if err != nil {
			return nil, err
		}
		if above != nil && !allows(above, ref.Organization) {
			return errs.New(errs.Conflict, "the name %s is below %s, which another organization holds; it can grant "+
				"this", c.Name, name), nil
		}
	}
	return a.judgeBelow(ref, c)
}

// judgeBelow refuses a name above one that another organization holds.
func (a *applying) judgeBelow(ref *statev1.Ref, c *statev1.Claim) (*errs.Error, error) {
	var refusal *errs.Error
	at := claimKey(c.Space, c.Name, true)
	err := scan(a.b, at, after(at), func(k, v []byte) error {
		below := &statev1.ClaimHolder{}
		if err := proto.Unmarshal(v, below); err != nil {
			return err
		}
		if refusal == nil && !bytes.Equal(k, at) && below.Hierarchical && !allows(below, ref.Organization) {
			refusal = errs.New(errs.Conflict, "another organization holds a name below %s; it can grant this", c.Name)
		}
		return nil
	})
	return refusal, err
}

func allows(h *statev1.ClaimHolder, organization string) bool {
	return !h.Hierarchical || h.Ref.Organization == organization || slices.Contains(h.Grants, organization)
}

func (a *applying) holder(k []byte) (*statev1.ClaimHolder, error) {
	h := &statev1.ClaimHolder{}
	err := getProto(a.b, k, h)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	return h, err
}

func (a *applying) holdClaims(ref *statev1.Ref, claims []*statev1.Claim) error {
	for _, c := range claims {
		h := &statev1.ClaimHolder{Ref: ref, Grants: c.Grants, Hierarchical: c.Hierarchical}
		if err := a.put(claimKey(c.Space, c.Name, c.Hierarchical), h); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) releaseClaims(claims []*statev1.Claim) error {
	for _, c := range claims {
		if err := a.b.Delete(claimKey(c.Space, c.Name, c.Hierarchical), nil); err != nil {
			return err
		}
	}
	return nil
}
