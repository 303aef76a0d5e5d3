// Package contexts reads and writes the file in which dark finds installations by
// name: $XDG_CONFIG_HOME/dark/contexts.yaml, or ~/.config/dark/contexts.yaml. darkd dev
// writes the context "dev" into it. The file holds tokens, so it is made with mode 0600.
//
// A File is an ordinary value owned by its caller. Save replaces the file in one step:
// a reader sees the old content or the new; of two writers at once the later wins.
package contexts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Context is how one installation is reached.
type Context struct {
	// Addr is http://HOST:PORT (loopback only), https://HOST:PORT or unix:///PATH.
	Addr string `yaml:"addr"`
	// Token is the bearer token; empty for a unix socket.
	Token string `yaml:"token,omitempty"`
	// CA is the path of a PEM file with the installation's CA; empty trusts the system's.
	CA string `yaml:"ca,omitempty"`
	// Organization is named in requests; empty takes the token's own.
	Organization string `yaml:"organization,omitempty"`
	// S3 is the installation's S3 endpoint; the zero value says nothing of one.
	S3 S3 `yaml:"s3,omitempty"`
}

// S3 is how an S3 endpoint is reached.
type S3 struct {
	// URL is http://HOST:PORT or https://HOST:PORT, without a path.
	URL string `yaml:"url,omitempty"`
	// Region that requests are signed for; empty is us-east-1.
	Region string `yaml:"region,omitempty"`
	// AccessKey is the access key's ID.
	AccessKey string `yaml:"accessKey,omitempty"`
	// SecretKey is the access key's secret.
	SecretKey string `yaml:"secretKey,omitempty"`
}

// File is the content of a contexts file. The zero value is an empty file.
type File struct {
	// Current is the name of the context taken when none is named.
	Current string `yaml:"current,omitempty"`
	// Contexts by name.
	Contexts map[string]Context `yaml:"contexts,omitempty"`
}

// maxFile bounds what is read: far more than anyone has.
const maxFile = 1 << 20

// Path returns where the contexts file is, whether or not it exists.
func Path() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the contexts file: %w (set HOME or XDG_CONFIG_HOME)", err)
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "dark", "contexts.yaml"), nil
}

// Load reads the file at path; a file that does not exist is an empty one.
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read contexts: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read contexts %s: %w", path, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read contexts %s: longer than %d bytes", path, maxFile)
	}
	return parse(path, b)
}

func parse(path string, b []byte) (*File, error) {
	out := &File{}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read contexts %s: %w", path, err)
	}
	return out, nil
}

// Save writes the file at path, mode 0600, making its folder where it is missing.
func (f *File) Save(path string) error {
	b, err := yaml.Marshal(f)
	if err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	// CreateTemp makes the file with mode 0600 before the token is in it.
	tmp, err := os.CreateTemp(dir, ".contexts-*")
	if err != nil {
		return fmt.Errorf("write contexts: %w", err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write contexts %s: %w", path, err)
	}
	return nil
}

// Put sets the context of a name and makes it the current one where current says so or
// where there is no current one.
func (f *File) Put(name string, c Context, current bool) {
	if f.Contexts == nil {
		f.Contexts = map[string]Context{}
	}
	f.Contexts[name] = c
	if _, ok := f.Contexts[f.Current]; current || !ok {
		f.Current = name
	}
}

// Remove forgets a context; false when there is none of that name.
func (f *File) Remove(name string) bool {
	if _, ok := f.Contexts[name]; !ok {
		return false
	}
	delete(f.Contexts, name)
	if f.Current == name {
		f.Current = ""
	}
	return true
}

// Names returns the names of all contexts in order.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

// Update loads the file at path, lets change work on it, and saves it.
func Update(path string, change func(*File) error) error {
	f, err := Load(path)
	if err != nil {
		return err
	}
	if err := change(f); err != nil {
		return err
	}
	return f.Save(path)
}
