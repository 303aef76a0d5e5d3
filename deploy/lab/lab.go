// Package lab runs whole installations as processes on loopback addresses, for the
// tests that kill, stop and cut them. Everything is driven from outside: darkd's
// commands, its API and its DNS answers; a ledger of what was acknowledged is the
// caller's, in another process than those that die.
//
// A Cluster belongs to one goroutine but for its clients.
package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// Options of a cluster.
type Options struct {
	Darkd    string // path of the binary
	Dir      string
	EdgeArgs []string // more arguments of `darkd edge`
	Controls int
	Edges    int
	Timing   string // lan, wan or ci
	// User returns the user id that a node's process runs as, 0 for the caller's own.
	User func(node string) uint32
}

// Cluster is a running installation.
type Cluster struct {
	o        Options
	net      string // first three octets of its addresses
	Controls []*Proc
	Edges    []*Proc
	Token    string // of the administrator
	tls      *tls.Config
}

// Proc is one process of a cluster.
type Proc struct {
	Name string
	// Addr is the IP address that it listens on.
	Addr string
	args []string
	user uint32
	dir  string
	cmd  *exec.Cmd
	done chan struct{}
	bin  string
}

// nets gives each cluster of a process a network of its own.
var nets atomic.Uint32

// Start makes a cluster and waits until every node is ready.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	n := uint32(os.Getpid()%150+50)<<8 | (nets.Add(1) % 250)
	c := &Cluster{o: o, net: fmt.Sprintf("127.%d.%d", n>>8, n&0xff)}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, errors.Join(err, errors.New(c.logs()))
	}
	return c, nil
}

