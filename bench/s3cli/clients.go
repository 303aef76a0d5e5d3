package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
)

// server is one darkd dev.
type server struct {
	cmd  *exec.Cmd
	dark string // the path of the command dark
	dir  string
	s3   struct{ URL, Region, AccessKey, SecretKey string }
}

func start(ctx context.Context, dir, host string) (*server, error) {
	bin, err := rig.Darkd()
	if err != nil {
		return nil, err
	}
	s := &server{dark: filepath.Join(filepath.Dir(bin), "dark"), dir: dir}
	if _, err := os.Stat(s.dark); err != nil {
		return nil, fmt.Errorf("no dark beside %s: %w; run `make build`", bin, err)
	}
	s.cmd = exec.CommandContext(ctx, bin, "dev", "--data", dir, "--host", host)
	s.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("darkd dev: %w", err), s.stop())
	}
	return s, nil
}

// ready waits for dev.json, which darkd dev writes last.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		b, err := os.ReadFile(filepath.Join(s.dir, "dev.json"))
		if err == nil {
			var f struct {
				S3 *struct{ URL, Region, AccessKey, SecretKey string }
			}
			if err = json.Unmarshal(b, &f); err == nil && f.S3 != nil {
				s.s3 = *f.S3
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *server) stop() error {
	err := s.cmd.Process.Signal(os.Interrupt)
	var ended *exec.ExitError
	if werr := s.cmd.Wait(); !errors.As(werr, &ended) {
		err = errors.Join(err, werr)
	}
	return err
}

// client is one of those that are compared.
type client struct {
	name       string
	at         func(bucket, key string) string
	copy, sync func(ctx context.Context, from, to string) error
	makeBucket func(ctx context.Context, name string) error
}

// clients are dark, and rclone where it is installed.
func (s *server) clients() []client {
	dark := func(args ...string) func(context.Context, ...string) error { return s.command(s.dark, args...) }
	list := []client{{
		name: "dark", at: func(bucket, key string) string { return "darkstorage://" + bucket + "/" + key },
		copy: pair(dark("storage", "cp", "-r", "-o", "name")), sync: pair(dark("storage", "sync", "-o", "name")),
		makeBucket: s.makeBucket,
	}}
	if _, err := exec.LookPath("rclone"); err != nil {
		fmt.Fprintln(os.Stderr, "rclone is not installed: dark alone is measured")
		return list
	}
	transfers := []string{"--transfers", "8", "--checkers", "8"}
	return append(list, client{
		name: "rclone", at: func(bucket, key string) string { return remote + bucket + "/" + key },
		copy: pair(s.command("rclone", append(transfers, "copy")...)),
		sync: pair(s.command("rclone", append(transfers, "sync")...)),
	})
}

// makeBucket makes a bucket and waits until the edge has it.
func (s *server) makeBucket(ctx context.Context, name string) error {
	if err := s.command(s.dark, "buckets", "create")(ctx, name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := s.command(s.dark, "storage", "ls")(ctx, "darkstorage://"+name+"/")
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// remote is rclone's name for the endpoint, which the environment describes.
const remote = "bench:"

func pair(run func(context.Context, ...string) error) func(context.Context, string, string) error {
	return func(ctx context.Context, from, to string) error { return run(ctx, from, to) }
}

// environment is this process's without what says where AWS is: the clients are told by their own names.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
}

// command runs a program with the endpoint in its environment. What it says is shown when it fails.
func (s *server) command(path string, args ...string) func(context.Context, ...string) error {
	return func(ctx context.Context, more ...string) error {
		c := exec.CommandContext(ctx, path, append(append([]string{}, args...), more...)...)
		c.Env = append(environment(), "XDG_CONFIG_HOME="+s.dir, "XDG_STATE_HOME="+s.dir,
			"DARK_S3_URL="+s.s3.URL, "DARK_S3_REGION="+s.s3.Region, "DARK_S3_ACCESS_KEY="+s.s3.AccessKey,
			"DARK_S3_SECRET_KEY="+s.s3.SecretKey,
			"RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_BENCH_TYPE=s3", "RCLONE_CONFIG_BENCH_PROVIDER=Other",
			"RCLONE_CONFIG_BENCH_ENDPOINT="+s.s3.URL,
			"RCLONE_CONFIG_BENCH_REGION="+s.s3.Region, "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID="+s.s3.AccessKey,
			"RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY="+s.s3.SecretKey)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %v: %w\n%s", filepath.Base(path), append(args, more...), err, out)
		}
		return nil
	}
}
