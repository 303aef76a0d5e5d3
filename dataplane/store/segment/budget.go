package segment

import (
	"context"
	"sync"
	"time"
)

// Budget bounds the rate of background work. It may be shared.
type Budget struct {
	rate int64 // octets a second; 0: no bound
	mu   struct {
		sync.Mutex
		free time.Time // when what was taken so far is paid for
	}
}

// NewBudget allows so many octets a second; 0 bounds nothing. So does a nil Budget.
func NewBudget(rate int64) *Budget { return &Budget{rate: rate} }

// burst is how much time's worth may be taken at once after a pause.
const burst = 100 * time.Millisecond

// Take waits until n octets may be moved, or the context ends.
func (b *Budget) Take(ctx context.Context, n int64) error {
	if b == nil || b.rate <= 0 {
		return ctx.Err()
	}
	wait := b.book(time.Now(), n)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// book pays for n octets and says how long to wait before they are moved.
func (b *Budget) book(now time.Time, n int64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if earliest := now.Add(-burst); b.mu.free.Before(earliest) {
		b.mu.free = earliest
	}
	wait := b.mu.free.Sub(now)
	b.mu.free = b.mu.free.Add(time.Duration(float64(n) / float64(b.rate) * float64(time.Second)))
	return wait
}
