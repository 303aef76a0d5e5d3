package obs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStormOfOneMessageIsCountedAndNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := Logger(&out, slog.LevelInfo).With("group", "control")
		for range 1800 { // 30 a second, for a minute
			log.Error("no answer", "peer", "c2")
			time.Sleep(time.Second / 30)
		}
		log.Error("something else")
		time.Sleep(time.Second)
		log.Error("no answer", "peer", "c2")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != burst+2 {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), burst+2, out.String())
		}
		want := fmt.Sprintf("unwritten=%d", 1800-burst)
		if last := lines[len(lines)-1]; !strings.Contains(last, want) || !strings.Contains(last, "peer=c2") {
			t.Errorf("the first line of the next minute is %q, want %s in it", last, want)
		}
	})
}

func TestRequestsAreNotCountedAway(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, slog.LevelInfo)
	for range 3 * burst {
		log.Info("request")
	}
	if n := strings.Count(out.String(), "\n"); n != 3*burst {
		t.Errorf("%d lines at Info, want %d", n, 3*burst)
	}
}

func TestALineOfTheLogIsShort(t *testing.T) {
	var out bytes.Buffer
	log := Logger(&out, slog.LevelInfo)
	long := errors.New("first line\n" + strings.Repeat("goroutine 1 [running]\n", 200))
	log.Error("failed", "error", long, "stack", long.Error(), "count", 3)
	log.Error("failed too", "text", strings.Repeat("ä", maxText))
	for line := range strings.Lines(out.String()) {
		if len(line) > 3*maxText || strings.Contains(line, "running") {
			t.Errorf("a line of %d octets: %.200s", len(line), line)
		}
	}
	if !strings.Contains(out.String(), "first line … (") || !strings.Contains(out.String(), "count=3") {
		t.Errorf("the log lost what it should say: %s", out.String())
	}
}

func TestStackNamesOurFramesInOneLine(t *testing.T) {
	defer func() {
		recover()
		s := Stack()
		if strings.Contains(s, "\n") || !strings.Contains(s, "internal/obs.TestStackNames") {
			t.Errorf("Stack() = %q", s)
		}
	}()
	panic("on purpose")
}

func TestASparseForgetsNothingItShouldCountAndHoldsLittle(t *testing.T) {
	s := NewSparse()
	for i := range 5 * maxKeys {
		s.Allow(fmt.Sprint(i))
	}
	if len(s.mu.keys) > maxKeys {
		t.Errorf("%d keys are remembered, at most %d may be", len(s.mu.keys), maxKeys)
	}
}
