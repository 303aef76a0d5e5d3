// Package obs is how a process of Dark tells its operators what happens: a log of short lines, of
// which none repeats without end.
//
// A Sparse has a lock of its own and calls nobody while it holds it.
package obs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// window is how long a message that repeats is counted instead of written.
	window = time.Minute
	// burst is how many lines of one message are written in a window: several things may
	// have the same trouble, and the first lines name them.
	burst = 10
	// maxText bounds one value of a line. A trace of goroutines or a list of files does not
	// help whoever reads the log at night; the first line of it does.
	maxText = 500
)

// Logger writes lines of key=value to w. Messages that warn and repeat are counted after the
// first few of a minute, and the next line says how many there were.
func Logger(w io.Writer, level slog.Leveler) *slog.Logger {
	text := slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: shorten})
	return slog.New(&bounded{text, &Sparse{burst: burst, window: window, now: time.Now}})
}

// shorten cuts a value to its first line, and to maxText octets.
func shorten(_ []string, a slog.Attr) slog.Attr {
	var s string
	switch a.Value.Kind() {
	case slog.KindString:
		s = a.Value.String()
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			s = err.Error()
		} else if f, ok := a.Value.Any().(fmt.Stringer); ok {
			s = f.String()
		} else {
			return a
		}
	default:
		return a
	}
	if short := Line(s); short != s {
		a.Value = slog.StringValue(short)
	}
	return a
}

// Line is the first line of a text, and at most 500 octets of it; it says how much is left out.
func Line(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(first) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(first[cut]) {
			cut--
		}
		first = first[:cut]
	}
	if left := len(strings.TrimSpace(s)) - len(first); left > 0 {
		return fmt.Sprintf("%s … (%d octets more)", first, left)
	}
	return first
}

// bounded is a handler that writes no message of Warn and above more often than its Sparse allows.
type bounded struct {
	slog.Handler
	sparse *Sparse
}

// Handle implements slog.Handler.
func (b *bounded) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		ok, unwritten := b.sparse.Allow(r.Level.String() + r.Message)
		if !ok {
			return nil
		}
		if unwritten > 0 {
			r.AddAttrs(slog.Int("unwritten", unwritten))
		}
	}
	return b.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (b *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bounded{b.Handler.WithAttrs(attrs), b.sparse}
}

// WithGroup implements slog.Handler.
func (b *bounded) WithGroup(name string) slog.Handler {
	return &bounded{b.Handler.WithGroup(name), b.sparse}
}

// maxKeys bounds what a Sparse remembers. Messages are constants of the program, so only a
// mistake reaches it.
const maxKeys = 1000

// Sparse lets the first of many equal events through, and counts the others.
type Sparse struct {
	burst  int
	window time.Duration
	now    func() time.Time

	mu struct {
		sync.Mutex
		keys map[string]*repeats
	}
}

// repeats are the events of one key since the beginning of its window.
type repeats struct {
	began              time.Time
	written, unwritten int
}

// NewSparse lets one event of a key through each minute.
func NewSparse() *Sparse { return &Sparse{burst: 1, window: window, now: time.Now} }

// Allow reports whether the event should be told, and with one that should, how many were
// not since the last.
func (s *Sparse) Allow(key string) (ok bool, unwritten int) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.mu.keys[key]
	if r == nil {
		if s.mu.keys == nil || len(s.mu.keys) >= maxKeys {
			s.mu.keys = map[string]*repeats{}
		}
		r = &repeats{began: now}
		s.mu.keys[key] = r
	}
	if now.Sub(r.began) >= s.window {
		unwritten = r.unwritten
		*r = repeats{began: now}
	}
	if r.written >= s.burst {
		r.unwritten++
		return false, 0
	}
	r.written++
	return true, unwritten
}
