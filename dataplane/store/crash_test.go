package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

// ledger is what was acknowledged, and what was under way. It is locked while the power
// is cut, so that nothing begins or is acknowledged in that moment.
type ledger struct {
	mu   sync.Mutex
	keys map[string]*entry
	acks int
	off  bool
}

// entry is a key's content: nil for none. Each key has one worker, so at most one write is
// under way.
type entry struct {
	acked, pending content
	open           bool
}

// content is what a body was made of.
type content string

func made(seed, n int) content { return content(fmt.Sprintf("%d %d", seed, n)) }

func (c content) octets() []byte {
	var seed, n int
	_, _ = fmt.Sscan(string(c), &seed, &n)
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(n), byte(n >> 8)})
	_, _ = r.Read(b)
	return b
}

var errPower = errors.New("the power is off")

// begin notes what is about to be written.
func (l *ledger) begin(want map[string]content) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return errPower
	}
	for k, c := range want {
		if l.keys[k] == nil {
			l.keys[k] = &entry{}
		}
		l.keys[k].pending, l.keys[k].open = c, true
	}
	return nil
}

func (l *ledger) ack(want map[string]content) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		return // nobody heard it
	}
	l.acks++
	for k, c := range want {
		l.keys[k].acked, l.keys[k].open = c, false
	}
}

// crashRun is one seed: some rounds of work, each ended by a cut of the power.
type crashRun struct {
	seed    uint64
	rng     *rand.Rand
	control control
	lie     func(string) bool
	led     *ledger
	fs      *storetest.FS
	opt     Options
}

const (
	crashRounds  = 2
	crashWorkers = 2
	crashOps     = 25 // of a worker in a round
)

func newCrashRun(seed uint64) *crashRun {
	r := &crashRun{seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), fs: storetest.New()}
	r.led = &ledger{keys: map[string]*entry{}}
	r.opt = testOptions(nil)
	r.opt.SegmentSize = 1 << 20
	r.opt.MoveRate = -1
	if seed%2 == 1 {
		r.opt.DiskKey = &[32]byte{byte(seed)}
	}
	return r
}

// run gives what is wrong after a crash; nil if nothing is.
func (r *crashRun) run() error {
	for round := range crashRounds {
		if err := r.round(round); err != nil {
			return fmt.Errorf("seed %d round %d: %w", r.seed, round, err)
		}
	}
	return nil
}

func (r *crashRun) round(round int) error {
	r.opt.FS, r.opt.control = r.fs, r.control
	s, err := Open(r.opt)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if r.lie != nil {
		r.fs.Lie(r.lie)
	}
	var once sync.Once
	var after *storetest.FS
	percent := []int{0, 50, 100}[r.rng.IntN(3)]
	cut := func() {
		once.Do(func() {
			r.led.mu.Lock()
			defer r.led.mu.Unlock()
			after = r.fs.CrashClone(percent, r.seed)
			r.led.off = true
		})
	}
	left, mu := 1+r.rng.IntN(40), sync.Mutex{}
	r.fs.OnSync(func(string) {
		mu.Lock()
		left--
		now := left == 0
		mu.Unlock()
		if now {
			cut()
		}
	})
	var group sync.WaitGroup
	fails := make([]error, crashWorkers)
	for w := range crashWorkers {
		rng := rand.New(rand.NewPCG(r.seed, uint64(round*100+w+2)))
		group.Go(func() { fails[w] = r.work(s, w, rng) })
	}
	group.Wait()
	cut()
	r.fs.OnSync(nil)
	s.Close()
	if err := errors.Join(fails...); err != nil {
		return err
	}
	r.fs, r.led.off = after, false
	if err := r.verify(); err != nil {
		return &lost{err}
	}
	return nil
}

// lost is what the check after a crash found.
type lost struct{ error }

func (l *lost) Unwrap() error { return l.error }

// work does random things to keys of its own until the power goes.
func (r *crashRun) work(s *Store, w int, rng *rand.Rand) error {
	p, err := s.At(space1)
	if err != nil {
		return err
	}
	for range crashOps {
		err := r.step(s, p, w, rng)
		if errors.Is(err, errPower) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("worker %d: %w", w, err)
		}
	}
	return nil
}

func (r *crashRun) step(s *Store, p *Space, w int, rng *rand.Rand) error {
	key := fmt.Sprintf("%d/%d", w, rng.IntN(6))
	switch rng.IntN(10) {
	case 0, 1, 2:
		return r.put(p, key, made(rng.IntN(1<<16), rng.IntN(8000)))
	case 3, 4, 5:
		return r.put(p, key, made(rng.IntN(1<<16), InlineSize+rng.IntN(120_000)))
	case 6:
		return r.commit(p, map[string]content{key: ""}, Op{Kind: Delete, Key: []byte(key), Idempotent: true})
	case 7:
		return r.copy(p, fmt.Sprintf("%d/%d", w, rng.IntN(6)), key)
	case 8:
		return s.Maintain(context.Background())
	}
	return r.join(p, w, rng)
}

func (r *crashRun) commit(p *Space, want map[string]content, ops ...Op) error {
	if err := r.led.begin(want); err != nil {
		return err
	}
	if _, err := p.Commit(context.Background(), ops...); err != nil {
		return err
	}
	r.led.ack(want)
	return nil
}

func (r *crashRun) put(p *Space, key string, c content) error {
	all := c.octets()
	b, err := write(p, Sealing{}, all, []int64{-1, int64(len(all))}[len(all)%2])
	if err != nil {
		return err
	}
	return r.commit(p, map[string]content{key: c}, crashOp(key, c, b))
}

