package storetest

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// faults are what a test asked for.
type faults struct {
	free   int64 // octets until the disk is full; negative: no end
	lie    []func(name string) bool
	fail   []failure
	onSync func(name string)
}

type failure struct {
	match func(name string) bool
	in    int // syncs until it happens
	err   error
}

func (t *faults) take(n int64) int64 {
	if t.free < 0 {
		return n
	}
	n = min(n, t.free)
	t.free -= n
	return n
}

func (t *faults) give(n int64) {
	if t.free >= 0 {
		t.free += n
	}
}

// Names of files and directories (which end in a slash), for Lie and FailSync.
var (
	Bodies      = func(name string) bool { return strings.Contains(path.Base(name), ".seg") }
	Directories = func(name string) bool { return strings.HasSuffix(name, "/") }
	Logs        = func(name string) bool { return strings.HasSuffix(name, ".log") }
	Manifests   = func(name string) bool {
		return strings.HasPrefix(path.Base(name), "MANIFEST") || strings.HasPrefix(path.Base(name), "marker")
	}
)

// Lie makes the syncs of the named files succeed and do nothing: Bodies for a build that
// does not sync bodies, Directories for one that does not sync directories.
func (y *FS) Lie(match func(name string) bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.faults.lie = append(y.faults.lie, match)
}

// FailSync makes the nth sync of the named files from now on, 1 for the next, fail.
func (y *FS) FailSync(match func(name string) bool, n int, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.faults.fail = append(y.faults.fail, failure{match, n, err})
}

// SetFree leaves so many octets of space; a negative number leaves all. What is written
// over takes none, and what is removed gives some back.
func (y *FS) SetFree(octets int64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.faults.free = octets
}

// OnSync calls fn, which may wait, while each sync runs: what is written meanwhile is not
// made durable by it.
func (y *FS) OnSync(fn func(name string)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.faults.onSync = fn
}

// Flip changes bits of a file, durably, as a disk that rots does.
func (y *FS) Flip(name string, off int64, mask byte) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := y.names[clean(name)]
	if n == nil || off < 0 || off >= int64(len(n.data)) {
		return fmt.Errorf("flip %s at %d: nothing there", name, off)
	}
	n.data[off] ^= mask
	if was := n.unsynced()[off/Sector]; int(off%Sector) < len(was) {
		was[off%Sector] ^= mask
	}
	return nil
}

// beginSync says what becomes of a sync.
func (y *FS) beginSync(name string) (hook func(name string), lies bool, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for i := range y.faults.fail {
		if f := &y.faults.fail[i]; f.match(name) {
			if f.in--; f.in == 0 {
				err = f.err
			}
		}
	}
	lies = slices.ContainsFunc(y.faults.lie, func(match func(string) bool) bool { return match(name) })
	if hook = y.faults.onSync; hook == nil {
		hook = func(string) {}
	}
	return hook, lies, err
}
