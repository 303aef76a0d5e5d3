package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
	"github.com/dark-ecosystem/dark/internal/crashmem"
)

// crashed returns the disk of a member that acknowledged n entries and lost its power,
// and the length of its WAL before the last entry was proposed.
func crashed(t *testing.T, ca *ct.CA, n int, lossy func(string, bool) bool) (disk *crashmem.FS, before int) {
	t.Helper()
	mem := crashmem.New()
	var fsys vfs.FS = mem
	if lossy != nil {
		fsys = &ct.Lossy{FS: mem, Drop: lossy}
	}
	m, err := single(t, ca, fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	propose(t, m, 0, n-1)
	_, wal := lastWAL(t, mem)
	propose(t, m, n-1, n)
	disk = mem.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, m)
	return disk, len(wal)
}

// lastWAL returns name and contents of the newest WAL of the log's Pebble.
func lastWAL(t *testing.T, fsys vfs.FS) (string, []byte) {
	t.Helper()
	names, err := fsys.List("/data/log")
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(names)
	last := ""
	for _, n := range names {
		if strings.HasSuffix(n, ".log") {
			last = path.Join("/data/log", n)
		}
	}
	return last, readAll(t, fsys, last)
}

func readAll(t *testing.T, fsys vfs.FS, name string) []byte {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

// copyDisk copies everything below dir to a new file system, name with other contents.
func copyDisk(t *testing.T, from vfs.FS, name string, contents []byte) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if _, err := vfs.Clone(from, to, "/data", "/data"); err != nil {
		t.Fatal(err)
	}
	f, err := to.Create(name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(contents)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// trimZeros cuts what was never written: the WAL is preallocated.
func trimZeros(b []byte) []byte {
	return []byte(strings.TrimRight(string(b), "\x00"))
}

func TestATornTailOfTheLogIsRefusedAtEachByte(t *testing.T) {
	ca := ct.NewCA(t)
	disk, before := crashed(t, ca, 3, nil)
	name, wal := lastWAL(t, disk)
	wal = trimZeros(wal)
	if before >= len(wal) {
		t.Fatalf("the last entry is not in the last WAL: %d, %d", before, len(wal))
	}
	cuts := 0
	for at := 0; at < len(wal); at++ {
		if at < before && at%16 != 0 { // the last entry at each byte, what is before it at some
			continue
		}
		wantCorrupt(t, copyDisk(t, disk, name, wal[:at]), ca, "corrupt")
		cuts++
	}
	t.Logf("%d cuts refused, %d of them within the last entry", cuts, len(wal)-before)
}

func TestAFlippedByteOfTheLogIsRefusedOrHarmless(t *testing.T) {
	ca := ct.NewCA(t)
	disk, _ := crashed(t, ca, 3, nil)
	name, wal := lastWAL(t, disk)
	wal = trimZeros(wal)
	refused := 0
	for at := 0; at < len(wal); at += 3 {
		bad := append([]byte{}, wal...)
		bad[at] ^= 0x40
		m, err := single(t, ca, copyDisk(t, disk, name, bad), nil)
		if err != nil {
			var c *consensus.CorruptError
			if !errors.As(err, &c) {
				t.Fatalf("byte %d: %v", at, err)
			}
			refused++
			continue
		}
		wantOnce(t, m, 3)
		mustClose(t, m)
	}
	t.Logf("%d of %d flips refused, the others harmless", refused, (len(wal)+2)/3)
}

// The side file is what notices the torn tail: without its syncs the same cut starts
// with less than was acknowledged.
func TestATornTailIsNotNoticedWithoutTheSideFile(t *testing.T) {
	ca := ct.NewCA(t)
	made := false // the first slot is kept, or the file itself is missed
	disk, before := crashed(t, ca, 3, func(name string, dir bool) bool {
		if dir || !strings.Contains(name, "/data/side/") {
			return false
		}
		if !made {
			made = true
			return false
		}
		return true
	})
	name, wal := lastWAL(t, disk)
	m, err := single(t, ca, copyDisk(t, disk, name, trimZeros(wal)[:before]), nil)
	if err != nil {
		t.Fatalf("noticed without the side file's syncs, so the torn-tail test proves nothing about them: %v", err)
	}
	defer mustClose(t, m)
	ct.WaitLeader(t, m)
	if err := m.Group.Read(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := m.Ledger.Count(fmt.Sprintf("c%d", 2)); n != 0 {
		t.Errorf("the entry is there %d times after its tail was cut", n)
	}
}
