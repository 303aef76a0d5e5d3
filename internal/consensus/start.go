package consensus

import (
	"errors"
	"fmt"
)

// prepare brings machine, snapshots and log to where raft may be started, or refuses.
// The machine runs without sync, so after a crash it may be anywhere below what it
// was, and the snapshots and the log must lead on from there.
func (g *Group) prepare() error {
	base, err := g.restoreNewest()
	if err != nil {
		return err
	}
	first, _ := g.log.FirstIndex()
	last, _ := g.log.LastIndex()
	applied, _ := g.machine.Applied()
	// Condition (e). raft starts from the snapshot, whatever the machine holds, because
	// the membership of that point is known only from it.
	if last > 0 && first > base+1 {
		return g.log.corrupt(fmt.Sprintf("the log begins at %d, the machine is at %d, and no snapshot covers what is "+
			"between", first, applied), nil)
	}
	// Only what is in the log and committed is ever applied.
	if applied > last && applied > base {
		return g.log.corrupt(fmt.Sprintf("the machine is at %d and the log ends at %d", applied, max(last, base)), nil)
	}
	if last > 0 && last < base {
		// A crash came between the installing of a snapshot and the removal of the log it
		// replaces, which raft would now continue with a gap.
		return g.log.DeleteRange(first, last)
	}
	return nil
}

// restoreNewest is condition (d): where the machine has less than the newest good
// snapshot, that is restored; raft itself is then told not to. It returns the
// snapshot's index, 0 without one.
func (g *Group) restoreNewest() (uint64, error) {
	list, err := g.snaps.all()
	if err != nil {
		return 0, err
	}
	for _, s := range list {
		err := g.fsm.restore(s.id, s.manifest)
		if err == nil {
			g.log.setSnapshot(s.manifest.Index, s.manifest.Term)
			return s.manifest.Index, nil
		}
		if !errors.Is(err, errBadSnapshot) {
			return 0, fmt.Errorf("group %s: restore snapshot %s: %w", g.name, s.id, err)
		}
		g.node.cfg.Logger.Error("consensus: snapshot cannot be restored and is set aside", "group", g.name,
			"snapshot", s.id, "error", err)
		if err := g.snaps.setAside(s.id); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
