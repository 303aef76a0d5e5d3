package diskroom

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// small is a disk on which one may create a file only while there is no ballast, when it
// is full.
type small struct {
	vfs.FS
	total, avail uint64
	unknown      bool
}

func (f *small) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if f.unknown {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	return vfs.DiskUsage{TotalBytes: f.total, AvailBytes: f.avail}, nil
}

func (f *small) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if _, err := f.Stat("ballast"); f.avail == 0 && err == nil {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, c)
}

func TestTheBallastIsGivenUpForAWrite(t *testing.T) {
	fs := &small{FS: vfs.NewMem(), total: 8 << 30, avail: 1 << 30}
	d := New(fs, "", 0)
	d.Measure()
	if d.Reserve() != 256<<20 {
		t.Errorf("%d octets of 8 GiB stay free", d.Reserve())
	}
	if err := d.Restock(); err != nil {
		t.Fatal(err)
	}
	fs.avail = 0
	d.Look()
	if !d.Below(1) {
		t.Error("nothing is free, and nothing is missed")
	}
	f, err := d.Relieve(fs).Create("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatalf("with a ballast to give up: %v", err)
	}
	f.Close()
	if _, err := fs.Stat("ballast"); err == nil {
		t.Error("the ballast is still there")
	}
	if err := d.Restock(); err != nil {
		t.Error(err)
	}
	if _, err := fs.Stat("ballast"); err == nil {
		t.Error("a ballast was made on a full disk")
	}
}

func TestTheBallastIsGivenUpBeforeAWrite(t *testing.T) {
	fs := &small{FS: vfs.NewMem(), total: 8 << 30, avail: 1 << 30}
	d := New(fs, "", 0)
	d.Measure()
	if d.GiveUp() {
		t.Error("a ballast was given up that nobody made")
	}
	if err := d.Restock(); err != nil {
		t.Fatal(err)
	}
	fs.avail = 0
	d.Look()
	if !d.Below(1) || !d.GiveUp() || d.GiveUp() {
		t.Error("the ballast is not given up once")
	}
	if fs.avail = 1; d.Below(1) {
		t.Error("the old answer outlives the ballast")
	}
}

func TestAnAnswerLastsATenthOfASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := &small{FS: vfs.NewMem(), avail: 10}
		d := New(fs, "", 5)
		d.Measure()
		if avail, err := d.Avail(); avail != 10 || err != nil {
			t.Fatal(avail, err)
		}
		fs.avail = 3
		time.Sleep(every)
		if d.Below(5) {
			t.Error("it looked again too early")
		}
		time.Sleep(time.Nanosecond)
		if !d.Below(5) || d.Below(3) {
			t.Error("it did not look again")
		}
		d.Believe(7, time.Hour)
		if d.Below(7) || !d.Below(8) {
			t.Error("it does not believe what it is told")
		}
		fs.unknown = true
		d.Look()
		if _, err := d.Avail(); !errors.Is(err, vfs.ErrUnsupported) || d.Below(1<<40) {
			t.Errorf("where nobody knows the space: %v", err)
		}
	})
}

// TestWithoutABallastAWriteTakesAMomentToFail: Pebble begins a failed flush again at once.
func TestWithoutABallastAWriteTakesAMomentToFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(failing{vfs.NewMem()}, "", 0)
		d.Measure()
		begin := time.Now()
		if _, err := d.FS().Create("a", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		if took := time.Since(begin); took != every {
			t.Errorf("it failed after %v", took)
		}
	})
}

// failing has no space for anything.
type failing struct{ vfs.FS }

func (failing) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, syscall.ENOSPC }
