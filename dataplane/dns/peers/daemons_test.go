package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/masterfile"
)

// peer is another server at work on the same zones.
type peer struct {
	name, addr string
	log        string
}

// freePort is a UDP and TCP port of 127.0.0.1 that nobody had a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		l.Close()
		if err == nil {
			c.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// export writes the world's zones as files for the peers.
func (w *world) export(t *testing.T, dir string) {
	t.Helper()
	for apex, z := range w.zones {
		f, err := os.Create(filepath.Join(dir, file(apex)))
		if err != nil {
			t.Fatal(err)
		}
		out := masterfile.NewWriter(f, apex)
		if err := errors.Join(out.Zone(z), out.Flush(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func file(apex string) string { return strings.ReplaceAll(apex, "/", "_") + ".zone" }

// startPeers runs what is installed of Knot, NSD and BIND; the test's end stops them.
func startPeers(t *testing.T, w *world) []*peer {
	t.Helper()
	dir := exportDir(t, w)
	var ps []*peer
	for _, s := range installed(t) {
		ps = append(ps, start(t, dir, s.name, s.path, s.args, s.config, w))
	}
	return ps
}

// startWilling is startPeers for a world that some refuse to load: those are left out.
func startWilling(t *testing.T, w *world) []*peer {
	t.Helper()
	dir := exportDir(t, w)
	var ps []*peer
	for _, s := range installed(t) {
		p := launch(t, dir, s.name, s.path, s.args, s.config, w)
		if err := p.ready(w, 50); err != nil {
			t.Log("refused:", err)
			continue
		}
		ps = append(ps, p)
	}
	return ps
}

func exportDir(t *testing.T, w *world) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.export(t, dir)
	return dir
}

// program is how a peer is run.
type program struct {
	name, path string
	config     func(dir string, port int, w *world) string
	args       []string
}

// installed are the peers that this machine has.
func installed(t *testing.T) (ps []program) {
	t.Helper()
	for _, s := range []program{
		{"knot", "/usr/sbin/knotd", knotConfig, []string{"-c"}},
		{"nsd", "/usr/sbin/nsd", nsdConfig, []string{"-d", "-c"}},
		{"bind", "/usr/sbin/named", bindConfig, []string{"-g", "-n", "1", "-c"}},
	} {
		if _, err := os.Stat(s.path); err != nil {
			missing(t, s.path)
			continue
		}
		ps = append(ps, s)
	}
	return ps
}

// missing fails in CI, where the peers must be installed.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", what)
	}
	t.Logf("%s is not installed: compared without it", what)
}

// start runs a peer and waits until it serves all of the world.
func start(t *testing.T, dir, name, path string, args []string, config func(string, int, *world) string,
	w *world,
) *peer {
	t.Helper()
	p := launch(t, dir, name, path, args, config, w)
	if err := p.ready(w, 1<<20); err != nil {
		text, _ := os.ReadFile(p.log)
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

func launch(t *testing.T, dir, name, path string, args []string, config func(string, int, *world) string,
	w *world,
) *peer {
	t.Helper()
	sub := filepath.Join(dir, name)
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	conf := filepath.Join(sub, "conf")
	if err := os.WriteFile(conf, []byte(config(dir, port, w)), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(sub, "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, append(args, conf)...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, sub
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was told to stop: how it says so is no matter
		log.Close()
	})
	return &peer{name, fmt.Sprintf("127.0.0.1:%d", port), log.Name()}
}

// ready polls until the peer answers for every zone. A peer that is up and fails so
// often to answer has refused the zone.
func (p *peer) ready(w *world, failures int) error {
	c := &mdns.Client{Timeout: 200 * time.Millisecond}
	end := time.Now().Add(time.Minute)
	for apex := range w.zones {
		m := new(mdns.Msg)
		m.SetQuestion(apex+".", mdns.TypeSOA)
		for {
			r, _, err := c.Exchange(m, p.addr)
			if err == nil && r.Rcode == mdns.RcodeSuccess && r.Authoritative {
				break
			}
			if err == nil && r.Rcode == mdns.RcodeServerFailure {
				failures--
			}
			if time.Now().After(end) || failures == 0 {
				return fmt.Errorf("%s does not serve %s: %w", p.name, apex, errors.Join(err, errors.New(reply(r))))
			}
			if err == nil {
				<-time.After(20 * time.Millisecond)
			}
		}
	}
	return nil
}

// reply is the rcode of an answer that may be none.
func reply(m *mdns.Msg) string {
	if m == nil {
		return "no answer"
	}
	return mdns.RcodeToString[m.Rcode]
}

func knotConfig(dir string, port int, w *world) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
    rundir: %[1]s/knot
    listen: 127.0.0.1@%[2]d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 1232
    tcp-io-timeout: 5000
database:
    storage: %[1]s/knot
log:
  - target: stderr
    any: warning
zone:
`, dir, port)
	for apex := range w.zones {
		fmt.Fprintf(&b, "  - domain: %s\n    file: %s/%s\n    semantic-checks: off\n    zonefile-sync: -1\n    "+
			"journal-content: none\n", apex, dir, file(apex))
	}
	return b.String()
}

func nsdConfig(dir string, port int, w *world) string {
	var b strings.Builder
	fmt.Fprintf(&b, `server:
    ip-address: 127.0.0.1@%[2]d
    username: ""
    chroot: ""
    zonesdir: %[1]s
    database: ""
    pidfile: %[1]s/nsd/pid
    zonelistfile: %[1]s/nsd/zones
    xfrdfile: %[1]s/nsd/xfrd
    xfrdir: %[1]s/nsd
    ipv4-edns-size: 1232
    minimal-responses: yes
    refuse-any: no
    rrl-ratelimit: 0
    hide-version: yes
    server-count: 1
remote-control:
    control-enable: no
`, dir, port)
	for apex := range w.zones {
		fmt.Fprintf(&b, "zone:\n    name: %s\n    zonefile: %s\n", apex, file(apex))
	}
	return b.String()
}

func bindConfig(dir string, port int, w *world) string {
	var b strings.Builder
	fmt.Fprintf(&b, `options {
    directory "%[1]s/bind";
    pid-file "%[1]s/bind/pid";
    session-keyfile "%[1]s/bind/session.key";
    listen-on port %[2]d { 127.0.0.1; };
    listen-on-v6 { none; };
    recursion no;
    allow-query { any; };
    minimal-responses yes;
    answer-cookie no;
    zero-no-soa-ttl no;
    max-udp-size 1232;
    edns-udp-size 1232;
    check-integrity no;
    check-names primary ignore;
    check-mx ignore;
    check-sibling no;
    check-wildcard no;
    notify no;
    empty-zones-enable no;
    rate-limit { responses-per-second 0; };
};
controls { };
`, dir, port)
	for apex := range w.zones {
		fmt.Fprintf(&b, "zone \"%s\" { type primary; file \"%s/%s\"; };\n", apex, dir, file(apex))
	}
	return b.String()
}
