package zones

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

const (
	// sortMemory is how many octets of records a sorter holds before it writes them out.
	sortMemory = 16 << 20
	// maxRecords bounds an import, and with it the room that it takes on disk.
	maxRecords = 20_000_000
	recordCost = 64      // octets that a record costs beside its texts
	roomStep   = 1 << 20 // octets that a sorter asks for at a time
)

// entry is one record on its way into a set.
type entry struct {
	key  string // OWNER/TYPE as stored names end
	text string
	ttl  uint32

	line, column uint32
}

func (a entry) compare(b entry) int {
	if c := strings.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
}

// sorter brings records into the order of stored names within bounded memory: what
// does not fit is written as sorted runs to temporary files, which are merged.
type sorter struct {
	dir    string
	memory int
	take   func(octets int64) error // asks for room for more records; nil: there is
	room   int64                    // octets asked for that no record has yet
	cur    []entry
	size   int
	runs   []*os.File
	total  uint64
}

func (s *sorter) add(e entry) error {
	if s.total++; s.total > maxRecords {
		return fmt.Errorf("line %d: a file may have at most %d records", e.line, maxRecords)
	}
	size := len(e.key) + len(e.text) + recordCost
	if s.room -= int64(size); s.room < 0 && s.take != nil {
		if err := s.take(roomStep); err != nil {
			return err
		}
		s.room += roomStep
	}
	s.cur = append(s.cur, e)
	s.size += size
	if s.size < s.memory {
		return nil
	}
	return s.spill()
}

// spill writes what is held as a sorted run. The file has no name any more, so that
// nothing stays behind however the process ends.
func (s *sorter) spill() error {
	slices.SortFunc(s.cur, entry.compare)
	f, err := os.CreateTemp(s.dir, "dark-import-")
	if err != nil {
		return fmt.Errorf("sort records: %w", err)
	}
	s.runs = append(s.runs, f)
	if err := os.Remove(f.Name()); err != nil {
		return fmt.Errorf("sort records: %w", err)
	}
	w := bufio.NewWriterSize(f, 256<<10)
	for _, e := range s.cur {
		if err := writeEntry(w, e); err != nil {
			return fmt.Errorf("sort records: %w", err)
		}
	}
	clear(s.cur)
	s.cur, s.size = s.cur[:0], 0
	return w.Flush()
}

func writeEntry(w *bufio.Writer, e entry) error {
	var b [20]byte
	binary.BigEndian.PutUint32(b[:], uint32(len(e.key)))
	binary.BigEndian.PutUint32(b[4:], uint32(len(e.text)))
	binary.BigEndian.PutUint32(b[8:], e.ttl)
	binary.BigEndian.PutUint32(b[12:], e.line)
	binary.BigEndian.PutUint32(b[16:], e.column)
	if _, err := w.Write(b[:]); err != nil {
		return err
	}
	if _, err := w.WriteString(e.key); err != nil {
		return err
	}
	_, err := w.WriteString(e.text)
	return err
}

func readEntry(r *bufio.Reader) (entry, error) {
	var b [20]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return entry{}, err // io.EOF at the end of a run
	}
	n, m := int(binary.BigEndian.Uint32(b[:])), int(binary.BigEndian.Uint32(b[4:]))
	text := make([]byte, n+m)
	if _, err := io.ReadFull(r, text); err != nil {
		return entry{}, io.ErrUnexpectedEOF
	}
	s := string(text)
	return entry{
		s[:n], s[n:], binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]),
		binary.BigEndian.Uint32(b[16:]),
	}, nil
}

// close frees the files.
func (s *sorter) close() {
	for _, f := range s.runs {
		f.Close()
	}
}

// source is one sorted run while runs are merged.
type source struct {
	mem  []entry
	file *bufio.Reader
	head entry
}

func (s *source) next() (bool, error) {
	if s.file == nil {
		if len(s.mem) == 0 {
			return false, nil
		}
		s.head, s.mem = s.mem[0], s.mem[1:]
		return true, nil
	}
	e, err := readEntry(s.file)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	s.head = e
	return err == nil, err
}

// merge is a heap of sources by their heads.
type merge []*source

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i].head.compare(m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)        { *m = append(*m, x.(*source)) }
func (m *merge) Pop() any {
	old := *m
	x := old[len(old)-1]
	*m = old[:len(old)-1]
	return x
}

// sorted begins to read all entries in order; it may be called again after the end.
func (s *sorter) sorted() (*merge, error) {
	slices.SortFunc(s.cur, entry.compare)
	m := &merge{}
	srcs := []*source{{mem: s.cur}}
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("sort records: %w", err)
		}
		srcs = append(srcs, &source{file: bufio.NewReaderSize(f, 64<<10)})
	}
	for _, src := range srcs {
		ok, err := src.next()
		if err != nil {
			return nil, fmt.Errorf("sort records: %w", err)
		}
		if ok {
			heap.Push(m, src)
		}
	}
	return m, nil
}

// pop returns the least entry; false at the end.
func (m *merge) pop() (entry, bool, error) {
	if m.Len() == 0 {
		return entry{}, false, nil
	}
	src := (*m)[0]
	e := src.head
	ok, err := src.next()
	if err != nil {
		return e, false, fmt.Errorf("sort records: %w", err)
	}
	if ok {
		heap.Fix(m, 0)
	} else {
		heap.Pop(m)
	}
	return e, true, nil
}
