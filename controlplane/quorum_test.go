package controlplane

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
)

func threeMembers(answering int) []member {
	all := make([]member, 3)
	for i, name := range []string{"c1", "c2", "c3"} {
		all[i] = member{
			Server: consensus.Server{ID: consensus.ServerID(name), Addr: name + ":7001"}, name: name,
			answers: i < answering,
		}
	}
	return all
}

func TestALostMajorityIsToldOnceAMinuteWithWhatToDo(t *testing.T) {
	var out bytes.Buffer
	w := leaderWatch{log: slog.New(slog.NewTextHandler(&out, nil)), self: "c1"}
	now := time.Unix(1_800_000_000, 0)
	for range 300 { // ten minutes
		w.look(now, "", threeMembers(1))
		now = now.Add(membersEvery)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 10 {
		t.Fatalf("%d lines in ten minutes, want 10:\n%s", len(lines), out.String())
	}
	for _, want := range []string{
		"level=ERROR", "1 of 3 answer, 2 are needed", "c2 (c2:7001), c3 (c3:7001)",
		"start the silent", "docs/operations/quorum.md",
	} {
		if !strings.Contains(lines[0], want) {
			t.Errorf("the line lacks %q: %s", want, lines[0])
		}
	}
	w.look(now, "c2", threeMembers(2))
	if !strings.Contains(out.String(), "a control node leads again") || strings.Count(out.String(), "\n") != 11 {
		t.Errorf("the end was not told: %s", out.String())
	}
	w.look(now.Add(time.Second), "c2", threeMembers(2))
	if strings.Count(out.String(), "\n") != 11 {
		t.Errorf("a cluster that is well was told of: %s", out.String())
	}
}

func TestARemovedNodeSaysThatItWasRemoved(t *testing.T) {
	var out bytes.Buffer
	w := leaderWatch{log: slog.New(slog.NewTextHandler(&out, nil)), self: "c4"}
	now := time.Unix(1_800_000_000, 0)
	w.look(now, "", threeMembers(0))
	w.look(now.Add(leaderless), "", threeMembers(0))
	if !strings.Contains(out.String(), "it was removed") || !strings.Contains(out.String(), "c3 (c3:7001)") ||
		strings.Contains(out.String(), "majority") {
		t.Error(out.String())
	}
	if without(nil, "c4") || without(threeMembers(0), "c1") {
		t.Error("a node that joins, or a member, counts as removed")
	}
}

func TestAnElectionIsNotWorthALine(t *testing.T) {
	var out bytes.Buffer
	w := leaderWatch{log: slog.New(slog.NewTextHandler(&out, nil)), self: "c1"}
	now := time.Unix(1_800_000_000, 0)
	w.look(now, "", threeMembers(2))
	w.look(now.Add(leaderless-time.Millisecond), "", threeMembers(2))
	w.look(now.Add(leaderless), "c2", threeMembers(2))
	if out.Len() > 0 {
		t.Error(out.String())
	}
}

// begun is the directory of a new cluster of one.
func begun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "c1")
	_, err := Init(t.Context(), InitConfig{
		Dir: dir, Name: "c1", Transport: "127.0.0.1:0", Timing: consensus.CI, Clock: clock.Clock{},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(dir string) error {
	k, err := openCore(coreConfig{
		dir: dir, listen: "127.0.0.1:0", timing: consensus.CI, logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		return errors.Join(errors.New("it opened"), k.close())
	}
	return err
}

func damage(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte("garbage"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADamagedFileIsRefusedWithTheNextStep(t *testing.T) {
	for _, test := range []struct {
		file, want, never string
	}{
		{
			"raft/log/MANIFEST-*", "Where a majority of the other members is well, wipe it with `darkd rejoin`",
			"darkd init",
		},
		{"state/*/MANIFEST-*", "move that directory away and start again", "rejoin"},
	} {
		t.Run(test.file, func(t *testing.T) {
			dir := begun(t)
			damage(t, filepath.Join(dir, test.file))
			err := open(dir).Error()
			if !strings.Contains(err, test.want) || strings.Contains(err, test.never) {
				t.Errorf("want %q and no %q: %s", test.want, test.never, err)
			}
		})
	}
}

func TestDamagedRowsAreMadeFromTheLogAgain(t *testing.T) {
	dir := begun(t)
	if err := os.Rename(filepath.Join(dir, "state"), filepath.Join(dir, "state.damaged")); err != nil {
		t.Fatal(err)
	}
	k, err := openCore(coreConfig{
		dir: dir, listen: "127.0.0.1:0", timing: consensus.CI,
		logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := k.log.Current(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k.store.Revision() < 2 {
		t.Errorf("the log of a new cluster gave revision %d, want the two that began it", k.store.Revision())
	}
}
