package config

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/frame"
)

// fileRefused is beside the generations while control nodes refuse this edge, and says what
// for. It is for `darkd doctor`, which may look while the edge runs; nothing depends on it.
const fileRefused = "refused"

// refusedHere is what to do about an edge that control nodes do not let in.
const refusedHere = "if the edge was removed, or another machine joined under its name, stop it here; to come back " +
	"it needs a new token and an empty directory: docs/operations/nodes.md"

// tellRefused says once a minute that a control node does not let this edge in.
func (c *Config) tellRefused(err error) {
	var later comeLater
	if !errors.As(err, &later) || !strings.HasPrefix(later.reason, frame.ReasonRefused) {
		return
	}
	if ok, _ := c.told.Allow(frame.ReasonRefused); !ok {
		return
	}
	reason := strings.TrimPrefix(later.reason, frame.ReasonRefused)
	c.o.Log.Error("config: a control node refuses this edge, which goes on serving what it has", "reason", reason,
		"do", refusedHere)
	if err := writeFile(c.store.fs, c.store.path(fileRefused), reason); err != nil {
		c.o.Log.Warn("config: that the edge is refused cannot be noted for darkd doctor", "error", err)
	}
}

// letIn forgets that this edge was refused.
func (c *Config) letIn() {
	if err := c.store.fs.Remove(c.store.path(fileRefused)); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.o.Log.Warn("config: that the edge was refused is still noted", "error", err)
	}
}

func writeFile(fs vfs.FS, name, text string) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(text))
	return errors.Join(err, f.Close())
}

// maxRefused bounds what is read of the file.
const maxRefused = 4 << 10

// Refused says what control nodes refuse the edge of a directory for (Options.Dir); empty
// when they do not, as far as it knows. The edge may be running.
func Refused(dir string) (string, error) {
	f, err := vfs.Default.Open(vfs.Default.PathJoin(dir, subdir, fileRefused))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRefused))
	return string(b), err
}
