package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// call is one conditional write or read of a key: the model's input.
type call struct {
	kind string // read, match, absent, delete
	tag  string // that it expects
	to   string // that it writes
}

// answer is what came of it: the tag that was read, "" for none, or whether it was done.
type answer struct {
	tag  string
	done bool
}

var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		s, c, a := state.(string), input.(call), output.(answer)
		if c.kind == "read" {
			return a.tag == s, s
		}
		holds := c.kind == "match" && s != "" && s == c.tag || c.kind == "absent" && s == "" || c.kind == "delete" &&
			s != "" && s == c.tag
		if a.done != holds {
			return false, s
		}
		if holds {
			s = c.to
		}
		return true, s
	},
}

// history1 runs clients on one key and gives what they saw.
func history1(t testing.TB, o Options, seed uint64) (all []porcupine.Operation, done int) {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := at(t, s, space1)
	var clock atomic.Int64
	var mu sync.Mutex
	var group sync.WaitGroup
	for client := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(client)))
		group.Go(func() {
			for n := range 40 {
				c := call{to: fmt.Sprintf("%d.%d", client, n)}
				seen, err := p.Get(context.Background(), []byte("k"), Current)
				switch {
				case err == nil && rng.IntN(4) == 0:
					c = call{kind: "delete", tag: string(seen.Tag)}
				case err == nil:
					c.kind, c.tag = "match", string(seen.Tag)
				default:
					c.kind = "absent"
				}
				if rng.IntN(3) == 0 {
					c = call{kind: "read"}
				}
				began := clock.Add(1)
				a, err := c.run(p)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, porcupine.Operation{
					ClientId: client, Input: c, Output: a, Call: began,
					Return: clock.Add(1),
				})
				if a.done {
					done++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return all, done
}

func (c call) run(p *Space) (a answer, err error) {
	key := []byte("k")
	switch c.kind {
	case "read":
		row, err := p.Get(context.Background(), key, Current)
		if errors.Is(err, ErrNotFound) {
			return a, nil
		}
		return answer{tag: string(row.Tag)}, err
	case "delete":
		_, err = p.Commit(context.Background(), Op{
			Kind: Delete, Key: key, Version: Current,
			Condition: Condition{Match: [][]byte{[]byte(c.tag)}},
		})
	case "match":
		_, err = p.Commit(context.Background(), Op{
			Kind: Put, Key: key, Tag: []byte(c.to),
			Condition: Condition{Match: [][]byte{[]byte(c.tag)}},
		})
	default:
		_, err = p.Commit(context.Background(), Op{
			Kind: Put, Key: key, Tag: []byte(c.to),
			Condition: Condition{Absent: true},
		})
	}
	if r := (*Refused)(nil); errors.As(err, &r) {
		return a, nil
	}
	return answer{done: err == nil}, err
}

func TestConditionalWritesAreLinearizable(t *testing.T) {
	for seed := range uint64(5) {
		all, done := history1(t, testOptions(vfs.NewMem()), seed)
		if got := porcupine.CheckOperationsTimeout(register, all, 20*time.Second); got != porcupine.Ok {
			t.Fatalf("seed %d: %v", seed, got)
		}
		if done < 20 {
			t.Errorf("seed %d: only %d writes were done", seed, done)
		}
	}
}

// TestTheLinearizabilityTestBites: a build that judges conditions before the log is caught.
func TestTheLinearizabilityTestBites(t *testing.T) {
	for seed := range uint64(50) {
		o := testOptions(vfs.NewMem())
		meet := make(chan struct{})
		o.control.between = func() {
			select { // until another one is between, too
			case meet <- struct{}{}:
			case <-meet:
			case <-time.After(5 * time.Millisecond):
			}
		}
		all, _ := history1(t, o, seed)
		if porcupine.CheckOperationsTimeout(register, all, 20*time.Second) == porcupine.Illegal {
			return
		}
	}
	t.Error("it was not caught")
}
