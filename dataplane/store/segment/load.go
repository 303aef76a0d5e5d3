package segment

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// load opens the segments that are there.
func (f *Files) load() (err error) {
	fs := f.opt.FS
	if err := makeDir(fs, f.opt.Dir); err != nil {
		return err
	}
	if f.dir, err = fs.OpenDir(f.opt.Dir); err != nil {
		return err
	}
	names, err := fs.List(f.opt.Dir)
	if err != nil {
		return err
	}
	var all []*segment
	defer func() { f.enter(all...) }() // also of an error: Open closes them
	for _, name := range names {
		if strings.HasSuffix(name, ".seg.tmp") {
			err = fs.Remove(fs.PathJoin(f.opt.Dir, name))
		} else if number, ok := numberOf(name); ok {
			var s *segment
			if s, err = f.loadSegment(number); err == nil {
				all = append(all, s)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// makeDir makes a directory and those above it, durably.
func makeDir(fs vfs.FS, dir string) error {
	above := []string{fs.PathDir(dir)} // always: who made it may have been killed before its sync
	for at := above[0]; ; at = fs.PathDir(at) {
		if _, err := fs.Stat(at); err == nil || at == fs.PathDir(at) {
			break
		}
		above = append(above, fs.PathDir(at))
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, at := range above {
		if err := syncDir(fs, at); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, name string) error {
	dir, err := fs.OpenDir(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func numberOf(name string) (number uint32, ok bool) {
	n, err := fmt.Sscanf(name, "%08d.seg", &number)
	return number, err == nil && n == 1 && name == fmt.Sprintf("%08d.seg", number)
}

func (f *Files) loadSegment(number uint32) (*segment, error) {
	file, err := f.opt.FS.OpenReadWrite(f.name(number), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	s, err := f.identify(file, number)
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("segment %d: %w", number, err)
	}
	return s, nil
}

// identify reads whose segment a file is. One without a good header is only read; its
// generation is the greatest that its extents have.
func (f *Files) identify(file vfs.File, number uint32) (*segment, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var first [page]byte
	n, err := file.ReadAt(first[:], 0)
	if n < page && info.Size() >= page {
		return nil, err
	}
	d, ok := parseIdentity(first[:])
	if ok && d.number == number {
		return newSegment(file, d), nil
	}
	f.opt.Logger.Error("a segment's header is damaged; it is only read", "file", f.name(number))
	s := newSegment(file, identity{number: number, size: max(2*page, min(info.Size()/page*page, maxSegment))})
	s.state = damaged
	s.generation.Store(newestGeneration(s))
	return s, nil
}
