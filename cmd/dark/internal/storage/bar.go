package storage

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bar shows on a terminal how far a run is, how fast it goes and how long it will take.
// Without a terminal it draws nothing. One goroutine draws; end waits for it.
type bar struct {
	w              io.Writer
	columns        func() int   // of the terminal, which may be resized
	total, moved   atomic.Int64 // bytes
	items, started atomic.Int64
	begin          time.Time
	stop           chan struct{}
	drawing        sync.WaitGroup
	ended          sync.Once

	mu struct {
		sync.Mutex
		drawn bool
	}
}

const (
	barWidth    = 24
	barInterval = 200 * time.Millisecond
	clearLine   = "\r\x1b[K"
)

func newBar(w io.Writer, terminal bool, columns func() int) *bar {
	b := &bar{w: w, columns: columns, begin: time.Now(), stop: make(chan struct{})}
	if !terminal {
		b.w = nil
		return b
	}
	b.drawing.Go(b.draw)
	return b
}

func (b *bar) draw() {
	t := time.NewTicker(barInterval)
	defer t.Stop()
	for {
		select {
		case <-b.stop:
			return
		case now := <-t.C:
			if b.started.Load() > 0 {
				b.line(now)
			}
		}
	}
}

func (b *bar) line(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.drawn = true
	text := progressLine(b.moved.Load(), b.total.Load(), b.items.Load(), b.started.Load(), now.Sub(b.begin))
	fmt.Fprint(b.w, clearLine, fit(text, b.columns()))
}

// fit makes a line shorter than the terminal is wide: a longer one wraps, and clearing it leaves
// its first half standing. The bar itself goes first, then what stands last.
func fit(text string, columns int) string {
	if columns < 1 {
		columns = 80
	}
	if _, rest, ok := strings.Cut(text, "] "); ok && len(text) >= columns {
		text = strings.TrimSpace(rest)
	}
	return text[:min(len(text), columns-1)]
}

// progressLine is the bar as text: the share, the items, the rate, what remains.
func progressLine(moved, total, items, started int64, took time.Duration) string {
	total = max(total, moved)
	filled, percent := barWidth, int64(100)
	if total > 0 {
		filled, percent = int(float64(moved)/float64(total)*barWidth), int64(float64(moved)/float64(total)*100)
	}
	rate := 0.0
	if s := took.Seconds(); s > 0 {
		rate = float64(moved) / s
	}
	left := "--"
	if rate > 0 {
		left = (time.Duration(float64(total-moved)/rate) * time.Second).String()
	}
	return fmt.Sprintf("[%s%s] %3d%%  %d/%d  %s of %s  %s/s  %s left", strings.Repeat("#", filled),
		strings.Repeat(" ", barWidth-filled),
		percent, items, started, size(moved), size(total), size(int64(rate)), left)
}

// size writes bytes in binary units.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, u := float64(n)/1024, 0
	for f >= 1024 && u < len(units)-1 {
		f, u = f/1024, u+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[u])
}

func (b *bar) start(bytes int64) {
	b.started.Add(1)
	b.total.Add(bytes)
}

func (b *bar) move(bytes int64) { b.moved.Add(bytes) }

func (b *bar) item() { b.items.Add(1) }

// above runs f with the bar out of the way.
func (b *bar) above(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.drawn {
		fmt.Fprint(b.w, clearLine)
		b.mu.drawn = false
	}
	f()
}

func (b *bar) end() {
	b.ended.Do(func() {
		close(b.stop)
		b.drawing.Wait()
		b.above(func() {})
	})
}

// Size writes bytes in binary units, as this package's output does.
func Size(n uint64) string { return size(int64(min(n, 1<<62))) }
