package storage

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// TestConnectionsShareTheBandwidth: what two connections move together takes as long as one rate allows.
func TestConnectionsShareTheBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1 << 20
		dial := (&pacer{perSecond: 256 << 10}).dialer(func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() { _, _ = io.Copy(far, far) }() // ends with near
			return near, nil
		})
		begin := time.Now()
		done := make(chan error)
		for range 2 {
			c, err := dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { _, err := c.Write(make([]byte, n)); done <- err }()
			go func() { _, err := io.CopyN(io.Discard, c, n); done <- err }()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took != 16*time.Second { // 2 connections, 2 ways, 1 MiB each
			t.Errorf("4 MiB at 256 KiB a second took %s", took)
		}
	})
}

// TestACloseEndsTheWait: an interrupted run does not sit out what was reserved.
func TestACloseEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		p := &pacer{perSecond: 1024}
		c, err := p.dialer(func(context.Context, string, string) (net.Conn, error) {
			return near, nil
		})(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, far) }() // ends with near
		p.reserve(1<<20, time.Now())
		begin, done := time.Now(), make(chan struct{})
		go func() { _, _ = c.Write([]byte("x")); close(done) }()
		synctest.Wait()
		c.Close()
		<-done
		if time.Since(begin) != 0 {
			t.Errorf("the write went on for %s", time.Since(begin))
		}
	})
}

// TestTransfersKeepToTheBandwidth, uploads and downloads both.
func TestTransfersKeepToTheBandwidth(t *testing.T) {
	_, env, _, _ := newFake(t)
	dir := t.TempDir()
	file := put(t, filepath.Join(dir, "file"), noise(256<<10))
	for _, args := range [][]string{
		{"cp", file, "s3://box/k"},
		{"cp", "s3://box/k", filepath.Join(dir, "back")},
		{"cat", "s3://box/k"},
	} {
		begin := time.Now()
		if err := dark(env, append(args, "--bandwidth", "1MiB")...); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 240*time.Millisecond {
			t.Errorf("%v: 256 KiB at 1 MiB a second took %s", args, took)
		}
	}
}

func TestBandwidthIsReadAsWritten(t *testing.T) {
	for text, want := range map[string]rate{
		"4096": 4096, "10MiB": 10 << 20, "1.5MB": 1_500_000, "500k": 500 << 10, "1 GiB/s": 1 << 30, "64KB": 64000,
	} {
		var r rate
		if err := r.Set(text); err != nil || r != want {
			t.Errorf("%q: %d, %v", text, r, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "10 miles", "MiB", "1e9GiB", "99999999GiB", "NaN", "inf"} {
		var r rate
		if err := r.Set(text); err == nil {
			t.Errorf("%q was taken: %d", text, r)
		}
	}
	_, env, _, _ := newFake(t)
	if err := dark(env, "cp", "x", "s3://box/k", "--bandwidth", "10KiB"); exit.Of(err).Code != exit.Usage {
		t.Errorf("a bandwidth at which the endpoint would end transfers: %v", err)
	}
}
