package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dark-ecosystem/dark/internal/ca"
)

const (
	fsyncs        = 50
	fsyncSlow     = 10 * time.Millisecond
	diskLow       = 10 // percent
	diskFull      = 1 << 30
	filesNeeded   = 20_000
	clockApart    = 2 * time.Second // the Date header counts whole seconds
	certSoon      = 14 * 24 * time.Hour
	clockPatience = 5 * time.Second
)

// clock compares with a control node when one is named and answers, and otherwise asks
// the kernel.
func (d *doctor) clock(ctx context.Context) finding {
	if d.control.through == "" {
		return synchronised()
	}
	apart, err := d.apart(ctx)
	switch {
	case err != nil:
		f := synchronised()
		f.Text += fmt.Sprintf(" (%s could not be asked: %v)", d.control.through, err)
		return f
	case apart.Abs() > clockApart:
		return fail("clock", "set it right, and run an NTP client on both", "this clock and that of %s are %v apart",
			d.control.through, apart.Round(time.Second).Abs())
	}
	return well("clock", "agrees with %s to 2 s", d.control.through)
}

// apart is how far this clock is before that of a control node.
func (d *doctor) apart(ctx context.Context) (time.Duration, error) {
	creds, err := ca.LoadCredentials(filepath.Join(d.dir, "node.pem"))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, "https://"+d.control.through+"/livez", nil)
	if err != nil {
		return 0, err
	}
	tr := &http.Transport{TLSClientConfig: creds.TLS()}
	defer tr.CloseIdleConnections()
	begin := time.Now()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, fmt.Errorf("its Date: %w", err)
	}
	middle := begin.Add(time.Since(begin) / 2)
	return middle.Sub(theirs.Add(500 * time.Millisecond)), nil
}

// fsync measures what each write waits for.
func (d *doctor) fsync() finding {
	took, err := fsyncTimes(d.dir)
	if err != nil {
		return fail("fsync", "see that the node's user may write there", "%v", err)
	}
	slices.Sort(took)
	median, worst := took[len(took)/2].Round(10*time.Microsecond), took[(len(took)*99-1)/100].Round(10*time.Microsecond)
	if worst > fsyncSlow {
		return warn("fsync", "use a disk whose cache survives power loss, and share it with nobody; each write waits "+
			"for it",
			"median %v, p99 %v of %d", median, worst, len(took))
	}
	return well("fsync", "median %v, p99 %v of %d", median, worst, len(took))
}

func fsyncTimes(dir string) (took []time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, 4096)
	for range fsyncs {
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		at := time.Now()
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(at))
	}
	return took, nil
}

func (d *doctor) disk() finding {
	var s unix.Statfs_t
	if err := unix.Statfs(d.dir, &s); err != nil {
		return fail("disk", "see that the directory is there", "%s: %v", d.dir, err)
	}
	//nolint:unconvert // the fields' types differ by system
	return space(uint64(s.Bavail)*uint64(s.Bsize), uint64(s.Blocks)*uint64(s.Bsize))
}

// space judges what is free of a disk, in bytes.
func space(free, all uint64) finding {
	percent := free * 100 / max(1, all)
	text := fmt.Sprintf("%.1f GiB free, %d%%", float64(free)/(1<<30), percent)
	switch {
	case free < diskFull:
		return fail("disk", "make room: a node whose disk is full stops", "%s", text)
	case percent < diskLow:
		return warn("disk", "make room, or give the node a larger disk", "%s", text)
	}
	return well("disk", "%s", text)
}

func openFiles() uint64 {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0
	}
	return uint64(r.Max) //nolint:unconvert // signed on some systems; Go raises the soft limit to it
}

func files(limit uint64) finding {
	if limit < filesNeeded {
		return warn("open files", fmt.Sprintf("set LimitNOFILE=%d in the unit, or ulimit -n", filesNeeded),
			"at most %d here, %d are wanted; under systemd the unit's limit counts", limit, filesNeeded)
	}
	return well("open files", "at most %d", limit)
}

func (d *doctor) certificate() finding {
	path := filepath.Join(d.dir, "node.pem")
	creds, err := ca.LoadCredentials(path)
	if err != nil {
		return fail("certificate", "remove the node and let it join again", "%v", err)
	}
	return judgeCertificate(creds.Leaf(), d.now)
}

func judgeCertificate(c *x509.Certificate, now time.Time) finding {
	left := c.NotAfter.Sub(now)
	days := int(left / (24 * time.Hour))
	switch {
	case now.Before(c.NotBefore):
		return fail("certificate", "set the clock right", "valid from %s on only",
			c.NotBefore.UTC().Format(time.RFC3339))
	case left <= 0:
		return fail("certificate", "remove the node and let it join again with a new token", "expired on %s",
			c.NotAfter.UTC().Format(time.RFC3339))
	case left < certSoon:
		return warn("certificate", "see that the node reaches the control nodes, where it renews itself",
			"expires in %d days", days)
	}
	return well("certificate", "good for %d days", days)
}

// secrets looks at the modes of what nobody else may read.
func (d *doctor) secrets() []finding {
	var all []finding
	if f := mode(d.dir, "", "700"); f != nil {
		all = append(all, *f)
	}
	names := []string{"machine.key", "node.pem"}
	if d.role == ca.Control {
		names = append(names, "root.age")
	}
	for _, name := range names {
		if f := mode(filepath.Join(d.dir, name), name, "600"); f != nil {
			all = append(all, *f)
		}
	}
	if len(all) == 0 {
		all = append(all, well("secrets", "only the node's user can read them"))
	}
	return append(all, warn("machine key", "encrypt the disk, and remove a node whose disk was lost",
		"it is a file: it does not protect what is on the disk from who takes the disk"))
}

// mode is a finding about a file that others can get at, nil when there is none.
func mode(path, name, want string) *finding {
	st, err := os.Stat(path)
	var f finding
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f = fail("secrets", "remove the node and let it join again", "%s is not there", path)
	case err != nil:
		f = fail("secrets", "run this as the node's user", "%v", err)
	case st.Mode().Perm()&0o077 == 0:
		return nil
	case name == "":
		f = warn("secrets", "chmod "+want+" "+path, "%s is open to others (mode %04o)", path, st.Mode().Perm())
	default:
		f = fail("secrets", "chmod "+want+" "+path+", and let the node join again if it was read",
			"%s can be read by others (mode %04o)", path, st.Mode().Perm())
	}
	return &f
}
