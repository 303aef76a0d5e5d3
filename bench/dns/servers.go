package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
)

// installation is the control node that the edge follows.
type installation struct {
	*server
	rig *rig.Rig
}

// startDark starts a control node and an edge, and has the edge serve the zone.
func startDark(ctx context.Context, zone string) (*server, *installation, error) {
	r, err := rig.Start(ctx, 1, 1, "--dns-rate", "-1")
	if err != nil {
		return nil, nil, err
	}
	edge, control, err := serveZone(ctx, r, zone)
	if err != nil {
		return nil, nil, errors.Join(err, r.Close())
	}
	return edge, &installation{control, r}, nil
}

func serveZone(ctx context.Context, r *rig.Rig, zone string) (edge, control *server, err error) {
	edge, control = &server{name: "dark", runs: map[string][]run{}}, &server{name: "dark's control node"}
	if edge.at, err = netip.ParseAddrPort(r.Edges[0].Addr + ":5300"); err != nil {
		return nil, nil, err
	}
	if edge.pid, err = r.Pid(r.Edges[0]); err != nil {
		return nil, nil, err
	}
	if control.pid, err = r.Pid(r.Controls[0]); err != nil {
		return nil, nil, err
	}
	conn, err := r.Dial(r.Controls[0])
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	f, err := os.Open(zone)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if _, err := rig.Import(r.As(ctx, rig.Organization), conn, apex, f); err != nil {
		return nil, nil, err
	}
	return edge, control, edge.answers(ctx)
}

// workers is how many processes or threads each peer has: as many as the edge has
// sockets, one a core.
const workers = 2

// peers are the configurations, made of the address, the folder and the zone's file.
var peers = map[string]struct {
	command []string // the configuration's path follows
	conf    string
}{
	"knot": {[]string{"/usr/sbin/knotd", "-c"}, `server:
    rundir: %[2]s
    listen: %[1]s@%[4]d
    udp-workers: %[5]d
    tcp-workers: 1
    background-workers: 1
database:
    storage: %[2]s
log:
  - target: stderr
    any: error
zone:
  - domain: ` + apex + `
    file: %[3]s
    semantic-checks: off
    zonefile-sync: -1
    journal-content: none
`},
	"nsd": {[]string{"/usr/sbin/nsd", "-d", "-c"}, `server:
    ip-address: %[1]s@%[4]d
    username: ""
    chroot: ""
    database: ""
    pidfile: %[2]s/pid
    zonelistfile: %[2]s/zones
    xfrdfile: %[2]s/xfrd
    xfrdir: %[2]s
    minimal-responses: yes
    rrl-ratelimit: 0
    server-count: %[5]d
remote-control:
    control-enable: no
zone:
    name: ` + apex + `
    zonefile: %[3]s
`},
}

// startPeer starts Knot or NSD on the zone.
func startPeer(ctx context.Context, name, dir string) (*server, error) {
	at := netip.MustParseAddrPort("127.0.0.1:15354")
	if name == "nsd" {
		at = netip.MustParseAddrPort("127.0.0.1:15355")
	}
	s := &server{name: name, at: at, runs: map[string][]run{}}
	sub := filepath.Join(dir, name)
	if err := os.Mkdir(sub, 0o755); err != nil {
		return nil, err
	}
	p, path := peers[name], filepath.Join(sub, "conf")
	conf := fmt.Sprintf(p.conf, at.Addr(), sub, filepath.Join(dir, "zone"), at.Port(), workers)
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, p.command[0], append(p.command[1:], path)...)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = s.cmd.Process.Pid
	return s, s.answers(ctx)
}

// answers returns once the zone is served.
func (s *server) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ask := rig.NewAsker(s.at.String())
	defer ask.Close()
	return ask.Until(ctx, "last."+apex, "here")
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}
