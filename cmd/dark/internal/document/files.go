package document

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Read reads all documents of files and directories, in order. "-" is stdin; of a
// directory all files ending in .yaml, .yml or .json are read, those below included, by
// name. Several errors are joined, so that every bad file is named at once.
func Read(paths []string, stdin io.Reader) ([]*Document, error) {
	var docs []*Document
	var bad []error
	for _, p := range paths {
		files, err := expand(p)
		if err != nil {
			bad = append(bad, err)
		}
		for _, f := range files {
			d, err := readFile(f, stdin)
			if err != nil {
				bad = append(bad, err)
			}
			docs = append(docs, d...)
		}
	}
	if bad != nil {
		return nil, errors.Join(bad...)
	}
	return docs, nil
}

func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []string{path}, nil
	}
	var out []string
	err = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(p)) {
			out = append(out, p)
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		return nil, &Error{File: path, Text: "the directory has no .yaml, .yml or .json file"}
	}
	return out, err
}

func readFile(path string, stdin io.Reader) ([]*Document, error) {
	in := stdin
	if path == "-" {
		path = "stdin" // as errors name it
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err != nil {
		return nil, &Error{File: path, Text: err.Error()}
	}
	return Parse(path, b)
}
