package controlplane

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dark-ecosystem/dark/internal/consensus"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// clockTolerance is how far the leader's clock may be from the median of all members'
// clocks: every entry carries its time.
const clockTolerance = time.Minute

// checkClock has this node hand over leadership when its clock is wrong, to the voter
// whose clock is nearest to the median.
func (n *Node) checkClock(ctx context.Context, all []member) {
	if !n.core.group.IsLeader() {
		return
	}
	to, off := straying(all, consensus.ServerID(n.core.self.ServerID))
	if to == "" {
		return
	}
	n.cfg.Logger.Error("the clock of this control node is wrong; it hands over leadership",
		"off", off.Round(time.Second),
		"next_step", "set the clock of this machine and keep it set, by chrony or another NTP client")
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.core.group.Transfer(ctx, to); err != nil && ctx.Err() == nil {
		n.cfg.Logger.Warn("hand leadership over", "err", err)
	}
}

// straying compares a voter's clock with those of the voters that answer, itself among
// them. When it is over a minute from their median, straying returns who should lead and
// how far off the clock is. Of two middle ones the nearer to its own counts: neither a
// single member nor one of two can be outvoted.
func straying(all []member, self consensus.ServerID) (to consensus.ServerID, off time.Duration) {
	voters := slices.DeleteFunc(slices.Clone(all), func(m member) bool { return m.Learner || !m.answers })
	if len(voters) == 0 {
		return "", 0
	}
	slices.SortStableFunc(voters, func(a, b member) int { return cmp.Compare(a.ahead, b.ahead) })
	median := voters[len(voters)/2].ahead
	if low := voters[(len(voters)-1)/2].ahead; low.Abs() < median.Abs() {
		median = low
	}
	if median.Abs() <= clockTolerance {
		return "", 0
	}
	others := slices.DeleteFunc(voters, func(m member) bool { return m.ID == self })
	if len(others) == 0 {
		return "", 0
	}
	best := slices.MinFunc(others, func(a, b member) int {
		return cmp.Compare((a.ahead - median).Abs(), (b.ahead - median).Abs())
	})
	return best.ID, -median
}

// runFeatures raises the level of features once every member has announced it.
func (n *Node) runFeatures(ctx context.Context) {
	every(ctx, featuresEvery, func(ctx context.Context) {
		level, ok := n.commonLevel()
		if !ok || level <= n.core.store.FeatureLevel() {
			return
		}
		tx := &statev1.Transaction{Origin: n.controller("features"), Ops: []*statev1.Op{
			{Op: &statev1.Op_RaiseFeatureLevel{RaiseFeatureLevel: level}},
		}}
		if _, err := n.core.log.Propose(ctx, tx); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("raise the level of features", "err", err)
		}
	})
}

const featuresEvery = 2 * time.Second

// commonLevel is the highest level that all members of consensus announced; false while
// one of them has announced none.
func (n *Node) commonLevel() (uint64, bool) {
	servers, err := n.core.group.Members()
	if err != nil || len(servers) == 0 {
		return 0, false
	}
	announced := map[consensus.ServerID]uint64{}
	for _, m := range n.members() {
		announced[consensus.ServerID(m.ServerId)] = m.FeatureLevel
	}
	least := uint64(FeatureLevel)
	for _, s := range servers {
		level, ok := announced[s.ID]
		if !ok {
			return 0, false
		}
		least = min(least, level)
	}
	return least, true
}
