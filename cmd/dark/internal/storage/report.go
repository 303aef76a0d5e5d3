package storage

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// Item is what -o json tells of one object or file, a line each.
type Item struct {
	Action string `json:"action"` // upload, download, copy, move, remove, undelete, list, skip
	Source string `json:"source,omitempty"`
	Target string `json:"target,omitempty"`
	Bytes  int64  `json:"bytes"`
	ETag   string `json:"etag,omitempty"`
	// Time is when an object that is listed was last written, RFC 3339.
	Time string `json:"time,omitempty"`
	// Version is of one that was asked for, or listed; Latest and Deleted are of one that is listed.
	Version string `json:"version,omitempty"`
	Latest  bool   `json:"latest,omitempty"`
	Deleted bool   `json:"deleted,omitempty"` // a delete marker
	// DryRun says that it was only said, not done.
	DryRun bool   `json:"dryRun,omitempty"`
	Error  string `json:"error,omitempty"`
	Next   string `json:"next,omitempty"`
}

// report prints what was done, and keeps count of it. All its methods may be called at
// once from several goroutines.
type report struct {
	out, err io.Writer
	format   string
	bar      *bar

	mu struct {
		sync.Mutex
		done, failed, same int64
		first              *exit.Error
		held               string // the first failure: told by end where it stays the only thing
		werr               error
	}
}

func newReport(e *Env) *report {
	r := &report{out: e.Out, err: e.Err, format: e.Output()}
	r.bar = newBar(e.Err, e.Terminal(e.Err), func() int { return e.Columns(e.Err) })
	return r
}

// done tells of an item that came to its end.
func (r *report) done(i Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.done++
	r.tellHeld()
	r.bar.item()
	r.print(i)
}

// unchanged counts what needed nothing.
func (r *report) unchanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.same++
}

// failure tells of an item that could not be done; the run goes on with the others.
func (r *report) failure(i Item, err error) {
	e := exit.Of(explain(err))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.failed++
	if r.mu.first == nil {
		r.mu.first = e
	}
	i.Error, i.Next = e.Error(), e.Next
	if r.format == "json" || r.format == "yaml" {
		r.print(i)
		return
	}
	r.tellHeld()
	line := fmt.Sprintf("dark: %s: %s\n", show(firstOf(i.Source, i.Target)), exit.Plain(e.Error()))
	if r.mu.failed == 1 && r.mu.done == 0 {
		r.mu.held = line
		return
	}
	r.bar.above(func() { fmt.Fprint(r.err, line) })
}

// tellHeld needs the lock held.
func (r *report) tellHeld() {
	if r.mu.held != "" {
		r.bar.above(func() { fmt.Fprint(r.err, r.mu.held) })
		r.mu.held = ""
	}
}

// note tells what is worth knowing and no failure.
func (r *report) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bar.above(func() { fmt.Fprintf(r.err, "dark: "+format+"\n", args...) })
}

// linking is how symbolic links to directories, and what else is skipped, are dealt with.
type linking struct{ follow, strict bool }

func (l *linking) flags(f *pflag.FlagSet) {
	f.BoolVar(&l.follow, "follow", false, "follow symbolic links to directories")
	f.BoolVar(&l.strict, "strict", false, "exit with 1 when something was skipped: a link to a directory, a pipe")
}

// walking is how a run walks a directory: what it cannot read is a failure, and it goes on.
func (r *report) walking(l linking) walking {
	return walking{follow: l.follow, failed: r.unreadable, skipped: func(path, why string) {
		if l.strict {
			r.failure(Item{Action: "skip", Source: path}, exit.New(exit.Failed, "", "skipped: %s", why))
			return
		}
		r.note("skipped %s: %s", show(path), why)
	}}
}

func (r *report) unreadable(path string, err error) {
	r.failure(Item{Action: "skip", Source: path}, err)
}

// print needs the lock held.
func (r *report) print(i Item) {
	r.bar.above(func() {
		if err := r.write(i); err != nil && r.mu.werr == nil {
			r.mu.werr = exit.New(exit.Failed, "", "write the output: %w", err)
		}
	})
}

func (r *report) write(i Item) error {
	switch r.format {
	case "json":
		return writeJSON(r.out, i)
	case "yaml": // JSON is YAML (YAML 1.2, 1.3); a document each
		if _, err := io.WriteString(r.out, "---\n"); err != nil {
			return err
		}
		return writeJSON(r.out, i)
	case "name":
		_, err := fmt.Fprintln(r.out, show(firstOf(i.Target, i.Source)))
		return err
	}
	line := i.Action + " " + show(i.Source)
	if i.Target != "" {
		line += " to " + show(i.Target)
	}
	if i.DryRun {
		line = "would " + line
	}
	_, err := fmt.Fprintln(r.out, strings.TrimSpace(line))
	return err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// end closes the bar and returns the error that the whole run ends with. An item that
// was the only one, and failed, is that error itself.
func (r *report) end() error {
	r.bar.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.mu.failed == 0:
		return r.mu.werr
	case r.mu.failed == 1 && r.mu.done == 0:
		return r.mu.first
	}
	return exit.New(r.mu.first.Code, firstOf(r.mu.first.Next,
		"the same command again: what is done is not done twice by dark storage sync"),
		"%d failed, %d done; the first: %s", r.mu.failed, r.mu.done, r.mu.first.Error())
}

// counts is how many items were done, and how many needed nothing.
func (r *report) counts() (done, same int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.done, r.mu.same
}

// down tells whether the endpoint is out of reach: going on would fail for each item.
func (r *report) down() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.first != nil && r.mu.first.Code == exit.Unavailable
}
