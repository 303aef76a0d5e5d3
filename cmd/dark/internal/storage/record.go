package storage

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// record is the journal of one unfinished upload: which one it is and which of its parts
// the endpoint has. It says which of an endpoint's uploads were begun by this command. A
// line is written for each part; a torn last line is as good as none.
type record struct {
	path string
	head recordHead

	mu struct {
		sync.Mutex
		file  *os.File
		parts map[int]recordPart
	}
}

type recordHead struct {
	Upload   string `json:"upload"`
	PartSize int64  `json:"partSize"`
	// What it is of, for people who look into the file.
	Target string `json:"target"`
	Source string `json:"source"`
}

type recordPart struct {
	Number int    `json:"n"`
	ETag   string `json:"etag"`
	MD5    string `json:"md5"`
}

// maxRecord bounds what is read: 10,000 parts have far less.
const maxRecord = 4 << 20

// stateDir is where journals are: state that should outlive a restart, but is no
// configuration (XDG base directory specification).
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "dark", "uploads"), nil
	}
	if runtime.GOOS == "windows" {
		dir, err := os.UserCacheDir()
		return filepath.Join(dir, "dark", "uploads"), err
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find where unfinished uploads are noted: %w (set HOME or XDG_STATE_HOME)", err)
	}
	return filepath.Join(home, ".local", "state", "dark", "uploads"), nil
}

// openRecord finds the journal of uploading a file to an object; one that does not exist
// has an empty head.
func openRecord(endpoint string, source string, target location) (*record, error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	if source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(endpoint + "\x00" + target.String() + "\x00" + source))
	r := &record{path: filepath.Join(dir, hex.EncodeToString(sum[:16])+".jsonl")}
	r.head.Target, r.head.Source = target.String(), source
	r.mu.parts = map[int]recordPart{}
	return r, r.load()
}

func (r *record) load() error {
	f, err := os.Open(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the journal of an upload: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size() > maxRecord {
		return err
	}
	lines := bufio.NewScanner(f)
	if !lines.Scan() {
		return lines.Err()
	}
	var head recordHead
	if json.Unmarshal(lines.Bytes(), &head) != nil || head.Target != r.head.Target || head.Source != r.head.Source {
		return nil // of something else, or torn: the upload begins anew
	}
	r.head = head
	for lines.Scan() {
		var p recordPart
		if json.Unmarshal(lines.Bytes(), &p) == nil && p.Number > 0 {
			r.mu.parts[p.Number] = p
		}
	}
	return lines.Err()
}

// begin notes a new upload before its first part is sent.
func (r *record) begin(upload string, partSize int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head.Upload, r.head.PartSize = upload, partSize
	clear(r.mu.parts)
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return fmt.Errorf("note an upload: %w", err)
	}
	_ = r.closeLocked()
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("note an upload: %w", err)
	}
	r.mu.file = f
	return errors.Join(writeJSON(f, r.head), f.Sync())
}

// add notes a part that the endpoint has.
func (r *record) add(p recordPart) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.parts[p.Number] = p
	if r.mu.file == nil {
		f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("note a part: %w", err)
		}
		r.mu.file = f
		// Behind a torn line the next one would be torn as well.
		if _, err := f.WriteString("\n"); err != nil {
			return err
		}
	}
	return writeJSON(r.mu.file, p)
}

// has tells whether the endpoint's part with this ETag is known to be of these bytes: by
// the ETag itself where it is their MD5, by the journal where it is not (SSE-KMS, SSE-C).
func (r *record) has(number int, etag, md5 string) bool {
	if strings.EqualFold(etag, md5) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.mu.parts[number]
	return ok && etag != "" && p.ETag == etag && p.MD5 == md5
}

// close keeps the journal for a next run.
func (r *record) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closeLocked()
}

func (r *record) closeLocked() error {
	if r.mu.file == nil {
		return nil
	}
	err := r.mu.file.Close()
	r.mu.file = nil
	return err
}

// remove forgets the upload: it is done, or gone.
func (r *record) remove() error {
	err := r.close()
	if rerr := os.Remove(r.path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}
