package controlplane

import (
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/consensus"
)

// TestALeaderWhoseClockStraysHandsOver: the offsets are as the leader, "a", sees them.
func TestALeaderWhoseClockStraysHandsOver(t *testing.T) {
	voter := func(id string, ahead time.Duration) member {
		return member{Server: consensus.Server{ID: consensus.ServerID(id)}, answers: true, ahead: ahead}
	}
	silent := func(id string) member { return member{Server: consensus.Server{ID: consensus.ServerID(id)}} }
	learner := func(id string, ahead time.Duration) member {
		m := voter(id, ahead)
		m.Learner = true
		return m
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		all []member
		to  consensus.ServerID
	}{
		"alone": {[]member{voter("a", 0)}, ""},
		"well": {
			[]member{voter("a", 0), voter("b", 59*time.Second), voter("c", -time.Second)},
			"",
		},
		"a day ahead":                  {[]member{voter("a", 0), voter("b", -day), voter("c", -day-time.Second)}, "b"},
		"a day behind":                 {[]member{voter("a", 0), voter("b", day+time.Second), voter("c", day)}, "c"},
		"another one is wrong":         {[]member{voter("a", 0), voter("b", day), voter("c", time.Second)}, ""},
		"one of two cannot be decided": {[]member{voter("a", 0), voter("b", day), silent("c")}, ""},
		"learners have no say":         {[]member{voter("a", 0), learner("b", day), learner("c", day)}, ""},
		"three of five say otherwise": {[]member{
			voter("a", 0), voter("b", 0), voter("c", day), voter("d", day),
			voter("e", day),
		}, "c"},
	} {
		if to, off := straying(c.all, "a"); to != c.to || (to == "") != (off == 0) {
			t.Errorf("%s: to %q, off %v; want %q", name, to, off, c.to)
		}
	}
}
