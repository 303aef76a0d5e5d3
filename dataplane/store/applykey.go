package store

import (
	"bytes"
	"encoding/binary"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// reasonEpoch: the epoch key that a hold names was destroyed meanwhile. Commit wraps again
// under a newer one; services never see it.
const reasonEpoch Reason = 200

// fresh brings in an extent, or a further hold of one.
func (c *change) fresh(space ID, f *storev1.NewExtent) error {
	x, err := c.load(ID(f.Id))
	if err != nil {
		return err
	}
	if known := x.there || len(x.holds) > 0; !known {
		if f.Adopt {
			return &Refused{Reason: Gone}
		}
		if err := c.bring(x, f); err != nil {
			return err
		}
	}
	if x.hold(space, f.Hold.GetSlot()) != nil {
		return nil
	}
	e, err := c.epoch(space, f.Hold.GetKeyName(), f.Hold.GetEpoch())
	if err != nil {
		return err
	}
	if !e.there && !e.dirty {
		return &Refused{Reason: reasonEpoch}
	}
	e.holds++
	e.dirty = true
	x.holds = append(x.holds, hold{
		space: space, slot: f.Hold.Slot, epoch: f.Hold.Epoch, name: f.Hold.KeyName,
		customer: f.Hold.Customer, wrapped: f.Hold.Wrapped,
	})
	return nil
}

// bring makes the record of an extent that the cell did not know. Its body may have been
// swept where its writer's horizon has passed it.
func (c *change) bring(x *extentChange, f *storev1.NewExtent) error {
	x.extent = extent{length: f.Length, writer: f.Writer, sequence: f.Sequence, hash: f.Hash}
	if len(f.Inline) > 0 {
		x.extent.inline, x.inline = true, f.Inline
		x.index, x.number = c.index, c.brought
		c.brought++
		return nil
	}
	horizon, err := c.horizonOf(f.Writer)
	if err != nil {
		return err
	}
	if f.Sequence <= horizon {
		return &Refused{Reason: Swept}
	}
	return nil
}

func (c *change) horizonOf(writer uint64) (uint64, error) {
	v, err := get(c.read, horizonKey(writer))
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// horizon raises a writer's horizon; it never sinks.
func (c *change) horizon(h *storev1.Horizon) error {
	now, err := c.horizonOf(h.Writer)
	if err != nil || h.Sequence <= now {
		return err
	}
	return c.batch.Set(horizonKey(h.Writer), binary.BigEndian.AppendUint64(nil, h.Sequence), nil)
}

// addEpoch keeps an epoch key. Of two proposers with a key for one day the first wins,
// whatever wraps theirs: what was sealed under the first must stay readable. The same key,
// wrapped by a newer version of its own, names the wrapping that it replaces.
func (c *change) addEpoch(space ID, a *storev1.Epoch) error {
	e, err := c.epoch(space, a.KeyName, a.Epoch)
	if err != nil {
		return err
	}
	if e.there || e.dirty {
		if a.KeyVersion <= e.keyVersion || !bytes.Equal(a.Replaces, e.wrapped) {
			return nil
		}
	} else if len(a.Replaces) > 0 {
		return nil // it was destroyed meanwhile
	}
	e.keyVersion, e.wrapped, e.tenant, e.dirty = a.KeyVersion, bytes.Clone(a.Wrapped), a.Tenant, true
	return nil
}

// dropEpoch destroys an epoch key that nothing needs.
func (c *change) dropEpoch(space ID, d *storev1.DropEpoch) error {
	e, err := c.epoch(space, d.KeyName, d.Epoch)
	if err != nil {
		return err
	}
	if e.holds > 0 {
		return &Refused{Reason: Changed}
	}
	delete(c.epochs, epochID{space, d.KeyName, d.Epoch})
	return c.batch.Delete(epochKey(space, d.KeyName, d.Epoch), nil)
}

// rewrap moves holds to another epoch: a newer one, or an older one where the clock was
// ahead. What is gone, or there already, is passed over.
func (c *change) rewrap(space ID, r *storev1.Rewrap) error {
	for _, f := range r.Extents {
		x, err := c.load(ID(f.Id))
		if err != nil {
			return err
		}
		h := x.hold(space, f.Hold.GetSlot())
		if h == nil || h.epoch == f.Hold.Epoch || h.name != f.Hold.KeyName {
			continue
		}
		was, err := c.epoch(space, h.name, h.epoch)
		if err != nil {
			return err
		}
		now, err := c.epoch(space, h.name, f.Hold.Epoch)
		if err != nil {
			return err
		}
		if !now.there {
			return &Refused{Reason: reasonEpoch}
		}
		if was.there {
			was.holds--
			was.dirty = true
		}
		now.holds++
		now.dirty = true
		h.epoch, h.wrapped = f.Hold.Epoch, f.Hold.Wrapped
	}
	return nil
}
