package consensus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hlog is raft's logger, writing to slog.
type hlog struct {
	to   *slog.Logger
	name string
	with []any
}

func newHclog(to *slog.Logger, name string) hclog.Logger { return &hlog{to: to, name: name} }

var slogLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4,
	hclog.Debug: slog.LevelDebug,
	hclog.Info:  slog.LevelDebug, // raft's Info is of interest to those who debug it
	hclog.Warn:  slog.LevelWarn,
	hclog.Error: slog.LevelError,
}

func (h *hlog) Log(level hclog.Level, msg string, args ...any) {
	l, ok := slogLevels[level]
	if !ok || !h.to.Enabled(context.Background(), l) {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	h.to.Log(context.Background(), l, "raft: "+msg, args...)
}

func (h *hlog) Trace(msg string, args ...any) { h.Log(hclog.Trace, msg, args...) }
func (h *hlog) Debug(msg string, args ...any) { h.Log(hclog.Debug, msg, args...) }
func (h *hlog) Info(msg string, args ...any)  { h.Log(hclog.Info, msg, args...) }
func (h *hlog) Warn(msg string, args ...any)  { h.Log(hclog.Warn, msg, args...) }
func (h *hlog) Error(msg string, args ...any) { h.Log(hclog.Error, msg, args...) }

func (h *hlog) is(l hclog.Level) bool { return h.to.Enabled(context.Background(), slogLevels[l]) }

func (h *hlog) IsTrace() bool { return h.is(hclog.Trace) }
func (h *hlog) IsDebug() bool { return h.is(hclog.Debug) }
func (h *hlog) IsInfo() bool  { return h.is(hclog.Info) }
func (h *hlog) IsWarn() bool  { return h.is(hclog.Warn) }
func (h *hlog) IsError() bool { return h.is(hclog.Error) }

func (h *hlog) ImpliedArgs() []any { return h.with }
func (h *hlog) Name() string       { return h.name }

func (h *hlog) With(args ...any) hclog.Logger {
	return &hlog{to: h.to.With(args...), name: h.name, with: append(append([]any{}, h.with...), args...)}
}

func (h *hlog) Named(name string) hclog.Logger      { return h.ResetNamed(name) }
func (h *hlog) ResetNamed(name string) hclog.Logger { return &hlog{h.to, name, h.with} }

// SetLevel does nothing: slog's handler decides.
func (h *hlog) SetLevel(hclog.Level)  {}
func (h *hlog) GetLevel() hclog.Level { return hclog.NoLevel }

func (h *hlog) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(h.StandardWriter(o), "", 0)
}

func (h *hlog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return slog.NewLogLogger(h.to.Handler(), slog.LevelDebug).Writer()
}
