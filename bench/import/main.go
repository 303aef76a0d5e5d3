// Command import measures the import of a large zone: the time until it is acknowledged,
// the time until an edge answers from it, and the most memory that the control node and
// the edge ever had. One control node and one edge run on loopback.
//
//	go run ./bench/import [-records 1000000]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/deploy/lab"
)

const apex = "import.test"

func main() {
	records := flag.Int("records", 1_000_000, "record sets of the zone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *records); err != nil {
		fmt.Fprintln(os.Stderr, "import:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, records int) (err error) {
	fmt.Println(rig.Machine())
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	r, err := rig.Start(ctx, 1, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	conn, err := r.Dial(r.Controls[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	ask := rig.NewAsker(r.Edges[0].Addr + ":5300")
	defer ask.Close()
	begin := time.Now()
	res, err := rig.Import(r.As(ctx, rig.Organization), conn, apex, &rig.Zone{Records: records})
	if err != nil {
		return err
	}
	acked := time.Since(begin)
	if err := ask.Until(ctx, "last."+apex, "here"); err != nil {
		return err
	}
	served := time.Since(begin)
	fmt.Printf("\n| records | acknowledged | served by the edge | control CPU, peak memory | edge CPU, peak memory " +
		"|\n|--:|--:|--:|--:|--:|\n")
	fmt.Printf("| %d | %v | %v | %s | %s |\n", res.Created, acked.Round(time.Millisecond),
		served.Round(time.Millisecond),
		used(r, r.Controls[0]), used(r, r.Edges[0]))
	return nil
}

// used is what a node has used of the machine.
func used(r *rig.Rig, p *lab.Proc) string {
	pid, err := r.Pid(p)
	if err != nil {
		return err.Error()
	}
	peak, err := rig.PeakMemory(pid)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%v, %d MiB", rig.CPU(pid).Round(100*time.Millisecond), peak>>20)
}
