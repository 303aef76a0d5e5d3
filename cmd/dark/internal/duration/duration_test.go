package duration

import (
	"testing"
	"time"
)

func TestDurationsAsPeopleTypeThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "90m": 90 * time.Minute, "0d": 0,
		"36500d": 36500 * 24 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "7", "7days", "-1d", "1d-", "1.5d", "36501d", "2562047h47m", "soon"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%s was read as %v", text, got)
		}
	}
}
