// Command standalone serves one zone file on loopback by the batched UDP loop, without
// a control plane: what bench/dns measures beside other servers.
//
//	standalone PORT APEX FILE
//
// DARK_BENCH_PROFILE names a file for a CPU profile.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime/pprof"
	"strconv"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/masterfile"
	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	"github.com/dark-ecosystem/dark/internal/clock"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: standalone PORT APEX FILE")
	}
	port, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("port: %w", err)
	}
	stop, err := startProfile(os.Getenv("DARK_BENCH_PROFILE"))
	if err != nil {
		return err
	}
	defer stop()
	z, err := load(args[1], args[2])
	if err != nil {
		return fmt.Errorf("load %s: %w", args[2], err)
	}
	h := serve.NewHandler(clock.Clock{})
	v := &dns.View{}
	v.Zones = v.Zones.With(z)
	h.Swap(v)
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	return h.ServeBatch(ctx, c)
}

// load reads a zone file through the compiler of admission.
func load(apex, file string) (*zone.Zone, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := zone.New(apex, zone.SOA{MName: "ns." + apex, RName: "hostmaster." + apex, Minimum: 300, TTL: 3600}, 1)
	if err != nil {
		return nil, err
	}
	ed := z.Edit()
	err = masterfile.Read(f, apex, func(r masterfile.Record) error {
		typ := zone.FormatType(r.Type)
		if typ == "SOA" {
			return nil
		}
		rr, bad := zone.ParseRecordSet(apex, r.Owner, typ, r.TTL, []string{r.Text})
		if bad != nil {
			return fmt.Errorf("line %d: %s", r.Line, bad[0].Text)
		}
		return ed.Put(rr)
	})
	return ed.Zone(), err
}

// startProfile writes a CPU profile to a file until stop; an empty path writes none.
func startProfile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}
