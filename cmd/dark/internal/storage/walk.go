package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func quote(s string) string { return strconv.Quote(s) }

// entry is something to copy, on either side.
type entry struct {
	rel      string // name below the folder that is copied, in "/" form
	at       location
	size     int64
	modified time.Time
	etag     string // of an object, without quotes
}

// dirBatch is how many names of a directory are read at once.
const dirBatch = 1024

// walk yields the regular files below dir in the order of keys, which is that of bytes:
// "a.b" before "a/b", as '.' is less than '/'. Symbolic links to files are followed; those
// to directories are not, as they may lead around in circles. skipped is told of what is
// neither a file nor a directory.
func walk(dir string, skipped func(path, why string)) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		w := walker{top: dir, skipped: skipped, yield: yield}
		w.directory("")
	}
}

type walker struct {
	top     string
	skipped func(path, why string)
	yield   func(entry, error) bool
}

// directory returns false when the one who reads wants no more.
func (w *walker) directory(rel string) bool {
	list, err := sortedNames(filepath.Join(w.top, filepath.FromSlash(rel)))
	if err != nil {
		return w.yield(entry{}, fmt.Errorf("read directory: %w", err))
	}
	for _, n := range list {
		if !w.one(rel+n.name, n.entry) {
			return false
		}
	}
	return true
}

type named struct {
	name  string // with "/" behind a directory's
	entry fs.DirEntry
}

func sortedNames(dir string) ([]named, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []named
	for {
		part, err := f.ReadDir(dirBatch)
		for _, d := range part {
			n := named{d.Name(), d}
			if d.IsDir() {
				n.name += "/"
			}
			list = append(list, n)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(list, func(a, b named) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

func (w *walker) one(rel string, d fs.DirEntry) bool {
	if d.IsDir() {
		return w.directory(rel)
	}
	if isTemporary(d.Name()) {
		return true
	}
	path := filepath.Join(w.top, filepath.FromSlash(rel))
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && d.Type()&fs.ModeSymlink != 0:
		w.skipped(path, "a symbolic link that leads nowhere")
		return true
	case errors.Is(err, fs.ErrNotExist): // gone since the directory was read
		return true
	case err != nil:
		return w.yield(entry{}, err)
	case st.IsDir():
		w.skipped(path, "a symbolic link to a directory")
		return true
	case !st.Mode().IsRegular():
		w.skipped(path, "not a regular file")
		return true
	}
	return w.yield(entry{rel: rel, at: location{path: path}, size: st.Size(), modified: st.ModTime()}, nil)
}
