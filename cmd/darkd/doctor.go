package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// A finding is what one check saw.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn or FAIL
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"` // what to do about it
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "FAIL"
)

func well(check, format string, args ...any) finding {
	return finding{Check: check, Status: statusOK, Text: fmt.Sprintf(format, args...)}
}

func warn(check, do, format string, args ...any) finding {
	return finding{Check: check, Status: statusWarn, Text: fmt.Sprintf(format, args...), Do: do}
}

func fail(check, do, format string, args ...any) finding {
	return finding{Check: check, Status: statusFail, Text: fmt.Sprintf(format, args...), Do: do}
}

// doctor checks one machine on which a node runs, or is going to.
type doctor struct {
	control controlSettings
	edge    edgeSettings
	dir     string
	role    string // ca.Control or ca.Edge
	now     time.Time
}

func newDoctor() *cobra.Command {
	d := &doctor{now: time.Now()}
	var output string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check this machine for a node, and say what to do", Args: cobra.NoArgs,
		Long: "Check what a node needs of its machine: ports, clock, disk, limits, kernel, certificate, membership " +
			"and keys.\nGive it the node's --dir. Ports are those of the node's last start, unless a flag or " +
			"--config states others.\nIt changes nothing, and exits with 1 when something fails.",
	}
	s := d.settings(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.load(); err != nil {
			return err
		}
		if output != "text" && output != "json" {
			return usageError{errs.New(errs.Invalid, "output %q: text or json is expected", output)}
		}
		if err := d.find(); err != nil {
			return err
		}
		d.asStarted(s.stated)
		all := d.examine(cmd.Context())
		if err := report(cmd.OutOrStdout(), output, all); err != nil {
			return err
		}
		return verdict(all)
	}
	return cmd
}

// settings are those of control nodes and edges together: the file is one of theirs.
func (d *doctor) settings(cmd *cobra.Command) *settings {
	s := newSettings(cmd)
	s.text(&d.dir, "dir", "", "`DIR` of the node; /var/lib/dark/control or /var/lib/dark/edge when empty")
	s.text(&d.control.transport, "transport", "127.0.0.1:7001", "`HOST:PORT` for other control nodes")
	s.text(&d.control.feed, "feed", "127.0.0.1:7002", "`HOST:PORT` for edges")
	s.list(&d.control.api, "api", []string{"127.0.0.1:8080"}, "`HOST:PORT` for the API, one or more")
	s.list(&d.edge.dns, "dns", []string{"127.0.0.1:5300"}, "`IP:PORT` to answer DNS on, one or more")
	s.list(&d.edge.objects.addresses, "s3", nil, "`IP:PORT` to answer S3 on, one or more")
	s.text(&d.control.metrics, "metrics", "", metricsUsage)
	s.text(&d.control.through, "through", "", "`HOST:PORT` of the API of a control node, to compare clocks with")
	shown := len(s.items)
	// What is not looked at is known all the same.
	s.text(&d.control.socket, "socket", "", "")
	s.text(&d.control.timing, "timing", "", "")
	s.text(&d.control.log, "log", "", "")
	s.text(&d.control.join, "join", "", "")
	s.list(&d.control.hosts, "hosts", nil, "")
	s.list(&d.control.nameServers, "name-servers", nil, "")
	s.list(&d.control.resolvers, "resolvers", nil, "")
	s.list(&d.edge.feeds, "feeds", nil, "")
	s.bool(&d.control.insecure, "insecure", "")
	s.bool(&d.edge.metricNames, "metrics-names", "")
	d.control.buckets.declare(s)
	d.edge.answers.declare(s)
	d.edge.objects.declareRest(s)
	for _, t := range s.items[shown:] {
		cmd.Flags().Lookup(t.name).Hidden = true
	}
	return s
}

// find looks for the node, and for what it is.
func (d *doctor) find() error {
	dirs := []string{d.dir}
	if d.dir == "" {
		dirs = []string{"/var/lib/dark/control", "/var/lib/dark/edge"}
	}
	for _, dir := range dirs {
		_, errControl := controlplane.ReadSelf(dir)
		_, errEdge := edge.ReadSelf(dir)
		switch {
		case errControl == nil:
			d.dir, d.role = dir, ca.Control
			return nil
		case errEdge == nil:
			d.dir, d.role = dir, ca.Edge
			return nil
		}
		if !errors.Is(errControl, fs.ErrNotExist) {
			return controlplane.NoSelf(dir, errControl)
		}
		if !errors.Is(errEdge, fs.ErrNotExist) {
			return edge.NoSelf(dir, errEdge)
		}
	}
	for _, below := range []string{"control", "edge"} {
		if _, err := os.Stat(filepath.Join(dirs[0], below, "node.pem")); err == nil {
			return fmt.Errorf("%s is of `darkd dev`, which holds two nodes: say --dir %s or --dir %s",
				dirs[0], filepath.Join(dirs[0], "control"), filepath.Join(dirs[0], "edge"))
		}
	}
	return fmt.Errorf("no node is in %v: name its directory with --dir, or make it first with `darkd init`, or with "+
		"--join", dirs)
}

// examine makes all checks.
func (d *doctor) examine(ctx context.Context) []finding {
	all := d.ports()
	all = append(all, d.clock(ctx), d.fsync(), d.disk(), files(openFiles()))
	all = append(all, kernel()...)
	all = append(all, d.certificate(), d.member(ctx))
	if d.role == ca.Control {
		all = append(all, d.majority(ctx))
		all = append(all, d.s3Hosts(ctx)...)
	} else {
		all = append(all, d.store(ctx))
	}
	return append(all, d.secrets()...)
}

func report(w io.Writer, output string, all []finding) error {
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	for _, f := range all {
		if _, err := fmt.Fprintf(w, "%-4s  %-12s  %s", f.Status, f.Check, f.Text); err != nil {
			return err
		}
		if f.Do != "" {
			fmt.Fprintf(w, "; %s", f.Do)
		}
		fmt.Fprintln(w)
	}
	return nil
}

// verdict is an error when a check failed.
func verdict(all []finding) error {
	failed := 0
	for _, f := range all {
		if f.Status == statusFail {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed; a node on this machine would not be well", failed, len(all))
	}
	return nil
}
