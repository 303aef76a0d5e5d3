package store

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
)

// small is a small store as it lies on a disk when its process was killed: rows in a table
// and rows only in the log, bodies inline and in a segment, versions, markers, deletions.
type small struct {
	files map[string][]byte
	opt   Options
	want  []reply
}

// reply is what a store says to a question.
type reply struct {
	question, said string
	err            error
}

const (
	smallBody = InlineSize + 1 // the least that goes to a segment
	smallPage = 4096
)

func newSmall(t testing.TB) *small {
	t.Helper()
	fs := vfs.NewMem()
	m := &small{files: map[string][]byte{}, opt: testOptions(fs)}
	m.opt.SegmentSize = minSegment
	s := open(t, m.opt)
	p := at(t, s, space1)
	put(t, p, "inline", pattern(20, 1))
	first := stack(t, p, "versions", "1", false)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, p, "large", pattern(smallBody, 2))
	stack(t, p, "versions", "2", false)
	stack(t, p, "versions", "3", false)
	stack(t, p, "versions", "", true)
	commit(t, p, Op{Kind: Delete, Key: []byte("versions"), Version: first})
	put(t, p, "deleted", nil)
	commit(t, p, Op{Kind: Delete, Key: []byte("deleted")})
	commit(t, p, Op{Kind: Amend, Key: []byte("inline"), Value: []byte("amended"), Flags: 7})
	put(t, p, "last", pattern(smallBody, 4))
	eventually(t, "the spare segment is there", func() bool { return s.files.Stats().Ready == 1 })
	var err error
	if m.want, err = ask(s); err != nil {
		t.Fatal(err)
	}
	for _, name := range filesOf(t, fs, "store") {
		m.files[name] = contentOf(t, fs, name)
	}
	return m
}

func stack(t testing.TB, p *Space, key, content string, marker bool) Version {
	t.Helper()
	op := putOp(key, body(t, p, Sealing{}, []byte(content)))
	op.Kind, op.Marker = Stack, marker
	return commit(t, p, op)[0].Version
}

func filesOf(t testing.TB, fs vfs.FS, dir string) (all []string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		if info, err := fs.Stat(path); err == nil && info.IsDir() {
			all = append(all, filesOf(t, fs, path)...)
		} else if err == nil {
			all = append(all, path)
		}
	}
	return all
}

