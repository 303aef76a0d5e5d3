package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

// work is one kind of operation.
type work struct {
	name    string
	clients int
	alone   bool // the peer has nothing like it
	do      func(ctx context.Context, c *s3client.Client, client, n int) error
}

// works are the operations that are measured.
func works(keys int) []work {
	big := random(16 << 20)
	small, large := s3client.Signed(random(4<<10)), s3client.Signed(big)
	stream := s3client.Trailer(big)
	read := func(method, key, query string, least int64) func(context.Context, *s3client.Client, int, int) error {
		return func(ctx context.Context, c *s3client.Client, _, _ int) error {
			n, err := c.Do(ctx, method, "/"+bucket+key, query, s3client.Body{})
			if err == nil && n < least {
				return fmt.Errorf("%s %s: %d octets of %d", method, key, n, least)
			}
			return err
		}
	}
	each := func(b s3client.Body, kept int) func(context.Context, *s3client.Client, int, int) error {
		return func(ctx context.Context, c *s3client.Client, client, n int) error {
			_, err := c.Do(ctx, "PUT", fmt.Sprintf("/%s/put/%d-%d", bucket, client, n%kept), "", b)
			return err
		}
	}
	return []work{
		{"HEAD, 16 connections", 16, false, read("HEAD", "/small", "", 0)},
		{"GET 4 KiB, 16 connections", 16, false, read("GET", "/small", "", 4<<10)},
		{"PUT 4 KiB, 16 connections", 16, false, each(small, 1<<30)},
		{"PUT 4 KiB, 1 connection", 1, false, each(small, 1<<30)},
		{fmt.Sprintf("LIST 1,000 of %d keys", keys), 2, false, read("GET", "", "list-type=2&prefix=list%2F", 100_000)},
		{"PUT 16 MiB signed", 2, false, each(large, 4)},
		{"PUT 16 MiB, chunks and a CRC-32 trailer", 2, false, each(stream, 4)},
		{"the same with SSE-C: no MD5", 2, true, each(stream.WithKey([32]byte{1}), 4)},
		{"GET 16 MiB", 2, false, read("GET", "/large", "", 16<<20)},
	}
}

// run does the work for d. What another left in the page cache is written first: a peer that
// never syncs would have its writes done while this one is measured.
func (w work) run(ctx context.Context, s *server, d time.Duration) rig.Load {
	unix.Sync()
	clients := make([]*s3client.Client, w.clients)
	for i := range clients {
		clients[i] = s3client.New(s.host, s.who)
		defer clients[i].Close()
	}
	return rig.Run(ctx, w.clients, d, []int{s.cmd.Process.Pid}, func(ctx context.Context, client, n int) error {
		return w.do(ctx, clients[client], client, n)
	})
}

// list writes the keys that are listed, by 16 clients.
func (s *server) list(ctx context.Context, keys int) error {
	b := s3client.Signed(random(100))
	var all sync.WaitGroup
	failed := make([]error, 16)
	for i := range failed {
		all.Go(func() {
			c := s3client.New(s.host, s.who)
			defer c.Close()
			for n := i; n < keys && failed[i] == nil; n += len(failed) {
				_, failed[i] = c.Do(ctx, "PUT", fmt.Sprintf("/%s/list/%08d", bucket, n), "", b)
			}
		})
	}
	all.Wait()
	return errors.Join(failed...)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
