package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// makeTree makes files of 200 to 10,000 octets in 20 directories, the same ones each time.
func makeTree(dir string, files int) error {
	for i := range files {
		name := fileOf(dir, i)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content(uint64(i), 200+i*37%9801), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func fileOf(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("d%02d", i%20), fmt.Sprintf("file-%06d", i))
}

func content(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// change writes one file in ten anew, with another length.
func change(dir string, round int) error {
	for i := 0; ; i += 10 {
		name := fileOf(dir, i)
		st, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(name, content(uint64(i+round), int(st.Size())+1), 0o600); err != nil {
			return err
		}
	}
}

// sameTree compares what was downloaded with what was uploaded first, which it keeps in kept: the tree
// itself changes from round to round.
func sameTree(kept, tree, got string) error {
	if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
		if err := os.CopyFS(kept, os.DirFS(tree)); err != nil {
			return err
		}
	}
	n := 0
	err := filepath.WalkDir(kept, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		rel, err := filepath.Rel(kept, path)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		have, err := os.ReadFile(filepath.Join(got, rel))
		if err == nil && !bytes.Equal(want, have) {
			err = fmt.Errorf("%s differs from what was uploaded", rel)
		}
		return err
	})
	if err == nil && n == 0 {
		err = errors.New("nothing was compared")
	}
	return err
}
