package segment

import "time"

// demandWindow is how long what writers needed says what they will need.
const demandWindow = time.Minute

// demand counts the segments that writers began to fill, in this window and in the one before.
type demand struct {
	began       time.Time
	now, before int
}

func (d *demand) turn(at time.Time) {
	switch passed := at.Sub(d.began); {
	case passed >= 2*demandWindow:
		d.before, d.now, d.began = 0, 0, at
	case passed >= demandWindow:
		d.before, d.now, d.began = d.now, 0, at
	}
}

func (d *demand) count(at time.Time) {
	d.turn(at)
	d.now++
}

// lately is the most of a window.
func (d *demand) lately(at time.Time) int {
	d.turn(at)
	return max(d.now, d.before)
}

// keepLocked is how many segments may be ready. Under a steady churn that is as many as writers begin in a
// minute, or as there are others: one that was removed would be made and filled with zeros again.
func (f *Files) keepLocked() int {
	others := len(f.segments()) - len(f.mu.ready) - len(f.mu.empty)
	return max(f.opt.Spare, 0) + max(maxSurplus, min(f.mu.demand.lately(time.Now()), others))
}

// takeSurplus takes a ready segment that is more than will be needed, and locks it.
func (f *Files) takeSurplus() *segment {
	f.mu.Lock()
	keep := f.keepLocked()
	surplus := f.mu.resumed && len(f.mu.ready) > keep
	f.mu.Unlock()
	if !surplus {
		return nil
	}
	return f.takeReady()
}
