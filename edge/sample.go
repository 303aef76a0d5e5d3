package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/dataplane/dns/tap"
)

const (
	sampleRoom  = 1024 // samples that wait for their reader
	tapRetry    = 5 * time.Second
	tapDeadline = 5 * time.Second // a reader that takes nothing for so long is left
)

// sample gives samples to the query log and to dnstap, as the configuration says, until
// ctx ends. The handler keeps one sampler, so each sample goes to both.
func (c *Config) sample(ctx context.Context, h *serve.Handler) {
	if c.QueryLog == "" && c.DNSTap == "" {
		return
	}
	s := serve.NewSampler(max(c.QueryLogSample, 1), sampleRoom)
	h.Sample(s)
	defer h.Sample(nil)
	var outs []chan serve.Sample
	var writing sync.WaitGroup
	defer writing.Wait()
	start := func(what string, write func(context.Context, <-chan serve.Sample) error) {
		out := make(chan serve.Sample, sampleRoom)
		outs = append(outs, out)
		writing.Go(func() { c.keepWriting(ctx, what, func() error { return write(ctx, out) }) })
	}
	if c.QueryLog != "" {
		start("query log", c.writeLog)
	}
	if c.DNSTap != "" {
		start("dnstap", c.writeTap)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.Samples():
			for _, out := range outs {
				select {
				case out <- m:
				default: // that reader is slow or away; what it misses is not kept for it
				}
			}
		}
	}
}

// keepWriting begins again what failed: a reader may come later, a disk get room.
func (c *Config) keepWriting(ctx context.Context, what string, write func() error) {
	for ctx.Err() == nil {
		if err := write(); err != nil && ctx.Err() == nil {
			c.Logger.Warn("edge: "+what, "err", err, "again in", tapRetry)
		}
		t := time.NewTimer(tapRetry)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// writeLog appends lines of JSON to a file, which is opened anew after each failure.
func (c *Config) writeLog(ctx context.Context, samples <-chan serve.Sample) (err error) {
	f, err := os.OpenFile(c.QueryLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tap.Log(ctx, slog.New(slog.NewJSONHandler(f, nil)), samples)
	return nil
}

// writeTap writes dnstap to a listening Unix socket, or to a new file.
func (c *Config) writeTap(ctx context.Context, samples <-chan serve.Sample) (err error) {
	if st, serr := os.Stat(c.DNSTap); serr == nil && st.Mode()&os.ModeSocket != 0 {
		return c.tapSocket(ctx, samples)
	}
	// What an earlier run wrote is complete in itself, and a stream has one beginning.
	f, err := os.OpenFile(c.DNSTap, os.O_TRUNC|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return tap.NewStream(f, c.Name, c.Version).Copy(ctx, samples)
}

func (c *Config) tapSocket(ctx context.Context, samples <-chan serve.Sample) error {
	conn, err := (&net.Dialer{Timeout: tapDeadline}).DialContext(ctx, "unix", c.DNSTap)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := tap.NewStream(slowWriter{conn}, c.Name, c.Version)
	if err := conn.SetReadDeadline(time.Now().Add(tapDeadline)); err != nil {
		return err
	}
	if err := s.Handshake(conn); err != nil {
		return fmt.Errorf("%s: %w", c.DNSTap, err)
	}
	if err := s.Copy(ctx, samples); err != nil {
		return err
	}
	// The reader says FINISH and closes: then it has all.
	if err := conn.SetReadDeadline(time.Now().Add(tapDeadline)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// slowWriter gives up on a reader that takes nothing.
type slowWriter struct{ net.Conn }

func (w slowWriter) Write(b []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(tapDeadline)); err != nil {
		return 0, err
	}
	return w.Conn.Write(b)
}
