package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

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

// startDark runs darkd dev, with encryption and syncs on, as it always has them.
func startDark(ctx context.Context, dir, host string) (*server, error) {
	bin, err := rig.Darkd()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "dark")
	s := &server{name: "dark", cmd: exec.CommandContext(ctx, bin, "dev", "--data", dir, "--host", host)}
	s.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	var f struct {
		S3 struct{ URL, Region, AccessKey, SecretKey string }
	}
	err = until(ctx, func() error {
		b, err := os.ReadFile(filepath.Join(dir, "dev.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &f)
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("darkd dev: %w", err)
	}
	u, err := url.Parse(f.S3.URL)
	if err != nil {
		s.stop()
		return nil, err
	}
	s.host, s.who = u.Host, s3client.Credentials{Access: f.S3.AccessKey, Secret: f.S3.SecretKey, Region: f.S3.Region}
	return s, nil
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
	err := until(ctx, func() error {
		c, err := net.Dial("tcp", s.host)
		if err == nil {
			c.Close()
		}
		return err
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("versitygw: %w", err)
	}
	return s, nil
}

// until tries again and again for half a minute.
func until(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
