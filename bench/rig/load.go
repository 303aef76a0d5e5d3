package rig

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Load is what clients did in one round.
type Load struct {
	Done, Failed int
	Rate         float64 // completed each second
	P50, P99     time.Duration
	CPU          time.Duration // of the server's processes, for each operation
	Err          error         // one of the failures
}

// Completed is the share of operations that did not fail.
func (l Load) Completed() float64 { return float64(l.Done) / float64(max(1, l.Done+l.Failed)) }

// Run has clients do an operation again and again for d. do is given the client's
// number and how many it has done.
func Run(ctx context.Context, clients int, d time.Duration, pids []int, do func(ctx context.Context, client,
	n int) error,
) Load {
	var l Load
	took := make([][]time.Duration, clients)
	failed := make([]int, clients)
	errs := make([]error, clients)
	before, begin := CPU(pids...), time.Now()
	until := begin.Add(d)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				at := time.Now()
				if at.After(until) {
					return
				}
				if err := do(ctx, c, n); err != nil {
					failed[c]++
					errs[c] = err
					continue
				}
				took[c] = append(took[c], time.Since(at))
			}
		})
	}
	all.Wait()
	wall := time.Since(begin)
	each := slices.Concat(took...)
	for c := range clients {
		l.Failed += failed[c]
		if errs[c] != nil {
			l.Err = errs[c]
		}
	}
	l.Done = len(each)
	l.Rate = float64(l.Done) / wall.Seconds()
	l.P50, l.P99 = Percentile(each, 50), Percentile(each, 99)
	l.CPU = (CPU(pids...) - before) / time.Duration(max(1, l.Done))
	return l
}

// Percentile of durations, which it sorts; 0 of none.
func Percentile(all []time.Duration, p int) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}

// Series are the rounds of one side.
type Series []Load

// Median is the round in the middle by rate.
func (s Series) Median() Load {
	o := slices.Clone(s)
	slices.SortFunc(o, func(a, b Load) int {
		switch {
		case a.Rate < b.Rate:
			return -1
		case a.Rate > b.Rate:
			return 1
		}
		return 0
	})
	return o[len(o)/2]
}

// Spread is the lowest and the highest rate.
func (s Series) Spread() string {
	low, high := s[0].Rate, s[0].Rate
	for _, l := range s {
		low, high = min(low, l.Rate), max(high, l.Rate)
	}
	return fmt.Sprintf("%.0f–%.0f", low, high)
}

// Completed is the share over all rounds.
func (s Series) Completed() float64 {
	var sum Load
	for _, l := range s {
		sum.Done += l.Done
		sum.Failed += l.Failed
	}
	return sum.Completed()
}

// Err is one of the failures of all rounds.
func (s Series) Err() error {
	for _, l := range s {
		if l.Err != nil {
			return l.Err
		}
	}
	return nil
}
