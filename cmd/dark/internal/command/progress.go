package command

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

func dirOf(path string) string { return filepath.Dir(path) }

// progress tells how far an import is: a bar on a terminal, lines where asked for.
type progress struct {
	w     io.Writer
	bar   bool
	size  int64
	drawn bool
}

func newProgress(s *session, lines bool, size int64) *progress {
	p := &progress{w: s.Err, bar: isTerminal(s.Err), size: size}
	if !p.bar && !lines {
		p.w = nil
	}
	return p
}

const barWidth = 30

func (p *progress) show(r *dnsv1.ImportZoneResponse) {
	if p.w == nil {
		return
	}
	stage := firstOf(r.Stage, "reading")
	if !p.bar {
		fmt.Fprintf(p.w, "%s: %s, %s%s\n", stage, numbered(r.Records, "record"), numbered(r.Bytes, "byte"),
			p.percent(r.Bytes))
		return
	}
	p.drawn = true
	done := barWidth
	if p.size > 0 {
		done = int(min(int64(r.Bytes), p.size) * barWidth / p.size)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%-10s [%s%s]%s %s", stage, strings.Repeat("#", done),
		strings.Repeat(" ", barWidth-done), p.percent(r.Bytes), numbered(r.Records, "record"))
}

func (p *progress) percent(bytes uint64) string {
	if p.size <= 0 {
		return ""
	}
	return fmt.Sprintf(" %d%%", min(int64(bytes), p.size)*100/p.size)
}

func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
