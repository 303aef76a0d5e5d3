package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

// server is one of those compared: a process and how to reach it.
type server struct {
	name string
	cmd  *exec.Cmd
	host string
	who  s3client.Credentials
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}

// startDark runs darkd dev.
func startDark(ctx context.Context, dir, host string) (*server, error) {
	d, err := rig.StartDev(ctx, filepath.Join(dir, "dark"), host)
	if err != nil {
		return nil, err
	}
	return &server{name: "dark", cmd: d.Cmd, host: d.Host, who: s3client.Credentials{
		Access: d.Access, Secret: d.Secret, Region: d.Region,
	}}, nil
}

// startVersity runs versitygw on its posix backend, which neither encrypts nor syncs.
func startVersity(ctx context.Context, dir, bin, host string) (*server, error) {
	dir = filepath.Join(dir, "versitygw")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	s := &server{name: "versitygw", host: net.JoinHostPort(host, "9001"), who: s3client.Credentials{
		Access: "bench",
		Secret: "bench-secret-key", Region: "us-east-1",
	}}
	s.cmd = exec.CommandContext(ctx, bin, "--access", s.who.Access, "--secret", s.who.Secret, "--port", s.host,
		"--quiet", "posix", dir)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	err := rig.Listens(ctx, s.host)
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("versitygw: %w", err)
	}
	return s, nil
}
