package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestReadersNeverSeeAMixture: bodies are read while they are written, deleted and moved;
// each reading gives one body as it was written, or says that it is gone.
func TestReadersNeverSeeAMixture(t *testing.T) {
	o := testOptions(vfs.NewMem())
	o.SegmentSize, o.MoveRate = 1<<20, -1
	s := open(t, o)
	p := at(t, s, space1)
	const keys = 6
	var work, reads sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		rng := rand.New(rand.NewPCG(1, uint64(w)))
		work.Go(func() {
			for n := range 150 {
				key := fmt.Sprint(rng.IntN(keys))
				if n%5 == 4 {
					if _, err := p.Commit(context.Background(), Op{
						Kind: Delete, Key: []byte(key),
						Idempotent: true,
					}); err != nil {
						t.Error(err)
					}
					continue
				}
				seed := byte(rng.IntN(256))
				b, err := write(p, Sealing{}, bytes.Repeat([]byte{seed}, 1000+rng.IntN(150_000)), -1)
				if err == nil {
					_, err = p.Commit(context.Background(), putOp(key, b))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Go(func() {
		for range 30 {
			if err := s.Maintain(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	counts := make([]int, 3)
	for r := range 2 {
		reads.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if readWhole(t, p, fmt.Sprint(n%keys)) {
					counts[r]++
				}
			}
		})
	}
	reads.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got, err := s.Scrub(context.Background(), nil); err != nil || got.Damaged != 0 {
				t.Errorf("scrub: %+v %v", got, err)
				return
			}
		}
	})
	work.Wait()
	close(stop)
	reads.Wait()
	if counts[0]+counts[1] < 50 {
		t.Errorf("only %d bodies were read", counts)
	}
	wantClean(t, s)
}

func readWhole(t testing.TB, p *Space, key string) bool {
	row, err := p.Get(context.Background(), []byte(key), Current)
	if errors.Is(err, ErrNotFound) {
		return false
	}
	if err != nil {
		t.Error(err)
		return false
	}
	got, err := read(p, row.Body, Sealing{})
	if errors.Is(err, ErrGone) {
		return false
	}
	if err != nil {
		t.Errorf("read %s: %v", key, err)
		return false
	}
	if int64(len(got)) != row.Size || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) {
		t.Errorf("%s is a mixture", key)
	}
	return true
}
