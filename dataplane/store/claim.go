package store

import (
	"errors"
	"fmt"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
)

// claim names one space's claim on an extent, for which it has a wrapped key of its own. Without a space
// it names the whole extent.
type claim struct {
	id, space ID
	slot      uint32
}

// lostBodies are extents that do not open, and claims whose key does not, where those of others may.
type lostBodies map[claim]*Damaged

// of is why an extent does not open for a row of a space, and by which claim; nil where nothing is known.
func (l lostBodies) of(space ID, e extentRef) (claim, *Damaged) {
	whole, one := claim{id: e.id}, claim{e.id, space, e.slot}
	if d := l[whole]; d != nil {
		return whole, d
	}
	return one, l[one]
}

// claimed is what a *Damaged of an extent is about.
func (d *Damaged) claimed() claim {
	if d.claim.space == (ID{}) {
		return claim{id: d.Extent}
	}
	return d.claim
}

// openClaims opens each claim's key as far as that goes without its customer, and takes in those that do
// not open. It gives what opens the extent's chunks, if any claim does.
func (c *scrub) openClaims(id ID, x *extent) (opener *seal.Opener) {
	for i := range x.holds {
		h := &x.holds[i]
		key, err := c.s.chain.check(h, id)
		if errors.Is(err, errNoEpoch) {
			if h = c.again(id, h); h == nil {
				continue
			}
			key, err = c.s.chain.check(h, id)
		}
		var d *Damaged
		switch {
		case err == nil && key != nil:
			opener = seal.NewOpener(key, id)
		case errors.Is(err, errNoEpoch):
			c.keepClaim(claim{id, h.space, h.slot}, err)
		case errors.As(err, &d):
			c.keepClaim(claim{id, h.space, h.slot}, d.Err)
		}
	}
	return opener
}

// again is a hold as it is now: it may have been wrapped again since it was read, and its epoch destroyed.
// nil where nobody needs it any more.
func (c *scrub) again(id ID, h *hold) *hold {
	x, err := c.s.extent(id)
	if err != nil || c.s.isErased(h.space) {
		return nil
	}
	return x.hold(h.space, h.slot)
}

func (c *scrub) keepClaim(of claim, err error) {
	d := &Damaged{
		Thing: Thing{Kind: DamagedExtent, Extent: of.id, Space: of.space}, claim: of, Err: err,
		What: fmt.Sprintf("the key of space %x to extent %x", of.space, of.id),
	}
	if !c.keep(d) {
		c.report(d)
	}
}
