package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

// place is what stands for a row of metadata: it is durable when it is in the ledger.
type place struct {
	ref Ref
	n   int
}

// ledger is what was acknowledged and is needed.
type ledger struct {
	mu     sync.Mutex
	rows   map[int]place
	graves []grave // extents of this life that were freed or moved
	next   int
	moved  int
}

type grave struct {
	place
	i int
}

func (l *ledger) take() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next++
	return l.next
}

func (l *ledger) put(i int, p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[i] = p
}

// any is a row by chance, and an extent that is gone.
func (l *ledger) any() (i int, p place, g grave) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, p = range l.rows {
		break
	}
	if len(l.graves) > 0 {
		g = l.graves[rand.IntN(len(l.graves))]
	}
	return i, p, g
}

func (l *ledger) has(i int, p place) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[i] == p
}

// remove is the commit of a deletion.
func (l *ledger) remove(i int) (p place, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok = l.rows[i]
	delete(l.rows, i)
	l.graves = append(l.graves, grave{p, i})
	return p, ok
}

// move is what Compact hands over to.
func (l *ledger) move(moves []Move) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for j, m := range moves {
		i := int(m.Header.Sequence)
		if p, ok := l.rows[i]; ok && p.ref == m.From {
			l.rows[i] = place{m.To, p.n}
			l.graves = append(l.graves, grave{p, i})
			moves[j].Taken = true
			l.moved++
		}
	}
	return nil
}

// life is one run of the Files, until the machine loses power.
type life struct {
	seed   uint64
	f      *Files
	ledger *ledger
	mu     sync.Mutex
	wrong  error
}

func (v *life) fail(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.wrong == nil {
		v.wrong = fmt.Errorf(format, args...)
	}
}

// work writes, reads, frees and compacts by chance. Errors of a failed sync and of a full
// disk are no one's fault; a wrong octet is.
func (v *life) work(worker uint64, steps int) {
	chance := rand.New(rand.NewPCG(v.seed, worker))
	for range steps {
		switch k := chance.IntN(10); {
		case k < 5:
			v.write(chance)
		case k < 7:
			v.read()
		case k < 9:
			if i, _, _ := v.ledger.any(); i != 0 {
				if p, ok := v.ledger.remove(i); ok {
					v.f.Free(p.ref)
				}
			}
		default:
			v.compact()
		}
	}
}

func (v *life) write(chance *rand.Rand) {
	n := chance.IntN(10_000)
	if chance.IntN(8) == 0 {
		n = chance.IntN(40_000)
	}
	i, reserve := v.ledger.take(), n
	if chance.IntN(2) == 0 {
		reserve = 40_000
	}
	r, err := write(v.f, i, n, reserve)
	if err == nil {
		err = v.f.Sync(context.Background(), r)
	}
	switch {
	case err == nil:
		v.ledger.put(i, place{r, n})
	case !errors.Is(err, ErrReadOnly) && !errors.Is(err, syscall.ENOSPC):
		v.fail("write: %w", err)
	}
}

func (v *life) read() {
	i, p, g := v.ledger.any()
	if i != 0 {
		if err := readBack(v.f, p, i); err != nil && v.ledger.has(i, p) {
			v.fail("read: %w", err)
		}
	}
	if g.i != 0 {
		if err := readBack(v.f, g.place, g.i); err != nil && !errors.Is(err, ErrStale) {
			v.fail("an extent that is gone: %w", err)
		}
	}
}

func (v *life) compact() {
	candidates := v.f.Candidates(0.7)
	if len(candidates) == 0 {
		return
	}
	err := v.f.Compact(context.Background(), candidates[0].Number, nil, v.ledger.move)
	if err != nil && v.f.Err() == nil && !errors.Is(err, syscall.ENOSPC) {
		v.fail("compact: %w", err)
	}
}

// readBack reads an extent: its own octets or an error.
func readBack(f *Files, p place, i int) error {
	got := make([]byte, p.n)
	if _, err := f.Read(p.ref, got, 0); err != nil {
		return fmt.Errorf("extent %d: %w", i, err)
	}
	if !bytes.Equal(got, octets(i, p.n)) {
		return fmt.Errorf("extent %d at %v has other octets", i, p.ref)
	}
	return nil
}