func contentOf(t testing.TB, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// disk is a new disk with the store's files, of which one is changed.
func (m *small) disk(name string, changed []byte) (vfs.FS, error) {
	fs := vfs.NewMem()
	for _, dir := range []string{"store/rows", "store/segments"} {
		if err := fs.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	for each, content := range m.files {
		if each == name {
			content = changed
		}
		f, err := fs.Create(each, vfs.WriteCategoryUnspecified)
		if err != nil {
			return nil, err
		}
		// It changes what it is given.
		if _, err := f.Write(bytes.Clone(content)); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return fs, nil
}

// ask asks a store for everything: each row, each body, both listings, what is not there,
// and the usage. The error is one of asking.
func ask(s *Store) (all []reply, err error) {
	p, err := s.At(space1)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"inline", "large", "deleted", "versions", "last", "never there"} {
		all = append(all, askRow(p, key, Current, true), askRow(p, key, Null, false))
	}
	for _, versions := range []bool{false, true} {
		all = append(all, askList(p, versions)...)
	}
	u, err := p.Usage()
	return append(all, reply{"usage", fmt.Sprint(u), err}), nil
}

func askRow(p *Space, key string, v Version, content bool) reply {
	a := reply{question: fmt.Sprintf("row %s %d", key, v)}
	row, err := p.Get(context.Background(), []byte(key), v)
	if errors.Is(err, ErrNotFound) {
		a.said = "not there"
		return a
	}
	if err != nil {
		a.err = err
		return a
	}
	a.said = fmt.Sprintf("%s %q", header(row), row.Value)
	if content {
		var sum []byte
		sum, a.err = sumOf(p, row.Body)
		a.said += fmt.Sprintf(" %x", sum)
	}
	return a
}

func sumOf(p *Space, b Body) ([]byte, error) {
	r, err := p.Read(context.Background(), b, Sealing{}, 0, b.Len())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	_, err = r.WriteTo(h)
	return h.Sum(nil), err
}

func header(r Row) string {
	return fmt.Sprint(string(r.Key), r.Version, r.Null, r.Marker, r.Current, string(r.Tag), r.Size, r.Flags,
		r.Time.UnixNano(), r.Amended, r.Body.Len())
}

// askList lists, and reads each version that it finds.
func askList(p *Space, versions bool) (all []reply) {
	list := reply{question: fmt.Sprintf("list, versions %v", versions)}
	c, err := p.Scan(ScanOptions{Versions: versions})
	if err != nil {
		list.err = err
		return []reply{list}
	}
	defer c.Close()
	for c.Next() {
		value, err := c.Value()
		if err != nil {
			list.err = err
		}
		list.said += fmt.Sprintf("%s %q\n", header(c.Row()), value)
		if versions {
			all = append(all, askRow(p, string(c.Row().Key), c.Row().Version, !c.Row().Current))
		}
	}
	if c.Err() != nil {
		list.err = c.Err()
	}
	return append(all, list)
}

// verdict is what became of a store after something happened to it.
type verdict int

const (
	same verdict = iota
	refused
	other
)

// judge compares answers with those before. Where a list was refused those after it may
// be fewer; all others must be there.
func (m *small) judge(got []reply) (v verdict, why error) {
	have := map[string]reply{}
	for _, a := range got {
		have[a.question] = a
	}
	for _, want := range m.want {
		a, ok := have[want.question]
		switch {
		case !ok && have["list, versions true"].err == nil:
			return other, fmt.Errorf("%s: not asked, since it is in no list", want.question)
		case !ok:
		case a.err == nil && a.said != want.said:
			return other, fmt.Errorf("%s: it says %s and said %s", want.question, a.said, want.said)
		case a.err != nil && !names(a.err):
			return other, fmt.Errorf("%s: refused, and what is damaged is not named: %w", want.question, a.err)
		case a.err != nil:
			v, why = refused, a.err
		}
		delete(have, want.question)
	}
	for question, a := range have {
		if a.err == nil {
			return other, fmt.Errorf("%s: it was not there before: %s", question, a.said)
		}
	}
	return v, why
}

// named is what an error has that says which file, row, extent or key is damaged; Pebble
// says "file 000005" of a table.
var named = regexp.MustCompile(
	`\d+\.(sst|log|seg)|(MANIFEST|OPTIONS)-\d+|(file|table) \d{6}|store/floor|the rows' log in|row ".+" version|extent [0-9a-f]{32}|epoch \d+ of|usage of space`)

func names(err error) bool {
	var d *Damaged
	return errors.As(err, &d) && named.MatchString(err.Error())
}

// opened judges a store with one changed file by opening it.
func (m *small) opened(o Options, name string, changed []byte) (verdict, error) {
	fs, err := m.disk(name, changed)
	if err != nil {
		return other, err
	}
	o.FS, o.control.calm = fs, true // it would read damaged tables again and again
	s, err := Open(o)
	if err != nil {
		if !names(err) {
			return other, fmt.Errorf("refused, and what is damaged is not named: %w", err)
		}
		if strings.Contains(err.Error(), "was durable") && !m.untouched(fs, name, changed) {
			return other, fmt.Errorf("refused, and what people may yet restore was changed: %w", err)
		}
		return refused, err
	}
	defer s.Close()
	s.offline = true // nobody needs this disk any more: Close need not flush
	got, err := ask(s)
	if err != nil {
		return other, err
	}
	return m.judge(got)
}

// untouched says whether a disk still has what disk gave it.
func (m *small) untouched(fs vfs.FS, name string, changed []byte) bool {
	for each, want := range m.files {
		if each == name {
			want = changed
		}
		f, err := fs.Open(each)
		if err != nil {
			return false
		}
		got, err := io.ReadAll(f)
		f.Close()
		if err != nil || !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}

// tallied counts verdicts. All methods may be called by any goroutine.
type tallied struct {
	mu sync.Mutex
	n  map[string][3]int // of each kind of file
	// example of each, with numbers left out
	examples map[string]string
	wrong    []error
}

func (y *tallied) add(name, place string, v verdict, why error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.n == nil {
		y.n, y.examples = map[string][3]int{}, map[string]string{}
	}
	kind := kindOf(name)
	n := y.n[kind]
	n[v]++
	y.n[kind] = n
	if v == other {
		y.wrong = append(y.wrong, fmt.Errorf("%s %s: %w", name, place, why))
	}
	if v == refused {
		y.examples[kind] = why.Error()
	}
}

var digits = regexp.MustCompile(`\d+`)

func kindOf(name string) string {
	return digits.ReplaceAllString(name[strings.LastIndexByte(name, '/')+1:], "#")
}

// total gives all verdicts, and logs those of each kind of file.
func (y *tallied) total(t testing.TB) (sum [3]int) {
	t.Helper()
	for _, kind := range slices.Sorted(maps.Keys(y.n)) {
		n := y.n[kind]
		t.Logf("%s: %d the same, %d refused, %d other, such as: %.200s", kind, n[same], n[refused], n[other],
			y.examples[kind])
		for v := range sum {
			sum[v] += n[v]
		}
	}
	return sum
}

// flips are the octets of a file that are flipped: all of them, but of the zeros of a
// segment (behind what was written, and in the first page behind both headers) one of each
// page.
func (m *small) flips(name string) (all []int64) {
	content := m.files[name]
	segment := strings.HasSuffix(name, ".seg")
	end := len(bytes.TrimRight(content, "\x00")) + 200
	for off := range len(content) {
		header := off%2048 < 100
		if !segment || off%smallPage == 1234 || off < end && (off >= smallPage || header) {
			all = append(all, int64(off))
		}
	}
	return all
}

func mask(off int64) byte { return 1 << (off % 8) }

func flipped(content []byte, off int64) []byte {
	content = bytes.Clone(content)
	content[off] ^= mask(off)
	return content
}

// TestEveryFlippedOctetBites: one octet of a file of a small store is another one, for each
// octet of each file: the store says what it said, or names what is damaged; never another
// thing, and nothing that was acknowledged is missing in silence. With the checks off (the
// control) it does say other things.
//
// For each octet of a file other than a segment, and of a segment's first page, the store
// is opened anew. The rest of a segment is not read before somebody asks: its octets are
// flipped under a store that is open, and a scrub, too, must find each that matters.
func TestEveryFlippedOctetBites(t *testing.T) {
	m := newSmall(t)
	var y tallied
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		all := thinned(m.flips(name))
		reopened := all
		if strings.HasSuffix(name, ".seg") {
			first, _ := slices.BinarySearch(all, smallPage)
			m.flipUnderOpen(t, &y, name, all[first:])
			reopened = all[:first]
		}
		each(reopened, func(off int64) {
			v, why := m.opened(m.opt, name, flipped(m.files[name], off))
			y.add(name, fmt.Sprintf("at %d", off), v, why)
		})
	}
	n := y.total(t)
	t.Logf("every %dth octet of %d files: %d flipped; %d times the same answers, %d times refused by name, %d times "+
		"another",
		flipStride(), len(m.files), n[same]+n[refused]+n[other], n[same], n[refused], n[other])
	for _, err := range y.wrong[:min(len(y.wrong), 20)] {
		t.Error(err)
	}
	if n[refused]*3 < n[same] {
		t.Errorf("only %d were noticed", n[refused])
	}
	t.Run("control", m.flipsUnchecked)
}

// flipStride is 1 where the environment asks for seeds, as CI does: each octet is flipped.
// Otherwise it is one of so many.
func flipStride() int { return 1 + (usualStride-1)/seeds(1) }

func thinned(all []int64) (some []int64) {
	for i := 0; i < len(all); i += flipStride() {
		some = append(some, all[i])
	}
	return some
}

// each calls f for each, of four at a time.
func each(all []int64, f func(off int64)) {
	var group sync.WaitGroup
	for from := range 4 {
		group.Go(func() {
			for i := from; i < len(all); i += 4 {
				f(all[i])
			}
		})
	}
	group.Wait()
}

// flipUnderOpen flips octets of a segment under an open store.
func (m *small) flipUnderOpen(t *testing.T, y *tallied, name string, all []int64) {
	t.Helper()
	var group sync.WaitGroup
	for half := range 2 {
		fs, err := m.disk("", nil)
		if err != nil {
			t.Fatal(err)
		}
		o := m.opt
		o.FS = fs
		s := open(t, o)
		group.Go(func() {
			for i := half; i < len(all); i += 2 {
				flipWith(t, fs, name, all[i])
				v, why := m.askedAndScrubbed(s)
				y.add(name, fmt.Sprintf("at %d", all[i]), v, why)
				flipWith(t, fs, name, all[i])
			}
		})
	}
	group.Wait()
}

// askedAndScrubbed: what is refused the scrub finds; it may find more, such as headers,
// which reading does without.
func (m *small) askedAndScrubbed(s *Store) (verdict, error) {
	got, err := ask(s)
	if err != nil {
		return other, err
	}
	v, why := m.judge(got)
	var found error
	if _, err := s.Scrub(context.Background(), func(_ Progress, d *Damaged) {
		if d != nil {
			found = d
		}
	}); err != nil {
		return other, err
	}
	switch {
	case v == refused && found == nil:
		return other, fmt.Errorf("scrub does not find it: %w", why)
	case v == same && found != nil && !names(found):
		return other, fmt.Errorf("scrub does not name it: %w", found)
	case v == same && found != nil:
		return refused, found
	}
	return v, why
}

func flipWith(t testing.TB, fs vfs.FS, name string, off int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Error(err)
		return
	}
	b[0] ^= mask(off)
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Error(err)
	}
}

