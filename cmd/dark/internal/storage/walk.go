package storage

import (
	"errors"
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
	version  string // of an object, where one was asked for; empty is the latest
}

// dirBatch is how many names of a directory are read at once.
const dirBatch = 1024

// walking is how a directory is walked.
type walking struct {
	// skipped is told of what is neither a file nor a directory, and of links that are not
	// followed; failed of what cannot be read. The walk goes on without either.
	skipped func(path, why string)
	failed  func(path string, err error)
	// follow: symbolic links to directories are followed, but for one that leads to a directory
	// that it stands in.
	follow bool
}

// walk yields the regular files below dir in the order of keys, which is that of bytes:
// "a.b" before "a/b", as '.' is less than '/'. Symbolic links to files are followed.
func walk(dir string, how walking) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		w := walker{top: dir, walking: how, yield: yield}
		w.directory("")
	}
}

type walker struct {
	walking
	top   string
	yield func(entry, error) bool
	above []fs.FileInfo // the directories on the way here, where links are followed
}

// directory returns false when the one who reads wants no more.
func (w *walker) directory(rel string) bool {
	path := filepath.Join(w.top, filepath.FromSlash(rel))
	if w.follow {
		st, err := os.Stat(path)
		if err != nil {
			w.failed(path, err)
			return true
		}
		if slices.ContainsFunc(w.above, func(a fs.FileInfo) bool { return os.SameFile(a, st) }) {
			w.skipped(path, "a symbolic link to a directory that it is in")
			return true
		}
		w.above = append(w.above, st)
		defer func() { w.above = w.above[:len(w.above)-1] }()
	}
	list, err := w.sortedNames(path)
	if err != nil {
		w.failed(path, err)
		return true
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

func (w *walker) sortedNames(dir string) ([]named, error) {
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
			if d.IsDir() || w.follow && d.Type()&fs.ModeSymlink != 0 && leadsToDirectory(filepath.Join(dir, d.Name())) {
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

func leadsToDirectory(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func (w *walker) one(rel string, d fs.DirEntry) bool {
	if strings.HasSuffix(rel, "/") {
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
		w.failed(path, err)
		return true
	case st.IsDir():
		w.skipped(path, "a symbolic link to a directory; --follow follows it")
		return true
	case !st.Mode().IsRegular():
		w.skipped(path, "not a regular file")
		return true
	}
	return w.yield(entry{rel: rel, at: location{path: path}, size: st.Size(), modified: st.ModTime()}, nil)
}
