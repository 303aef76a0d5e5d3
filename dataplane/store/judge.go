package store

import (
	"bytes"
	"slices"
	"time"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// judge says whether an op's condition holds: for the key's current row, and for the row
// that the op names.
func (c *change) judge(op *storev1.Op, space ID, current, named *stored) error {
	cond := op.Condition
	if cond == nil {
		return nil
	}
	if current.lost && asksForRow(cond) {
		return damagedRow(space, op.Key, 0, errLost)
	}
	if r, ok := judgeCurrent(cond, current); !ok {
		return &Refused{Reason: r}
	}
	if !judgeNamed(cond, named) {
		return &Refused{Reason: Changed}
	}
	if cond.QuotaBytes > 0 || cond.QuotaRows > 0 {
		if _, err := c.used(space); err != nil {
			return err
		}
		c.quotas = append(c.quotas, quota{len(c.results), space, cond})
	}
	return nil
}

// asksForRow says whether a condition is about a row, and not only about quotas.
func asksForRow(c *storev1.Condition) bool {
	return c.Absent || c.Exists || c.HasSize || len(c.Match)+len(c.NoMatch) > 0 ||
		c.Time != 0 || c.Version != 0 || c.Amended != 0
}

func judgeCurrent(cond *storev1.Condition, current *stored) (Reason, bool) {
	exists := current.there && !current.is(bitMarker)
	tagged := func(tag []byte) bool { return bytes.Equal(tag, current.tag) }
	needs := cond.Exists || len(cond.Match) > 0 || cond.Time != 0 || cond.HasSize
	switch {
	case cond.Absent && exists:
		return Precondition, false
	case needs && !exists:
		return Missing, false
	case len(cond.Match) > 0 && !slices.ContainsFunc(cond.Match, tagged):
		return Precondition, false
	case exists && slices.ContainsFunc(cond.NoMatch, tagged):
		return Precondition, false
	case cond.Time != 0 && cond.Time != current.time/int64(time.Second):
		return Precondition, false
	case cond.HasSize && uint64(cond.Size) != current.size:
		return Precondition, false
	}
	return 0, true
}

func judgeNamed(cond *storev1.Condition, named *stored) bool {
	if cond.Version == 0 && cond.Amended == 0 {
		return true
	}
	return named.there &&
		(cond.Version == 0 || cond.Version == uint64(named.v)) &&
		(cond.Amended == 0 || cond.Amended == uint64(named.v)+named.amended)
}

// judge says whether a space is within its quota after the command.
func (q *quota) judge(u *Usage) error {
	if q.cond.QuotaBytes > 0 && u.Bytes > q.cond.QuotaBytes {
		return &Refused{Op: q.op, Reason: QuotaBytes}
	}
	if q.cond.QuotaRows > 0 && u.Rows > q.cond.QuotaRows {
		return &Refused{Op: q.op, Reason: QuotaRows}
	}
	return nil
}
