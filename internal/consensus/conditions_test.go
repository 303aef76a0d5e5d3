package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
	"github.com/dark-ecosystem/dark/internal/crashmem"
)

// The conditions (a) to (e) under which the machine may run without sync.

func single(t *testing.T, ca *ct.CA, fsys vfs.FS, change func(*consensus.GroupConfig)) (*ct.Member, error) {
	t.Helper()
	return ca.Open(ct.Setup{
		FS: fsys, ID: "a", Timing: alone, Change: change,
		Bootstrap: []consensus.Server{{ID: "a", Addr: "127.0.0.1:1"}},
	})
}

func propose(t *testing.T, m *ct.Member, from, to int) {
	t.Helper()
	ct.WaitLeader(t, m)
	for i := from; i < to; i++ {
		if _, err := m.Group.Propose(context.Background(), fmt.Appendf(nil, "c%d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantOnce(t *testing.T, m *ct.Member, n int) {
	t.Helper()
	ct.WaitLeader(t, m)
	if err := m.Group.Read(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	all := m.Ledger.All()
	for i := range n {
		if got := all[fmt.Sprintf("c%d", i)]; got != 1 {
			t.Errorf("c%d is there %d times", i, got)
		}
	}
	if len(all) != n {
		t.Errorf("%d commands are there, want %d", len(all), n)
	}
}

func mustClose(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func quickSnapshots(c *consensus.GroupConfig) { c.TrailingLogs = 1 }

func TestConditionA_EntriesTheMachineHasAreNotAppliedAgain(t *testing.T) {
	ca, mem := ct.NewCA(t), crashmem.New()
	m, err := single(t, ca, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	propose(t, m, 0, 20)
	mustClose(t, m) // flushes the machine
	clone := mem.CrashClone(vfs.CrashCloneCfg{})
	if m, err = single(t, ca, clone, nil); err != nil { // no snapshot: raft sends the log from 1
		t.Fatal(err)
	}
	defer mustClose(t, m)
	if at, _ := m.Ledger.Applied(); at == 0 {
		t.Fatal("the machine was meant to have kept its state")
	}
	wantOnce(t, m, 20)
}

func TestConditionB_AReportedSnapshotSurvivesPowerLoss(t *testing.T) {
	ca, mem := ct.NewCA(t), crashmem.New()
	m, err := single(t, ca, mem, quickSnapshots)
	if err != nil {
		t.Fatal(err)
	}
	propose(t, m, 0, 20)
	if err := m.Group.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	clone := mem.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, m)
	if m, err = single(t, ca, clone, quickSnapshots); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, m)
	if at, _ := m.Ledger.Applied(); at < 20 {
		t.Errorf("the machine came back at %d: the snapshot was reported before it was flushed", at)
	}
	wantOnce(t, m, 20)
}

func TestConditionD_AMachineBehindTheSnapshotIsRestored(t *testing.T) {
	ca, mem := ct.NewCA(t), vfs.NewMem()
	m, err := single(t, ca, mem, quickSnapshots)
	if err != nil {
		t.Fatal(err)
	}
	propose(t, m, 0, 20)
	if err := m.Group.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	propose(t, m, 20, 25)
	mustClose(t, m)
	if err := mem.RemoveAll("/data/machine"); err != nil {
		t.Fatal(err)
	}
	if m, err = single(t, ca, mem, quickSnapshots); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, m)
	wantOnce(t, m, 25)
}

func TestConditionD_ACorruptSnapshotIsSetAsideAndNotUsed(t *testing.T) {
	ca, mem := ct.NewCA(t), vfs.NewMem()
	m, err := single(t, ca, mem, nil) // the log is kept whole
	if err != nil {
		t.Fatal(err)
	}
	propose(t, m, 0, 20)
	if err := m.Group.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustClose(t, m)
	flipTable(t, mem, "/data/snapshots/test")
	if err := mem.RemoveAll("/data/machine"); err != nil {
		t.Fatal(err)
	}
	if m, err = single(t, ca, mem, nil); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, m)
	wantOnce(t, m, 20)
	names, _ := mem.List("/data/snapshots/test")
	if len(names) != 1 || !strings.HasSuffix(names[0], ".bad") {
		t.Errorf("snapshots are %v, want one set aside", names)
	}
}

// flipTable changes one byte of a table in the one snapshot below dir.
func flipTable(t *testing.T, fsys vfs.FS, dir string) {
	t.Helper()
	ids, err := fsys.List(dir)
	if err != nil || len(ids) != 1 {
		t.Fatal(ids, err)
	}
	data := fsys.PathJoin(dir, ids[0], "data")
	names, _ := fsys.List(data)
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			f, err := fsys.OpenReadWrite(fsys.PathJoin(data, name), vfs.WriteCategoryUnspecified)
			if err != nil {
				t.Fatal(err)
			}
			var b [1]byte
			_, err = f.ReadAt(b[:], 10)
			b[0] ^= 1
			_, err2 := f.WriteAt(b[:], 10)
			if err = errors.Join(err, err2, f.Close()); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no table among %v", names)
}

func TestConditionE_AGapBelowTheLogIsRefusedWithTheWayOut(t *testing.T) {
	ca, mem := ct.NewCA(t), vfs.NewMem()
	m, err := single(t, ca, mem, quickSnapshots)
	if err != nil {
		t.Fatal(err)
	}
	propose(t, m, 0, 20)
	if err := m.Group.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	propose(t, m, 20, 25)
	mustClose(t, m)
	for _, lost := range []string{"/data/machine", "/data/snapshots"} {
		if err := mem.RemoveAll(lost); err != nil {
			t.Fatal(err)
		}
	}
	wantCorrupt(t, mem, ca, "no snapshot covers")

	// darkd rejoin: wiped, it starts as somebody new.
	if err := consensus.Wipe(mem, "/data"); err != nil {
		t.Fatal(err)
	}
	if m, err = single(t, ca, mem, nil); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, m)
	wantOnce(t, m, 0)
}

func TestALogThatIsGoneUnderAMachineIsRefused(t *testing.T) {
	for _, lost := range [][]string{{"/data/log"}, {"/data/side"}, {"/data/log", "/data/side"}} {
		ca, mem := ct.NewCA(t), vfs.NewMem()
		m, err := single(t, ca, mem, nil)
		if err != nil {
			t.Fatal(err)
		}
		propose(t, m, 0, 5)
		mustClose(t, m)
		for _, dir := range lost {
			if err := mem.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		wantCorrupt(t, mem, ca, "corrupt")
	}
}

// wantCorrupt opens the member and wants a refusal that names the way out.
func wantCorrupt(t *testing.T, fsys vfs.FS, ca *ct.CA, text string) {
	t.Helper()
	m, err := single(t, ca, fsys, nil)
	if err == nil {
		mustClose(t, m)
		t.Fatal("it started")
	}
	var c *consensus.CorruptError
	if !errors.As(err, &c) || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "darkd rejoin") {
		t.Fatalf("refused with %v", err)
	}
}