// names are prefix1 to prefixN.
func names(prefix string, from, n int) []string {
	var out []string
	for i := from; i <= n; i++ {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

// nodes are the further control nodes, with the addresses of their APIs.
func (c *Cluster) nodes() []string {
	out := names("c", 2, c.o.Controls)
	for i := range out {
		out[i] += fmt.Sprintf("=%s.%d", c.net, i+2)
	}
	return out
}

func (c *Cluster) start(ctx context.Context) error {
	first := filepath.Join(c.o.Dir, "c1")
	init := exec.CommandContext(ctx, c.o.Darkd, "init", "--dir", first, "--name", "c1", "--transport", c.net+".1:7001",
		"--timing", c.o.Timing,
		"--nodes", strings.Join(c.nodes(), ","), "--edges", strings.Join(names("e", 1, c.o.Edges), ","), "-o", "json")
	var stderr bytes.Buffer
	init.Stderr = &stderr
	b, err := init.Output()
	if err != nil {
		return fmt.Errorf("darkd init: %w: %s", err, stderr.String())
	}
	var res struct {
		AdminToken string
		JoinTokens map[string]string
	}
	if err := json.Unmarshal(b, &res); err != nil {
		return fmt.Errorf("darkd init: %w", err)
	}
	c.Token = res.AdminToken
	if err := c.trust(filepath.Join(first, "ca.pem")); err != nil {
		return err
	}
	for i := 1; i <= c.o.Controls; i++ {
		p := c.proc(fmt.Sprint("c", i), fmt.Sprintf("%s.%d", c.net, i))
		p.args = []string{
			"control", "--dir", p.dir, "--transport", p.Addr + ":7001", "--feed", p.Addr + ":7002",
			"--api", p.Addr + ":8080", "--timing", c.o.Timing, "--log", "warn",
		}
		c.Controls = append(c.Controls, p)
	}
	for i := 1; i <= c.o.Edges; i++ {
		p := c.proc(fmt.Sprint("e", i), fmt.Sprintf("%s.%d", c.net, 100+i))
		p.args = []string{"edge", "--dir", p.dir, "--dns", p.Addr + ":5300", "--log", "warn"}
		p.args = append(p.args, c.o.EdgeArgs...)
		c.Edges = append(c.Edges, p)
	}
	return c.startAll(ctx, res.JoinTokens)
}

func (c *Cluster) proc(name, addr string) *Proc {
	p := &Proc{Name: name, Addr: addr, dir: filepath.Join(c.o.Dir, name), bin: c.o.Darkd}
	if c.o.User != nil {
		p.user = c.o.User(name)
	}
	return p
}

func (c *Cluster) startAll(ctx context.Context, tokens map[string]string) error {
	for i, p := range c.All() {
		var join []string
		if i > 0 {
			join = []string{"--join", tokens[p.Name], "--through", c.Controls[0].Addr + ":8080"}
		}
		if err := p.Start(join...); err != nil {
			return err
		}
		if i == 0 {
			if err := c.until(ctx, "the first control node leads", func() bool {
				s, err := c.Status(ctx, c.Controls[0])
				return err == nil && s.Leader != ""
			}); err != nil {
				return err
			}
		}
	}
	return c.WaitReady(ctx)
}

// WaitReady waits until all control nodes have a vote and all edges are heard.
func (c *Cluster) WaitReady(ctx context.Context) error {
	err := c.until(ctx, "all control nodes vote", func() bool {
		for _, p := range c.Controls {
			r, err := clustergrpc.NewClusterServiceClient(p.must(c)).ListMembers(c.As(ctx, ""),
				&clusterv1.ListMembersRequest{})
			if err != nil || len(r.Members) != len(c.Controls) {
				return false
			}
			for _, m := range r.Members {
				if m.Suffrage != "voter" {
					return false
				}
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return c.until(ctx, "all edges are heard", func() bool {
		r, err := clustergrpc.NewNodeServiceClient(c.Controls[0].must(c)).ListNodes(c.As(ctx, ""),
			&clusterv1.ListNodesRequest{})
		if err != nil {
			return false
		}
		heard := 0
		for _, n := range r.Nodes {
			if n.GetSpec().GetRole() == "edge" && n.GetStatus().GetConnected() {
				heard++
			}
		}
		return heard == len(c.Edges)
	})
}

// until polls what another process does; it gives up with the context.
func (c *Cluster) until(ctx context.Context, what string, cond func() bool) error {
	for !cond() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (c *Cluster) trust(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return fmt.Errorf("%s holds no certificate", file)
	}
	c.tls = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
	return nil
}

// All are the processes, control nodes first.
func (c *Cluster) All() []*Proc { return append(append([]*Proc{}, c.Controls...), c.Edges...) }

// Dial connects to a control node's API.
func (c *Cluster) Dial(p *Proc, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	opts = append(opts, grpc.WithTransportCredentials(credentials.NewTLS(c.tls)))
	return grpc.NewClient("passthrough:///"+p.Addr+":8080", opts...)
}

// must is Dial without an error: the address is well-formed, so there is none.
func (p *Proc) must(c *Cluster) *grpc.ClientConn {
	conn, err := c.Dial(p)
	if err != nil {
		panic(err)
	}
	time.AfterFunc(10*time.Second, func() { conn.Close() })
	return conn
}

// As makes a request the administrator's, in an organization.
func (c *Cluster) As(ctx context.Context, organization string) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.Token)
	if organization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "dark-organization", organization)
	}
	return ctx
}

// Status asks one control node how the installation is.
func (c *Cluster) Status(ctx context.Context, p *Proc) (*clusterv1.GetStatusResponse, error) {
	conn, err := c.Dial(p)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return clustergrpc.NewClusterServiceClient(conn).GetStatus(c.As(ctx, ""), &clusterv1.GetStatusRequest{})
}

// Leader is the control node that a running member says leads; nil when none does.
func (c *Cluster) Leader(ctx context.Context) *Proc {
	for _, p := range c.Controls {
		if !p.Running() {
			continue
		}
		s, err := c.Status(ctx, p)
		if err != nil {
			continue
		}
		for _, l := range c.Controls {
			if l.Running() && (s.Leader == l.Name || strings.HasPrefix(s.Leader, l.Name+"-")) {
				return l
			}
		}
	}
	return nil
}

// Stop ends all processes and waits for them.
func (c *Cluster) Stop() {
	for _, p := range c.All() {
		p.Signal(syscall.SIGCONT)
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range c.All() {
		p.wait(5 * time.Second)
	}
}

// logs are the last lines that each process wrote.
func (c *Cluster) logs() string {
	var b strings.Builder
	for _, p := range c.All() {
		fmt.Fprintf(&b, "--- %s\n%s\n", p.Name, p.Log(2000))
	}
	return b.String()
}

// Start starts the process with further arguments.
func (p *Proc) Start(more ...string) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(p.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = exec.Command(p.bin, append(p.args, more...)...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A test that is killed takes its processes with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if p.user != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.user, Gid: p.user}
		if err := chown(p.dir, int(p.user)); err != nil {
			return err
		}
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	done, cmd := make(chan struct{}), p.cmd
	p.done = done
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	return nil
}

func chown(dir string, uid int) error {
	return filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, uid, uid)
	})
}

// Running reports whether the process has been started and has not ended.
func (p *Proc) Running() bool {
	if p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill is kill -9.
func (p *Proc) Kill() {
	p.Signal(syscall.SIGKILL)
	p.wait(5 * time.Second)
}

// Signal sends a signal, if the process runs.
func (p *Proc) Signal(s syscall.Signal) {
	if p.Running() {
		_ = p.cmd.Process.Signal(s) // it may have ended meanwhile
	}
}

func (p *Proc) wait(d time.Duration) {
	if p.done == nil {
		return
	}
	select {
	case <-p.done:
	case <-time.After(d):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Log is the end of what the process wrote.
func (p *Proc) Log(n int) string {
	b, err := os.ReadFile(p.dir + ".log")
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-n):])
}
