package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/contexts"
	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// The ports of the development platform are fixed: a second one takes another loopback
// address.
const (
	portAdmin     = "8080"
	portDNS       = "5300"
	portS3        = "9000"
	portMetrics   = "9100"
	portTransport = "8301"
	portFeed      = "8302"
)

// devEdge is the name of the development platform's one edge.
const devEdge = "edge-1"

// dev is the whole platform in one process.
type dev struct {
	host, dir string
	fresh     bool
	level     string
	answers   dnsSettings
	buckets   bucketSettings
	objects   s3Settings
	out       io.Writer
	log       *slog.Logger
}

// devFile is dev.json: what listens where, for tools. A service that does not exist yet
// is left out.
type devFile struct {
	Admin struct {
		URL   string `json:"url"`
		Token string `json:"token"`
	} `json:"admin"`
	DNS struct {
		UDP string `json:"udp"`
		TCP string `json:"tcp"`
	} `json:"dns"`
	S3      s3File `json:"s3"`
	Metrics struct {
		URL string `json:"url"`
	} `json:"metrics"`
	CA   string `json:"ca"`
	Demo struct {
		Org    string `json:"org"`
		Zone   string `json:"zone"`
		Bucket string `json:"bucket"`
	} `json:"demo"`
}

// s3File is how S3 clients reach the platform.
type s3File struct {
	URL       string `json:"url"`
	Region    string `json:"region"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

func newDev() *cobra.Command {
	var d dev
	cmd := &cobra.Command{
		Use: "dev", Short: "Run the whole platform in one process on loopback, with a demo organization",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := d.buckets.check(); err != nil {
				return err
			}
			d.out = cmd.OutOrStdout()
			d.log = logger(cmd.ErrOrStderr(), d.level)
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.host, "host", "127.0.0.1", "loopback `ADDRESS` to listen on; 127.0.0.1 listens on ::1 too")
	cmd.Flags().StringVar(&d.dir, "data", "", "`DIR` for all data; below the user's data directory when empty")
	cmd.Flags().BoolVar(&d.fresh, "fresh", false, "forget what an earlier run left and start over")
	cmd.Flags().StringVar(&d.level, "log", "warn", "debug, info, warn or error")
	s := &settings{cmd: cmd}
	d.answers.declare(s)
	d.buckets.declare(s)
	d.objects.declareRest(s)
	return cmd
}

func (d *dev) run(ctx context.Context) error {
	if err := d.prepare(); err != nil {
		return err
	}
	unlock, err := lockDir(d.dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(d.path("dev.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if d.fresh {
		for _, name := range []string{"control", "edge", "admin.token", fileS3Key} {
			if err := os.RemoveAll(d.path(name)); err != nil {
				return err
			}
		}
	}
	if err := d.init(ctx); err != nil {
		return err
	}
	return d.serve(ctx)
}

func (d *dev) path(name string) string { return filepath.Join(d.dir, name) }

func (d *dev) prepare() error {
	ip := net.ParseIP(d.host)
	if ip == nil || !ip.IsLoopback() {
		return usageError{fmt.Errorf("--host %s: the development platform listens on loopback only", d.host)}
	}
	if d.dir == "" {
		base := os.Getenv("XDG_DATA_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return fmt.Errorf("find a place for the data: %w; name one with --data DIR", err)
			}
			base = filepath.Join(home, ".local", "share")
		}
		d.dir = filepath.Join(base, "dark", "dev-"+strings.ReplaceAll(d.host, ":", "_"))
	}
	dir, err := filepath.Abs(d.dir)
	if err != nil {
		return err
	}
	d.dir = dir
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("make a place for the data: %w; name another with --data DIR", err)
	}
	return nil
}

// lockDir keeps a second process from the same data.
func lockDir(dir string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another darkd uses %s; stop it, or take --data DIR and --host 127.0.0.2", dir)
	}
	return func() { f.Close() }, nil
}

// addrs is a port on the host, and on ::1 where the host is 127.0.0.1 and there is IPv6.
func (d *dev) addrs(port string) []string {
	out := []string{net.JoinHostPort(d.host, port)}
	if d.host == "127.0.0.1" && hasIPv6() {
		out = append(out, net.JoinHostPort("::1", port))
	}
	return out
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func (d *dev) addr(port string) string { return net.JoinHostPort(d.host, port) }

// init makes the cluster at the first start.
func (d *dev) init(ctx context.Context) error {
	if _, err := os.Stat(d.path("admin.token")); err == nil {
		return nil
	}
	// A first start that did not come to its end left nothing worth keeping.
	if err := os.RemoveAll(d.path("control")); err != nil {
		return err
	}
	res, err := controlplane.Init(ctx, controlplane.InitConfig{
		Dir: d.path("control"), Name: "control-1", Transport: d.addr(portTransport),
		Hosts: []string{"localhost"}, Timing: consensus.LAN, Logger: d.log,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "A new platform has begun in %s.\nIts recovery key, shown this once: %s\n\n", d.dir,
		res.RecoveryKey)
	return keyring.WriteFile(d.path("admin.token"), []byte(res.AdminToken+"\n"), 0o600)
}

// serve runs the control node and the edge until the context ends or one of them fails.
func (d *dev) serve(ctx context.Context) error {
	seen, err := observe(d.addrs(portMetrics)...)
	if err != nil {
		return err
	}
	d.buckets.domains = d.objects.domains
	control, err := controlplane.New(controlplane.Config{
		Dir: d.path("control"), Transport: d.addr(portTransport), Feed: d.addr(portFeed), API: d.addrs(portAdmin),
		Insecure: true,
		Kinds:    controlKinds([]string{"localhost"}, d.buckets.options()), Timing: consensus.LAN, Logger: d.log,
		Registry: seen, Version: version(),
	})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	fail := make(chan error, 2)
	// The edge goes first, so that it can tell the control node how far it came.
	cctx, stopControl := context.WithCancel(context.WithoutCancel(ctx))
	wg.Add(1)
	go func() { defer wg.Done(); fail <- control.Run(cctx) }()
	var edgeDone sync.WaitGroup
	defer wg.Wait()
	defer stopControl()
	defer edgeDone.Wait()
	defer stop()
	select {
	case <-control.Ready():
	case err := <-fail:
		return err
	case <-ctx.Done():
		return nil
	}
	if err := control.WaitLeader(ctx); err != nil {
		return nil
	}
	if err := d.enrolEdge(ctx, control); err != nil {
		return err
	}
	e := edgeSettings{
		dir: d.path("edge"), dns: d.addrs(portDNS), log: d.level, answers: d.answers, objects: d.objects,
		metricNames: true,
	}
	e.objects.addresses = d.addrs(portS3)
	node, err := e.open(d.log, seen)
	if err != nil {
		return err
	}
	seen.whenReady(func() error { return errors.Join(control.Well(), node.Ready()) })
	edgeDone.Add(1)
	go func() { defer edgeDone.Done(); fail <- node.Run(ctx) }()
	if err := d.announce(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-fail:
		return err
	}
}

// enrolEdge makes the edge a node, at the first start.
func (d *dev) enrolEdge(ctx context.Context, control *controlplane.Node) error {
	if _, err := edge.ReadSelf(d.path("edge")); err == nil {
		return nil
	}
	token, err := control.CreateJoinToken(ctx, &clusterv1.CreateJoinTokenRequest{
		Node: devEdge, Role: ca.Edge,
		Hosts: []string{d.host},
	}, &statev1.Origin{Who: "controller:dev"})
	if err != nil {
		return err
	}
	join := func(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
		return control.Join(ctx, r, d.host)
	}
	return edge.Enrol(ctx, d.path("edge"), token.Token, join, []string{d.host})
}

// announce makes the demo, waits until it is answered, and tells people and tools.
func (d *dev) announce(ctx context.Context) error {
	token, err := os.ReadFile(d.path("admin.token"))
	if err != nil {
		return err
	}
	f := devFile{CA: d.path("ca.pem")}
	f.Admin.URL, f.Admin.Token = "http://"+d.addr(portAdmin), strings.TrimSpace(string(token))
	f.DNS.UDP, f.DNS.TCP = d.addr(portDNS), d.addr(portDNS)
	f.Metrics.URL = "http://" + d.addr(portMetrics) + "/metrics"
	f.Demo.Org, f.Demo.Zone, f.Demo.Bucket = demoOrganization, demoZone, demoBucket
	f.S3.URL, f.S3.Region = d.s3URL(), d.buckets.region
	if err := d.writeCA(f.CA); err != nil {
		return err
	}
	mctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	made, err := makeDemo(mctx, d.addr(portAdmin), f.Admin.Token, d.path(fileS3Key))
	f.S3.AccessKey, f.S3.SecretKey = made.ID, made.Secret
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("make the demo: %w", err)
	}
	name, err := d.writeContext(f)
	if err != nil {
		d.log.Warn("the context for dark was not written", "err", err)
	}
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := keyring.WriteFile(d.path("dev.json"), append(b, '\n'), 0o600); err != nil {
		return err
	}
	return d.print(f, name)
}

func (d *dev) s3URL() string {
	if d.objects.cert != "" {
		return "https://" + d.addr(portS3)
	}
	return "http://" + d.addr(portS3)
}

func (d *dev) writeCA(path string) error {
	c, err := edge.Credentials(d.path("edge"))
	if err != nil {
		return err
	}
	var out []byte
	for _, a := range c.Authorities() {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Raw})...)
	}
	return keyring.WriteFile(path, out, 0o644)
}

// writeContext lets dark find this platform without being told.
func (d *dev) writeContext(f devFile) (string, error) {
	name := "dev"
	if d.host != "127.0.0.1" {
		name += "-" + d.host
	}
	path, err := contexts.Path()
	if err != nil {
		return name, err
	}
	file, err := contexts.Load(path)
	if err != nil {
		return name, err
	}
	file.Put(name, contexts.Context{
		Addr: f.Admin.URL, Token: f.Admin.Token, Organization: f.Demo.Org,
		S3: contexts.S3{URL: f.S3.URL, Region: f.S3.Region, AccessKey: f.S3.AccessKey, SecretKey: f.S3.SecretKey},
	}, false)
	return name, file.Save(path)
}

func (d *dev) print(f devFile, context string) error {
	host, port, err := net.SplitHostPort(f.DNS.UDP)
	if err != nil {
		return err
	}
	dark := darkCommand() + " --context " + context
	_, err = fmt.Fprintf(d.out, `Dark is ready. Data is in %[1]s.

  admin    %[2]s           curl -H "Authorization: Bearer $(cat %[1]s/admin.token)" -H "Dark-Organization: %[3]s" %[2]s/v1/zones
  dns      %[4]s udp, tcp      dig @%[5]s -p %[6]s www.%[7]s
  s3       %[10]s           AWS_ACCESS_KEY_ID=%[11]s AWS_SECRET_ACCESS_KEY=%[12]s aws --endpoint-url %[10]s --region %[13]s s3 ls s3://%[14]s
  metrics  %[8]s   curl -s %[8]s | grep dark_

  Try:     %[9]s get zones
           %[9]s records set %[7]s hello A 192.0.2.7 && dig @%[5]s -p %[6]s +short hello.%[7]s
           %[9]s nodes

XDP is off: this platform answers from sockets. Ctrl-C stops it; what you made stays.
`, d.dir, f.Admin.URL, f.Demo.Org, f.DNS.UDP, host, port, f.Demo.Zone, f.Metrics.URL, dark,
		f.S3.URL, f.S3.AccessKey, f.S3.SecretKey, f.S3.Region, f.Demo.Bucket)
	return err
}

// darkCommand is what to type for dark: its name where the PATH has it, and otherwise its path beside this
// executable, as after make.
func darkCommand() string {
	if _, err := exec.LookPath("dark"); err == nil {
		return "dark"
	}
	self, err := os.Executable()
	if err != nil {
		return "dark"
	}
	beside := filepath.Join(filepath.Dir(self), "dark")
	if st, err := os.Stat(beside); err != nil || !st.Mode().IsRegular() {
		return "dark"
	}
	here, err := os.Getwd()
	if err != nil {
		return beside
	}
	if short, err := filepath.Rel(here, beside); err == nil && !strings.HasPrefix(short, "..") {
		return "./" + short
	}
	return beside
}
