// Command writes measures durable writes on three nodes beside three of Debian's etcd, at
// 1, 64 and 512 clients that all speak with the leader, in interleaved rounds of one run:
//
//   - api: record sets written through the public API of three `darkd control`, with
//     authentication, validation, admission and audit, over gRPC and TLS;
//   - log: transactions of one 256-byte value proposed to the leader of three members in
//     this process, which speak over mutual TLS on loopback; what the API is built on;
//   - etcd: Puts of a 256-byte value over gRPC in clear.
//
// Every write of each side is synced by a majority before it counts.
//
//	go run ./bench/writes [-seconds 5] [-rounds 3] [-sides api,log,etcd] [-profile FILE]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/dark-ecosystem/dark/bench/rig"
)

const (
	keysEach    = 100 // keys that each client writes in turn
	connections = 8   // of a side's clients together
)

// side is one of those compared.
type side interface {
	pids() []int
	write(ctx context.Context, client, n int) error
	Close() error
}

type options struct {
	seconds, rounds int
	clients, sides  []string
	warm            time.Duration
	profile         string
}

func main() {
	var o options
	flag.IntVar(&o.seconds, "seconds", 5, "seconds of each measurement")
	flag.IntVar(&o.rounds, "rounds", 3, "interleaved rounds")
	flag.DurationVar(&o.warm, "warm", 2*time.Second, "warm-up of each side")
	clients := flag.String("clients", "1,64,512", "numbers of clients")
	sides := flag.String("sides", "api,log,etcd", "what is measured")
	flag.StringVar(&o.profile, "profile", "",
		"write a CPU profile of this process, which holds the members of `log`, here")
	flag.Parse()
	o.clients, o.sides = strings.Split(*clients, ","), strings.Split(*sides, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "writes:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "dark-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println(rig.Machine())
	all := map[string]side{}
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, name := range o.sides {
		sctx, cancel := context.WithTimeout(ctx, time.Minute)
		s, err := start(sctx, name, dir)
		cancel()
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		all[name] = s
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	return measure(ctx, o, all)
}

func start(ctx context.Context, name, dir string) (side, error) {
	switch name {
	case "api":
		return startAPI(ctx)
	case "log":
		return startLog(ctx, dir)
	case "etcd":
		return startEtcd(ctx, dir)
	}
	return nil, fmt.Errorf("no side is called %q; there are api, log, etcd", name)
}

func measure(ctx context.Context, o options, all map[string]side) error {
	d := time.Duration(o.seconds) * time.Second
	for _, s := range o.sides { // each warms up once
		rig.Run(ctx, 64, o.warm, nil, all[s].write)
	}
	fmt.Printf("\n%d rounds of %v a side, interleaved; median (spread)\n\n", o.rounds, d)
	fmt.Println("| clients | side | writes/s | spread | p50 | p99 | server CPU a write | completed | to etcd |")
	fmt.Println("|--:|---|--:|--:|--:|--:|--:|--:|--:|")
	var bad error
	for _, text := range o.clients {
		clients, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		series := map[string]rig.Series{}
		for round := range o.rounds {
			order := slices.Clone(o.sides)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, name := range order {
				series[name] = append(series[name], rig.Run(ctx, clients, d, all[name].pids(), all[name].write))
			}
		}
		bad = errors.Join(bad, print(clients, o.sides, series))
	}
	return errors.Join(bad, ctx.Err())
}

func print(clients int, sides []string, series map[string]rig.Series) error {
	var bad error
	for _, name := range sides {
		s := series[name]
		m := s.Median()
		ratio := "–"
		if e, ok := series["etcd"]; ok && name != "etcd" {
			ratio = fmt.Sprintf("%.2f×", m.Rate/e.Median().Rate)
		}
		fmt.Printf("| %d | %s | %.0f | %s | %v | %v | %v | %.2f%% | %s |\n", clients, name, m.Rate, s.Spread(),
			m.P50.Round(10*time.Microsecond), m.P99.Round(10*time.Microsecond), m.CPU.Round(time.Microsecond),
			100*s.Completed(), ratio)
		if s.Completed() < 0.999 {
			bad = errors.Join(bad, fmt.Errorf("%s at %d clients: only %.2f%% completed: %w", name, clients,
				100*s.Completed(), s.Err()))
		}
	}
	return bad
}

// value is what is written, 256 bytes that differ from write to write.
func value(n int) []byte {
	v := make([]byte, 256)
	for i := range v {
		v[i] = byte('a' + (i*7+n)%26)
	}
	return v
}

// dialMany opens the connections that a side's clients share.
func dialMany(dial func() (*grpc.ClientConn, error)) ([]*grpc.ClientConn, error) {
	var conns []*grpc.ClientConn
	for range connections {
		c, err := dial()
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}
