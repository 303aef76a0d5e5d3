package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/obs"
)

// controlSettings are those of a control node.
type controlSettings struct {
	dir, transport, feed, socket, timing, metrics, log string
	join, through                                      string
	api, hosts, nameServers, resolvers                 []string
	insecure                                           bool
	observed                                           *observed
	buckets                                            bucketSettings
}

func newControl() *cobra.Command {
	var c controlSettings
	cmd := &cobra.Command{Use: "control", Short: "Run a control node", Args: cobra.NoArgs}
	s := newSettings(cmd)
	s.text(&c.dir, "dir", "/var/lib/dark/control", "`DIR` that the node lives in")
	s.text(&c.transport, "transport", "127.0.0.1:7001", "`HOST:PORT` for other control nodes")
	s.text(&c.feed, "feed", "127.0.0.1:7002", "`HOST:PORT` for edges")
	s.list(&c.api, "api", []string{"127.0.0.1:8080"}, "`HOST:PORT` for the API, one or more")
	s.bool(&c.insecure, "insecure", "speak HTTP in clear on the API; loopback addresses only")
	s.text(&c.socket, "socket", "", "`PATH` of the break-glass socket; DIR/control.sock when empty")
	s.text(&c.metrics, "metrics", "", metricsUsage)
	s.text(&c.timing, "timing", "lan", "lan, wan or ci: how far apart the control nodes are")
	s.list(&c.nameServers, "name-servers", nil, "names of this installation's name servers, as delegations have them")
	s.list(&c.resolvers, "resolvers", nil,
		"`HOST:PORT` of resolvers for showing control over domains; the system's when empty")
	s.list(&c.hosts, "hosts", nil, "further names and addresses by which clients reach the API; the join token has "+
		"to state them")
	s.text(&c.join, "join", "", "join `TOKEN`: become a control node of its cluster first")
	s.text(&c.through, "through", "", "`HOST:PORT` of the API of a control node to join through")
	s.text(&c.log, "log", "info", "debug, info, warn or error")
	c.buckets.declare(s)
	c.buckets.declareDomains(s)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.load(); err != nil {
			return err
		}
		if err := c.buckets.check(); err != nil {
			return err
		}
		return c.run(cmd.Context(), cmd.ErrOrStderr())
	}
	return cmd
}

func (c *controlSettings) run(ctx context.Context, stderr io.Writer) error {
	collectLess()
	if c.join != "" {
		if err := c.enrol(ctx, stderr); err != nil {
			return err
		}
	}
	cfg, err := c.config(stderr)
	if err != nil {
		return err
	}
	node, err := controlplane.New(cfg)
	if err != nil {
		return err
	}
	if err := c.listens().write(c.dir); err != nil {
		cfg.Logger.Warn("darkd doctor will not know the node's ports", "err", err)
	}
	if c.observed != nil {
		c.observed.whenReady(node.Well)
	}
	return node.Run(ctx)
}

// enrol joins, unless the directory holds the node of an earlier start already.
func (c *controlSettings) enrol(ctx context.Context, stderr io.Writer) error {
	if err := controlplane.Vacant(c.dir); errors.Is(err, controlplane.ErrInitialised) {
		return notJoining(stderr, c.dir, "a control node")
	} else if err != nil {
		return err
	}
	if c.through == "" {
		return usageError{fmt.Errorf("--join needs --through HOST:PORT, the API of any control node")}
	}
	host, _, err := net.SplitHostPort(c.transport)
	if err != nil {
		return usageError{fmt.Errorf("--transport: %w", err)}
	}
	return joining(ctx, stderr, c.through, func(ctx context.Context) error {
		return controlplane.Enrol(ctx, c.dir, c.join, c.through, append([]string{host}, c.hosts...))
	})
}

func (c *controlSettings) config(stderr io.Writer) (controlplane.Config, error) {
	cfg := controlplane.Config{
		Dir: c.dir, Transport: c.transport, Feed: c.feed, API: c.api, Insecure: c.insecure, Socket: c.socket,
		NameServers: lower(c.nameServers), Kinds: controlKinds(lower(c.nameServers), c.buckets.options()),
		Version: version(), Logger: logger(stderr, c.log),
	}
	var err error
	if cfg.Timing, err = timingOf(c.timing); err != nil {
		return cfg, err
	}
	if c.insecure {
		for _, a := range c.api {
			if !loopback(a) {
				return cfg, usageError{fmt.Errorf("--insecure is for loopback addresses only, not %s", a)}
			}
		}
	}
	if len(c.resolvers) > 0 {
		cfg.Resolver = resolver(c.resolvers)
	}
	if c.metrics != "" {
		if c.observed, err = observe(metricsAddr(c.metrics)); err != nil {
			return cfg, err
		}
		cfg.Registry = c.observed
	}
	return cfg, nil
}

