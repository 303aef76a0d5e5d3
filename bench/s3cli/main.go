// Command s3cli measures `dark storage` beside rclone, as whole commands on the same trees against one
// `darkd dev`: many small files downloaded, uploaded and synced, in interleaved rounds. Downloads
// of both are compared with the source. Wall time of the command, medians, and dark's ratio to rclone.
//
//	go run ./bench/s3cli [-files 2000] [-rounds 7]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
)

func main() {
	files := flag.Int("files", 2000, "files of a tree, of 200 to 10,000 octets")
	rounds := flag.Int("rounds", 7, "interleaved rounds")
	flag.Parse()
	if err := measure(context.Background(), *files, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, files, rounds int) (err error) {
	dir, err := os.MkdirTemp("", "dark-bench-s3cli")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := start(ctx, filepath.Join(dir, "dev"), "127.0.0.78")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b := &bench{dir: dir, tree: filepath.Join(dir, "tree"), clients: s.clients()}
	if err := makeTree(b.tree, files); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	for round := range rounds {
		if err := b.round(ctx, round); err != nil {
			return err
		}
	}
	fmt.Printf("%s; %d files, 8 transfers a side, %d rounds\n\n", rig.Machine(), files, rounds)
	b.print()
	return nil
}

// bench is one run: what was measured, by work and client.
type bench struct {
	dir, tree string
	clients   []client
	took      map[string]map[string][]time.Duration
}

var works = []string{"download", "upload", "sync up, one file in ten changed", "sync down, nothing changed"}

// prepare uploads what is downloaded.
func (b *bench) prepare(ctx context.Context) error {
	b.took = map[string]map[string][]time.Duration{}
	for _, w := range works {
		b.took[w] = map[string][]time.Duration{}
	}
	for _, bucket := range []string{"bench-source", "bench-target"} {
		if err := b.clients[0].makeBucket(ctx, bucket); err != nil {
			return err
		}
	}
	return b.clients[0].copy(ctx, b.tree, b.clients[0].at("bench-source", "tree"))
}

// round measures each work with each client. Who begins changes from round to round.
func (b *bench) round(ctx context.Context, round int) error {
	order := slices.Clone(b.clients)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	steps := []func(context.Context, client, int) error{b.download, b.upload, b.syncUp, b.syncDown}
	for i, step := range steps {
		if works[i] == works[2] {
			if err := change(b.tree, round); err != nil {
				return err
			}
		}
		for _, c := range order {
			if err := step(ctx, c, round); err != nil {
				return fmt.Errorf("%s: %s: %w", works[i], c.name, err)
			}
		}
	}
	for _, c := range order {
		if err := os.RemoveAll(b.down(c)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) time(work string, c client, do func() error) error {
	begin := time.Now()
	err := do()
	b.took[work][c.name] = append(b.took[work][c.name], time.Since(begin))
	return err
}

// down is where a client downloads to.
func (b *bench) down(c client) string { return filepath.Join(b.dir, "down-"+c.name) }

func (b *bench) download(ctx context.Context, c client, _ int) error {
	err := b.time(works[0], c, func() error { return c.copy(ctx, c.at("bench-source", "tree"), b.down(c)) })
	if err != nil {
		return err
	}
	return sameTree(filepath.Join(b.dir, "first"), b.tree, b.down(c))
}

// up is where a client uploads to: a prefix of its own for each round.
func up(c client, round int) string { return c.at("bench-target", fmt.Sprintf("%s/%d", c.name, round)) }

func (b *bench) upload(ctx context.Context, c client, round int) error {
	return b.time(works[1], c, func() error { return c.copy(ctx, b.tree, up(c, round)) })
}

func (b *bench) syncUp(ctx context.Context, c client, round int) error {
	return b.time(works[2], c, func() error { return c.sync(ctx, b.tree, up(c, round)) })
}

func (b *bench) syncDown(ctx context.Context, c client, _ int) error {
	return b.time(works[3], c, func() error { return c.sync(ctx, c.at("bench-source", "tree"), b.down(c)) })
}

func (b *bench) print() {
	fmt.Println("| work | client | median | spread | to rclone |")
	fmt.Println("|---|---|--:|--:|--:|")
	for _, w := range works {
		base := median(b.took[w]["rclone"])
		for _, c := range b.clients {
			all := b.took[w][c.name]
			ratio := "–"
			if c.name != "rclone" && base > 0 {
				ratio = fmt.Sprintf("%.2f", median(all).Seconds()/base.Seconds())
			}
			fmt.Printf("| %s | %s | %s | %s–%s | %s |\n", w, c.name, short(median(all)), short(slices.Min(all)),
				short(slices.Max(all)), ratio)
		}
	}
}

func median(all []time.Duration) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

func short(d time.Duration) string { return strings.TrimSpace(fmt.Sprintf("%.2f s", d.Seconds())) }
