package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dark-ecosystem/dark/internal/keyring"
)

// fileListens is where a node writes, at each start, which addresses it was told to listen on, so
// that `darkd doctor --dir DIR` checks the node's own and not the flags' defaults.
const fileListens = "listens.json"

// listens are the addresses of a node, as its settings had them.
type listens struct {
	Transport string   `json:"transport,omitempty"`
	Feed      string   `json:"feed,omitempty"`
	API       []string `json:"api,omitempty"`
	DNS       []string `json:"dns,omitempty"`
	S3        []string `json:"s3,omitempty"`
	Metrics   string   `json:"metrics,omitempty"`
}

func (l listens) write(dir string) error {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return keyring.WriteFile(filepath.Join(dir, fileListens), append(b, '\n'), 0o600)
}

// readListens reads what the last start wrote; false where there was none.
func readListens(dir string) (l listens, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, fileListens))
	if errors.Is(err, fs.ErrNotExist) {
		return l, false, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	return l, err == nil, err
}

func (c *controlSettings) listens() listens {
	return listens{Transport: c.transport, Feed: c.feed, API: c.api, Metrics: c.metrics}
}

func (e *edgeSettings) listens() listens {
	return listens{DNS: e.dns, S3: e.objects.addresses, Metrics: e.metrics}
}

// asStarted fills in where the node listened when it was started last, for each setting that
// nobody stated now. A file that cannot be read leaves the flags' defaults.
func (d *doctor) asStarted(stated func(name string) bool) {
	l, ok, err := readListens(d.dir)
	if !ok || err != nil {
		return
	}
	for name, f := range map[string]func(){
		"transport": func() { d.control.transport = l.Transport },
		"feed":      func() { d.control.feed = l.Feed },
		"api":       func() { d.control.api = l.API },
		"dns":       func() { d.edge.dns = l.DNS },
		"s3":        func() { d.edge.objects.addresses = l.S3 },
		"metrics":   func() { d.control.metrics = l.Metrics },
	} {
		if !stated(name) {
			f()
		}
	}
}