func timingOf(name string) (consensus.Timing, error) {
	switch name {
	case "lan":
		return consensus.LAN, nil
	case "wan":
		return consensus.WAN, nil
	case "ci":
		return consensus.CI, nil
	}
	return consensus.Timing{}, usageError{errs.New(errs.Invalid, "timing %q: lan, wan or ci is expected", name)}
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(strings.TrimSuffix(n, "."))
	}
	return out
}

// resolver asks the given resolvers in turn.
func resolver(addrs []string) *net.Resolver {
	next := make(chan string, len(addrs))
	for _, a := range addrs {
		next <- a
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		a := <-next
		next <- a
		return (&net.Dialer{}).DialContext(ctx, network, a)
	}}
}

// logger writes what happens as lines of key=value. What the standard library and others log by
// themselves goes there too.
func logger(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	log := obs.Logger(w, l)
	slog.SetDefault(log)
	return log
}

const metricsUsage = "`HOST:PORT` for Prometheus metrics, /livez and /readyz; a PORT alone is on 127.0.0.1; none " +
	"when empty"

// metricsAddr is where the metrics are: on loopback unless an address is named.
func metricsAddr(setting string) string {
	host, port, err := net.SplitHostPort(setting)
	switch {
	case err != nil && !strings.Contains(setting, ":"):
		return net.JoinHostPort("127.0.0.1", setting)
	case err == nil && host == "":
		return net.JoinHostPort("127.0.0.1", port)
	}
	return setting
}

// observed is what a process shows to those who watch it: /metrics, /livez and /readyz.
type observed struct {
	*prometheus.Registry
	ready atomic.Pointer[func() error]
}

// observe listens for them; it ends with the process.
func observe(addrs ...string) (*observed, error) {
	o := &observed{Registry: prometheus.NewRegistry()}
	o.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", o.readyz)
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("listen for metrics on %s: %w", addr, err)
		}
		s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = s.Serve(l) }() // ends with the process
	}
	return o, nil
}

// whenReady says what /readyz asks from now on.
func (o *observed) whenReady(f func() error) { o.ready.Store(&f) }

func (o *observed) readyz(w http.ResponseWriter, _ *http.Request) {
	err := errors.New("starting")
	if f := o.ready.Load(); f != nil {
		err = (*f)()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func newRejoin() *cobra.Command {
	var dir string
	var yes bool
	cmd := &cobra.Command{
		Use: "rejoin", Short: "Wipe a control node whose log is damaged, so that it can join again", Args: cobra.NoArgs,
		Long: "Wipe what a control node keeps, when its log or state is damaged. Afterwards remove the old " +
			"member\n(dark members remove NAME --yes), make a token (dark nodes token NAME --role control --host " +
			"HOST) and start it with --join.\nIt prints these commands. The node must not be running.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			name, err := controlNode(dir)
			if err != nil {
				return fmt.Errorf("%s holds no control node: %w", dir, err)
			}
			if !yes {
				fmt.Fprintf(cmd.ErrOrStderr(), "This wipes all that control node %s keeps in %s. Only the other "+
					"control nodes have it then:\n"+
					"see that a majority of them is well (dark members), and say --yes to do it.\n", name, dir)
				os.Exit(5)
			}
			if err := controlplane.Wipe(dir); err != nil {
				return err
			}
			err = printRejoin(cmd.OutOrStdout(), name, dir)
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "/var/lib/dark/control", "`DIR` that the node lives in")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// printRejoin writes the commands by which a wiped control node joins again, at the addresses where it was
// reached when it was started last: a join token states the host, and the flags' own values are on loopback.
func printRejoin(w io.Writer, name, dir string) error {
	l, _, _ := readListens(dir)
	transport := firstOf(l.Transport, "ADDRESS:7001")
	host, _, err := net.SplitHostPort(transport)
	if err != nil {
		host = "ADDRESS"
	}
	_, err = fmt.Fprintf(w, "Wiped. Next, where a control node is well:\n  dark members remove %[1]s --yes\n  dark "+
		"nodes token %[1]s --role control --host %[3]s\n"+
		"and here:\n  darkd control --dir %[2]s --join TOKEN --through HOST:PORT \\\n    --transport %[4]s --feed "+
		"%[5]s --api %[6]s\n"+
		"HOST:PORT is the API of a control node that is well. State its other flags as before, and each name of "+
		"--hosts with --host.\n",
		name, dir, host, transport, firstOf(l.Feed, "ADDRESS:7002"), firstOf(strings.Join(l.API, ","), "ADDRESS:8080"))
	return err
}

func firstOf(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// controlNode is the name of the control node in a directory; its certificate tells it too,
// where node.json is damaged.
func controlNode(dir string) (string, error) {
	self, err := controlplane.ReadSelf(dir)
	if err == nil {
		return self.Name, nil
	}
	creds, cerr := ca.LoadCredentials(filepath.Join(dir, "node.pem"))
	if errors.Is(err, fs.ErrNotExist) || cerr != nil {
		return "", err
	}
	n, cerr := creds.Peer(creds.Leaf())
	if cerr != nil || n.Role != ca.Control {
		return "", err
	}
	return n.Node, nil
}