// flipsUnchecked is the control: bodies are decrypted and not authenticated, and nobody
// looks at the floor and the manifest. Other octets must come back, and rows be missing.
func (m *small) flipsUnchecked(t *testing.T) {
	o := m.opt
	o.control.unchecked, o.control.unsealed = true, unauthenticated
	for _, kind := range []string{".seg", ".log"} {
		var y tallied
		for _, name := range slices.Sorted(maps.Keys(m.files)) {
			if !strings.HasSuffix(name, kind) {
				continue
			}
			all := m.flips(name)
			some := make([]int64, 0, 40)
			for i := 0; i < len(all); i += len(all)/40 + 1 {
				some = append(some, all[i])
			}
			each(some, func(off int64) {
				v, why := m.opened(o, name, flipped(m.files[name], off))
				y.add(name, fmt.Sprintf("at %d", off), v, why)
			})
		}
		n := y.total(t)
		if n[other] == 0 {
			t.Errorf("%s: without checks, too, nothing is another: the test does not bite", kind)
		}
		for _, err := range y.wrong[:min(1, len(y.wrong))] {
			t.Logf("%s: %d times another, as: %.300s", kind, n[other], err)
		}
	}
}

// unauthenticated decrypts a chunk and leaves its tag alone: AES-GCM's counter begins at 2
// for the first block (NIST SP 800-38D 7.1).
func unauthenticated(key *seal.Key, chunk int64, sealed []byte) []byte {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a wrong key size
	}
	var iv [16]byte
	binary.BigEndian.PutUint64(iv[4:], uint64(chunk))
	iv[15] = 2
	clear := sealed[:len(sealed)-seal.Overhead]
	cipher.NewCTR(block, iv[:]).XORKeyStream(clear, clear)
	return clear
}
