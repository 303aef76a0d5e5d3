package storage

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// settler makes downloaded files durable: it syncs each file, gives it its name, and syncs the
// directory. A sync costs the disk about as much for many files as for one. So who comes while
// a group is being synced waits, and all who waited are the next group: their files are synced
// together, and each directory once.
type settler struct {
	mu struct {
		sync.Mutex
		waiting []*settling
		busy    bool
		// durable are directories whose own names were synced into those above them.
		durable map[string]bool
	}
	groups int // that were settled; the leader's
	disk   disk
}

// disk is what a settler asks of the file system, in this order: that files last, that they have their
// names, and that the names last. Tests record it.
type disk interface {
	syncFiles(files []*os.File) []error
	rename(root *os.Root, from, to string) error
	syncDirectory(root *os.Root, dir string) error
}

// systemDisk is the file system as it is.
type systemDisk struct{}

func (systemDisk) syncFiles(files []*os.File) []error          { return syncFiles(files) }
func (systemDisk) rename(root *os.Root, from, to string) error { return root.Rename(from, to) }

// syncDirectory makes a rename last. Windows has no such thing as syncing a directory.
func (systemDisk) syncDirectory(root *os.Root, dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// settling is one file that is complete, under a name of its own.
type settling struct {
	root       *os.Root
	file       *os.File // open; it is closed here
	from, name string   // below root
	modified   time.Time
	err        error
	done       chan struct{}
}

// waitingDownloads is how many files may wait for the disk while others are loaded. Each is open.
const waitingDownloads = 64

// settle returns when the file has its name, and keeps it through a power cut.
func (s *settler) settle(x *settling) error {
	x.done = make(chan struct{})
	s.mu.Lock()
	s.mu.waiting = append(s.mu.waiting, x)
	lead := !s.mu.busy
	s.mu.busy = true
	s.mu.Unlock()
	if lead {
		s.lead()
	}
	<-x.done
	return x.err
}

// lead settles group after group until nobody waits.
func (s *settler) lead() {
	for {
		s.mu.Lock()
		group := s.mu.waiting
		s.mu.waiting, s.mu.busy = nil, len(group) > 0
		s.mu.Unlock()
		if len(group) == 0 {
			return
		}
		s.group(group)
		for _, x := range group {
			close(x.done)
		}
	}
}

func (s *settler) group(group []*settling) {
	s.groups++
	s.syncGroup(group)
	for _, x := range group {
		x.place(s.disk)
	}
	s.syncDirectories(group)
}

// syncGroup syncs and closes the group's files.
func (s *settler) syncGroup(group []*settling) {
	files := make([]*os.File, len(group))
	for i, x := range group {
		files[i] = x.file
	}
	for i, err := range s.disk.syncFiles(files) {
		group[i].err = errors.Join(err, files[i].Close())
	}
}

// syncEach syncs the files of these numbers side by side.
func syncEach(files []*os.File, numbers []int, errs []error) {
	var each sync.WaitGroup
	for _, i := range numbers {
		each.Go(func() { errs[i] = files[i].Sync() })
	}
	each.Wait()
}

// syncDirectories makes the names last: of files, and of directories that the run may have made.
func (s *settler) syncDirectories(group []*settling) {
	type directory struct {
		root *os.Root
		name string
	}
	synced := map[directory]error{}
	for _, x := range group {
		for dir := filepath.Dir(x.name); x.err == nil; dir = filepath.Dir(dir) {
			at := directory{x.root, dir}
			if _, ok := synced[at]; !ok {
				synced[at] = s.disk.syncDirectory(x.root, dir)
			}
			x.err = synced[at]
			if dir == "." || !s.isNew(x.root, dir) {
				break
			}
		}
	}
}

// isNew says once of a directory that this run has not synced the one above it yet, which holds
// its name: the run may have made it.
func (s *settler) isNew(root *os.Root, dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(root.Name(), dir)
	if s.mu.durable[path] {
		return false
	}
	if s.mu.durable == nil {
		s.mu.durable = map[string]bool{}
	}
	s.mu.durable[path] = true
	return true
}

// place gives the file its time and its name.
func (x *settling) place(on disk) {
	if x.err == nil {
		x.err = x.root.Chtimes(x.from, x.modified, x.modified)
	}
	if x.err == nil {
		x.err = on.rename(x.root, x.from, x.name)
	}
}