func crashOp(key string, c content, b Body) Op {
	return Op{Kind: Put, Key: []byte(key), Value: []byte(c), Size: b.Len(), Body: b, Counts: true}
}

func (r *crashRun) copy(p *Space, from, to string) error {
	row, err := p.Get(context.Background(), []byte(from), Current)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.commit(p, map[string]content{to: content(row.Value)}, crashOp(to, content(row.Value), row.Body))
}

// join uploads two parts and completes them. The parts go with the command that makes
// the whole.
func (r *crashRun) join(p *Space, w int, rng *rand.Rand) error {
	key := fmt.Sprintf("%d/%d", w, rng.IntN(6))
	part := fmt.Sprintf("upload/%d/", w)
	c := made(rng.IntN(1<<16), 20_000+rng.IntN(50_000))
	all := c.octets()
	cut := rng.IntN(len(all))
	one, err := write(p, Sealing{}, all[:cut], -1)
	if err != nil {
		return err
	}
	if err := r.commit(p, map[string]content{part: c}, crashOp(part, c, one)); err != nil {
		return err
	}
	row, err := p.Get(context.Background(), []byte(part), Current)
	if err != nil {
		return err
	}
	two, err := write(p, Sealing{}, all[cut:], -1)
	if err != nil {
		return err
	}
	return r.commit(p, map[string]content{part: "", key: c},
		crashOp(key, c, Join(row.Body, two)), Op{Kind: DropPrefix, Key: []byte(part)})
}

// verify opens what the crash left: everything acknowledged is there, what was under way
// is there as a whole or not at all, and nothing else is.
func (r *crashRun) verify() error {
	r.opt.FS, r.opt.control = r.fs, control{}
	s, err := Open(r.opt)
	if err != nil {
		return fmt.Errorf("open after the crash: %w", err)
	}
	defer s.Close()
	p, err := s.At(space1)
	if err != nil {
		return err
	}
	for key, e := range r.led.keys {
		if err := r.verifyKey(p, key, e); err != nil {
			return fmt.Errorf("key %s: %w", key, err)
		}
	}
	if err := r.strangers(p); err != nil {
		return err
	}
	if err := s.Maintain(context.Background()); err != nil {
		return fmt.Errorf("maintain after the crash: %w", err)
	}
	s.Close()
	_, err = Check(context.Background(), r.opt, func(_ Progress, d *Damaged) {
		if d != nil && err == nil {
			err = d
		}
	})
	return err
}

func (r *crashRun) verifyKey(p *Space, key string, e *entry) error {
	got := content("")
	row, err := p.Get(context.Background(), []byte(key), Current)
	if err == nil {
		got = content(row.Value)
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	if got != e.acked && (!e.open || got != e.pending) {
		return fmt.Errorf("it is %q; acknowledged was %q, under way %q (%v)", got, e.acked, e.pending, e.open)
	}
	e.acked, e.open = got, false
	if got == "" {
		return nil
	}
	have, err := read(p, row.Body, Sealing{})
	if err != nil {
		return fmt.Errorf("read what was acknowledged: %w", err)
	}
	// Of an upload the first part has a beginning.
	if want := got.octets(); !bytes.Equal(have, want[:min(len(have), len(want))]) || len(have) != int(row.Size) {
		return errors.New("its octets are others")
	}
	return nil
}

func (r *crashRun) strangers(p *Space) error {
	c, err := p.Scan(ScanOptions{Versions: true})
	if err != nil {
		return err
	}
	defer c.Close()
	for c.Next() {
		if e := r.led.keys[string(c.Row().Key)]; e == nil || e.acked == "" {
			return fmt.Errorf("a row %q came from nowhere", c.Row().Key)
		}
	}
	return c.Err()
}

// seeds is how many seeds the environment asks for.
func seeds(n int) int {
	if asked, err := strconv.Atoi(os.Getenv("DARK_SEEDS")); err == nil {
		return asked
	}
	return n
}

func TestNothingAcknowledgedIsLostWhenThePowerGoes(t *testing.T) {
	n, acks := seeds(usualSeeds), 0
	var mu sync.Mutex
	inParallel(n, func(seed int) {
		r := newCrashRun(uint64(seed))
		err := r.run()
		mu.Lock()
		defer mu.Unlock()
		acks += r.led.acks
		if err != nil {
			t.Error(err)
		}
	})
	t.Logf("%d seeds, %d acknowledged commands", n, acks)
	if acks < n*5 {
		t.Errorf("only %d commands were acknowledged", acks)
	}
}

func inParallel(n int, f func(i int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range 2 {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

// TestTheCrashTestBites: each of these builds loses something within the same seeds.
func TestTheCrashTestBites(t *testing.T) {
	for name, set := range map[string]func(*crashRun){
		"no body sync":         func(r *crashRun) { r.control.noBodySync = true },
		"no directory sync":    func(r *crashRun) { r.lie = storetest.Directories },
		"no log sync":          func(r *crashRun) { r.lie = storetest.Logs },
		"metadata before body": func(r *crashRun) { r.control.early = true },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range 200 {
				r := newCrashRun(uint64(seed))
				set(r)
				err := r.run()
				if l := (*lost)(nil); errors.As(err, &l) {
					t.Logf("caught: %v", err)
					return
				}
				// With its row first, a body may be freed by another writer before it is synced:
				// that writer fails, and loses nothing. Other seeds must tell.
				if err != nil && !(r.control.early && errors.Is(err, segment.ErrStale)) {
					t.Fatal(err)
				}
			}
			t.Error("it was not caught")
		})
	}
}
