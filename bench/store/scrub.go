package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// measureScrub opens every seal of so many MiB that were just written.
func measureScrub(ctx context.Context, mib int) (err error) {
	o, err := openStore()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	data := make([]byte, 16<<20)
	rand.Read(data)
	for i := range mib / 16 {
		if err := o.put(ctx, fmt.Sprint("o", i), data); err != nil {
			return err
		}
	}
	before, begin := rig.CPU(os.Getpid()), time.Now()
	if _, err := o.store.Scrub(ctx, nil); err != nil {
		return err
	}
	wall, cpu := time.Since(begin), rig.CPU(os.Getpid())-before
	size := float64(mib/16*16) / 1024
	fmt.Printf("scrub of %.1f GiB: %.2f GiB/s, %.2f GiB a CPU second\n", size, size/wall.Seconds(), size/cpu.Seconds())
	return nil
}

func (o *opened) put(ctx context.Context, key string, data []byte) error {
	w, err := o.space.Write(ctx, store.Sealing{}, int64(len(data)))
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	b, err := w.Finish()
	if err != nil {
		return err
	}
	_, err = o.space.Commit(ctx, store.Op{
		Kind: store.Put, Key: []byte(key), Size: int64(len(data)), Value: []byte{0},
		Body: b, Counts: true,
	})
	return err
}
