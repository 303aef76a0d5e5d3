package consensus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/dark-ecosystem/dark/internal/obs"
)

// hlog is raft's logger, writing to slog what an operator can use. Raft warns of much that is
// in order: an election at each start, a follower that was sent too much, a leader that learnt of
// the next. And it repeats itself many times a second while a member does not answer.
type hlog struct {
	to     *slog.Logger
	name   string
	with   []any
	sparse *obs.Sparse // of members that do not answer
}

func newHclog(to *slog.Logger, name string) hclog.Logger {
	return &hlog{to: to, name: name, sparse: obs.NewSparse()}
}

var slogLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4,
	hclog.Debug: slog.LevelDebug,
	hclog.Info:  slog.LevelDebug, // raft's Info is of interest to those who debug it
	hclog.Warn:  slog.LevelWarn,
	hclog.Error: slog.LevelError,
}

func (h *hlog) Log(level hclog.Level, msg string, args ...any) {
	l, ok := slogLevels[level]
	if _, quiet := routine[msg]; quiet {
		l = slog.LevelDebug
	}
	if addr := silent(msg, args); addr != "" && l > slog.LevelDebug {
		h.unanswered(addr, args)
		l = slog.LevelDebug
	}
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

// routine are raft's warnings of what happens in a cluster that is well, at each start, join and
// change of the leader. What goes wrong beside them, controlplane says in its own words: that there
// is no leader, and who does not answer.
var routine = map[string]struct{}{
	"heartbeat timeout reached, starting election": {},
	"heartbeat timeout reached, not part of a stable configuration or a non-voter, " +
		"not triggering a leader election": {},
	"not part of stable configuration, aborting election":           {},
	"no known peers, aborting election":                             {},
	"Election timeout reached, restarting election":                 {},
	"failed to get previous log":                                    {},
	"previous log term mis-match":                                   {},
	"clearing log suffix":                                           {},
	"appendEntries rejected, sending older logs":                    {},
	"peer has newer term, stopping replication":                     {},
	"new leader elected, stepping down":                             {},
	"failed to contact":                                             {},
	"failed to contact quorum of nodes, stepping down":              {},
	"duplicate requestVote from":                                    {},
	"rejecting vote request since node is not in configuration":     {},
	"rejecting vote request since we have a leader":                 {},
	"rejecting vote request since node is not a voter":              {},
	"rejecting vote request since our last term is greater":         {},
	"rejecting vote request since our last index is greater":        {},
	"rejecting pre-vote request since node is not in configuration": {},
	"rejecting pre-vote request since we have a leader":             {},
	"rejecting pre-vote request since node is not a voter":          {},
	"rejecting pre-vote request since our last term is greater":     {},
	"rejecting pre-vote request since our last index is greater":    {},
	// the other end went
	"failed to decode incoming command": {},
	"failed to flush response":          {},
}

// unreachable are raft's messages of one member that does not answer.
var unreachable = map[string]struct{}{
	"failed to heartbeat to":                  {},
	"failed to appendEntries to":              {},
	"failed to pipeline appendEntries":        {},
	"failed to start pipeline replication to": {},
	"failed to make requestVote RPC":          {},
	"failed to send snapshot to":              {},
	"failed to install snapshot":              {},
}

// silent is the address of the member that a message says does not answer; "" for another message.
func silent(msg string, args []any) string {
	if _, ok := unreachable[msg]; !ok {
		return ""
	}
	for _, a := range args {
		switch a := a.(type) {
		case raft.Server:
			return string(a.Address)
		case raft.ServerAddress:
			return string(a)
		}
	}
	return "unknown"
}

// unanswered says, once a minute for a member, that it does not answer, and why.
func (h *hlog) unanswered(addr string, args []any) {
	ok, more := h.sparse.Allow(addr)
	if !ok {
		return
	}
	attrs, msg := []any{"address", addr}, "another member does not answer"
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] != "error" {
			continue
		}
		attrs = append(attrs, "error", args[i+1])
		// Its door has judged this node (internal/membership), and TLS does not say what for.
		if strings.Contains(fmt.Sprint(args[i+1]), remoteRefusal) {
			msg = "another member refuses this node, which was removed or whose name another machine has"
		}
	}
	if more > 0 {
		attrs = append(attrs, "attempts", more+1)
	}
	h.to.Warn(msg, attrs...)
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
	return &hlog{to: h.to.With(args...), name: h.name, sparse: h.sparse, with: append(append([]any{}, h.with...),
		args...)}
}

func (h *hlog) Named(name string) hclog.Logger      { return h.ResetNamed(name) }
func (h *hlog) ResetNamed(name string) hclog.Logger { return &hlog{h.to, name, h.with, h.sparse} }

// SetLevel does nothing: slog's handler decides.
func (h *hlog) SetLevel(hclog.Level)  {}
func (h *hlog) GetLevel() hclog.Level { return hclog.NoLevel }

func (h *hlog) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(h.StandardWriter(o), "", 0)
}

func (h *hlog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return slog.NewLogLogger(h.to.Handler(), slog.LevelDebug).Writer()
}
