package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Dev is a `darkd dev` in a process of its own, with encryption and syncs as it always has them.
type Dev struct {
	Cmd  *exec.Cmd
	Dir  string // its --data
	Host string // HOST:PORT of its S3
	// Region and the key of its S3.
	Region, Access, Secret string
}

// StartDev starts one on a host and waits until it serves S3.
func StartDev(ctx context.Context, dir, host string) (*Dev, error) {
	bin, err := Darkd()
	if err != nil {
		return nil, err
	}
	d := &Dev{Dir: dir, Cmd: exec.CommandContext(ctx, bin, "dev", "--data", dir, "--host", host)}
	d.Cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir)
	d.Cmd.Stderr = os.Stderr
	if err := d.Cmd.Start(); err != nil {
		return nil, err
	}
	var f struct {
		S3 struct{ URL, Region, AccessKey, SecretKey string }
	}
	err = until(ctx, func() error {
		b, err := os.ReadFile(filepath.Join(dir, "dev.json"))
		if err == nil {
			err = json.Unmarshal(b, &f)
		}
		if err == nil {
			err = answers(f.S3.URL)
		}
		return err
	})
	u, perr := url.Parse(f.S3.URL)
	if err != nil || perr != nil {
		d.Stop()
		return nil, fmt.Errorf("darkd dev: %w, %w", err, perr)
	}
	d.Host, d.Region, d.Access, d.Secret = u.Host, f.S3.Region, f.S3.AccessKey, f.S3.SecretKey
	return d, nil
}

func answers(address string) error {
	resp, err := http.Get(address) //nolint:noctx // until bounds it
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Stop interrupts it and waits for its end.
func (d *Dev) Stop() {
	_ = d.Cmd.Process.Signal(os.Interrupt)
	_ = d.Cmd.Wait()
}

// Pid is its process.
func (d *Dev) Pid() int { return d.Cmd.Process.Pid }

// Until tries again and again for half a minute.
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

// Listens says whether something listens at an address, within half a minute.
func Listens(ctx context.Context, address string) error {
	return until(ctx, func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err
	})
}
