package controlplane

import (
	"testing"
	"time"
)

func TestContactIsSinceTheLastLeader(t *testing.T) {
	var c contact
	at := time.Unix(1_800_000_000, 0)
	for i, want := range []struct {
		after  time.Duration
		led    bool
		silent time.Duration
		ever   bool
	}{
		{0, false, 0, false}, // after a start no credential is believed before the first leader
		{3 * time.Second, false, 3 * time.Second, false},
		{4 * time.Second, true, 0, true},
		{6 * time.Second, false, 2 * time.Second, true}, // an election
		{7 * time.Second, true, 0, true},
		{12 * time.Second, false, contactTime, true},
	} {
		if silent, ever := c.look(at.Add(want.after), want.led); silent != want.silent || ever != want.ever {
			t.Errorf("look %d: %s, %v, want %s, %v", i, silent, ever, want.silent, want.ever)
		}
	}
}
