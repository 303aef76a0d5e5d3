package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestWhoWaitsForTheDiskIsSettledTogether: the files that came while a group was being synced
// are one group, each gets its name, and one that cannot have it fails alone.
func TestWhoWaitsForTheDiskIsSettledTogether(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	put(t, filepath.Join(root.Name(), "d0", "0", "in the way"), nil)
	s := &settler{disk: systemDisk{}}
	s.mu.busy = true // a group is being synced
	const files = 50
	errs := make([]error, files)
	var all sync.WaitGroup
	for i := range files {
		from, name := fmt.Sprint("part", i), filepath.Join(fmt.Sprint("d", i%3), fmt.Sprint(i))
		if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		f, err := root.Create(from)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, i)
		x := &settling{root: root, file: f, from: from, name: name, modified: time.Unix(1e9, 0)}
		all.Go(func() { errs[i] = s.settle(x) })
	}
	for s.waiting() < files {
		runtime.Gosched()
	}
	s.lead()
	all.Wait()
	for i, err := range errs {
		b, rerr := root.ReadFile(filepath.Join(fmt.Sprint("d", i%3), fmt.Sprint(i)))
		if i == 0 && err == nil || i > 0 && (err != nil || rerr != nil || string(b) != fmt.Sprint(i)) {
			t.Errorf("%d: %v, %v, %q", i, err, rerr, b)
		}
	}
	if s.groups != 1 || s.mu.busy {
		t.Errorf("%d groups, busy %v", s.groups, s.mu.busy)
	}
}

func (s *settler) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.waiting)
}