// begin opens what a crash left, finds every acknowledged extent by its place and by
// walking, and nothing that nobody wrote.
func begin(fs *storetest.FS, seed uint64, l *ledger, blind bool) (*life, error) {
	f, err := Open(Options{FS: fs, Dir: "/data/segments", Size: 128 << 10, Spare: int(seed%3) - 1, blind: blind})
	if err != nil {
		return nil, err
	}
	v := &life{seed: seed, f: f, ledger: l}
	if err = v.recover(seed%2 == 0); err != nil {
		_ = f.Close()
		return nil, err
	}
	f.Resume()
	return v, nil
}

func (v *life) recover(rebuild bool) error {
	found := map[int]place{}
	err := v.f.Walk(func(r Ref, h Header) error {
		i, n := int(h.Sequence), int(h.Sealed)
		if h.ID != idOf(i) {
			return fmt.Errorf("walk: %v is %x", r, h.ID)
		}
		found[i] = place{r, n}
		return readBack(v.f, found[i], i)
	}, nil)
	if err != nil {
		return err
	}
	for i, p := range v.ledger.rows {
		if _, ok := found[i]; !ok {
			return fmt.Errorf("walk does not find extent %d at %v", i, p.ref)
		}
		if rebuild {
			p = found[i]
			v.ledger.rows[i] = p
		}
		if err := v.f.Adopt(p.ref); err != nil {
			return err
		}
		if err := readBack(v.f, p, i); err != nil {
			return err
		}
		if h, err := v.f.Verify(p.ref); err != nil || h.ID != idOf(i) {
			return fmt.Errorf("verify extent %d: %x, %w", i, h.ID, err)
		}
	}
	return nil
}

// crash cuts the power while the workers run.
func (v *life) crash(fs *storetest.FS, percent int) (*storetest.FS, *ledger) {
	v.ledger.mu.Lock()
	defer v.ledger.mu.Unlock()
	after := &ledger{rows: map[int]place{}, next: v.ledger.next + 1000}
	for i, p := range v.ledger.rows {
		after.rows[i] = p
	}
	return fs.CrashClone(percent, v.seed), after
}

type control struct {
	lie   func(string) bool
	blind bool
}

// lives runs some lives one after the other and says what went wrong.
func lives(seed uint64, c control) error {
	fs, l := storetest.New(), &ledger{rows: map[int]place{}}
	for n := range uint64(3) {
		if c.lie != nil {
			fs.Lie(c.lie)
		}
		v, err := begin(fs, seed*3+n, l, c.blind)
		if err != nil {
			return fmt.Errorf("life %d: %w", n, err)
		}
		if seed%5 == 0 {
			fs.FailSync(storetest.Bodies, 10+int(seed%31), syscall.EIO)
		}
		fs, l = v.run(fs, int(seed%3)*50)
		if v.wrong != nil {
			return fmt.Errorf("life %d: %w", n, v.wrong)
		}
	}
	v, err := begin(fs, seed*3, l, c.blind)
	if err != nil {
		return fmt.Errorf("after the last life: %w", err)
	}
	return v.f.Close()
}

// run lets the workers go and crashes when one of them is through.
func (v *life) run(fs *storetest.FS, percent int) (*storetest.FS, *ledger) {
	first := make(chan struct{})
	var once sync.Once
	var all sync.WaitGroup
	for w := range uint64(4) {
		all.Go(func() {
			v.work(w, 30)
			once.Do(func() { close(first) })
		})
	}
	<-first
	after, l := v.crash(fs, percent)
	all.Wait()
	if err := v.f.Close(); err != nil {
		v.fail("close: %w", err)
	}
	return after, l
}

// seeds are 200, fewer under the race detector, or what DARK_SEEDS says.
func seeds(t *testing.T) (n uint64) {
	if s := os.Getenv("DARK_SEEDS"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if raceDetector {
		return 50
	}
	return 200
}

func TestWhatWasAcknowledgedOutlivesThePower(t *testing.T) {
	for seed := range seeds(t) {
		if err := lives(seed, control{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestBrokenBuildsAreCaught(t *testing.T) {
	for name, c := range map[string]control{
		"no body sync":        {lie: storetest.Bodies},
		"no directory sync":   {lie: storetest.Directories},
		"no generation check": {blind: true},
	} {
		caught, first := 0, error(nil)
		for seed := range uint64(20) {
			if err := lives(seed, c); err != nil {
				caught++
				first = err
			}
		}
		if caught == 0 {
			t.Errorf("%s: not caught within 20 seeds", name)
		}
		t.Logf("%s: caught by %d of 20 seeds, as: %v", name, caught, first)
	}
}
