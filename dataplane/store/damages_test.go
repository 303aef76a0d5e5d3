package store

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

// told counts what is logged of the rows' damaged files.
type told struct {
	slog.Handler
	n atomic.Int64
}

func (l *told) Enabled(context.Context, slog.Level) bool { return true }

func (l *told) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "rows: damaged") {
		l.n.Add(1)
	}
	return nil
}

// TestADamagedTableIsToldOfOnce: Pebble, which cannot do its own work on it, tries again
// without a pause.
func TestADamagedTableIsToldOfOnce(t *testing.T) {
	m := newSmall(t)
	fs, err := m.disk("", nil)
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for name, content := range m.files {
		if strings.HasSuffix(name, ".sst") && strings.Contains(string(content), "inline") {
			tables++
			flipWith(t, fs, name, int64(strings.Index(string(content), "inline")))
		}
	}
	logged := &told{}
	o := m.opt
	o.FS, o.Logger = fs, slog.New(logged)
	o.control.calm = true // it would be set aside
	s := open(t, o)
	eventually(t, "the damage was met more often than is free", func() bool {
		_, _ = ask(s)
		return s.damages.most() > damagesFree+3
	})
	if n := logged.n.Load(); tables == 0 || n == 0 || n > int64(2*tables) {
		t.Errorf("of %d damaged tables %d lines were logged", tables, n)
	}
	s.Close()
}

func (d *damages) most() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.mu.told {
		n = max(n, k)
	}
	return n
}
