// Package sealedfs keeps files unreadable on a stolen disk: a vfs.FS under Pebble that
// encrypts what it writes (AES-256 in counter mode, NIST SP 800-38A), so that names of
// objects, their ETags and the order of both are not in the clear either.
//
// It hides, and does not authenticate: Pebble's own checksums find damage, and what
// counts is sealed again above. Names and sizes of files stay visible.
//
// A file is a header and then its octets, at their offset plus the header's length:
//
//	0..7    "darkfs01"
//	8..23   the counter block of the first octets, random
//	24..31  first octets of HMAC-SHA-256(key, 0..23): tells a wrong key
//	32..63  zero
//
// Values of FS are immutable; files follow the rules of vfs.File.
package sealedfs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	headerSize = 64
	magic      = "darkfs01"
	checkAt    = 24
	checkEnd   = 32
)

// ErrKey is a file that another key encrypted, or whose header is damaged.
var ErrKey = errors.New("not encrypted with this disk's key, or its header is damaged")

// FS is an encrypted view of another FS.
type FS struct {
	vfs.FS
	block cipher.Block
	check []byte // key of the header's check
}

var _ vfs.FS = (*FS)(nil)

// New encrypts what goes through it to inner.
func New(inner vfs.FS, key [32]byte) *FS {
	block, err := aes.NewCipher(derived(key, "files"))
	if err != nil {
		panic(err) // only for keys of another length
	}
	return &FS{FS: inner, block: block, check: derived(key, "header")}
}

func derived(key [32]byte, use string) []byte {
	k, err := hkdf.Key(sha256.New, key[:], nil, "dark disk key v1 "+use, 32)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return k
}

// Unwrap implements vfs.FS.
func (fs *FS) Unwrap() vfs.FS { return fs.FS }

// Create implements vfs.FS.
func (fs *FS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return fs.begin(name, f)
}

// ReuseForWrite implements vfs.FS. What an earlier file left behind the end of a new one
// comes out as noise: to who reads a log that is no record of this log, and its end, as
// octets of another log would be. The new counter block lies within one sector; where a
// crash keeps the old one, nothing of the new log was synced, and the old is no part of it.
func (fs *FS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, c)
	if err != nil {
		return nil, err
	}
	return fs.begin(newname, f)
}

// Open implements vfs.FS.
func (fs *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.IsDir() {
		return f, nil
	}
	return fs.resume(name, f)
}

// OpenReadWrite implements vfs.FS.
func (fs *FS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, c, opts...)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Size() == 0 {
		return fs.begin(name, f)
	}
	return fs.resume(name, f)
}

// Stat implements vfs.FS.
func (fs *FS) Stat(name string) (vfs.FileInfo, error) {
	info, err := fs.FS.Stat(name)
	if err != nil || info.IsDir() {
		return info, err
	}
	return shorter{info}, nil
}

// begin writes the header of a new file.
func (fs *FS) begin(name string, f vfs.File) (vfs.File, error) {
	h := make([]byte, headerSize)
	copy(h, magic)
	rand.Read(h[len(magic):checkAt])
	copy(h[checkAt:checkEnd], fs.sum(h))
	out := &file{File: f, block: fs.block, iv: [16]byte(h[len(magic):checkAt])}
	if _, err := f.Write(h); err != nil {
		return nil, errors.Join(fmt.Errorf("begin %s: %w", name, err), f.Close())
	}
	return out, nil
}

// resume reads the header. A file that a crash left without one was never synced and has
// nothing in it.
func (fs *FS) resume(name string, f vfs.File) (vfs.File, error) {
	h := make([]byte, headerSize)
	n, err := f.ReadAt(h, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), f.Close())
	}
	out := &file{File: f, block: fs.block}
	if n < headerSize || allZero(h) {
		out.empty = true
		return out, nil
	}
	if string(h[:len(magic)]) != magic || !hmac.Equal(h[checkAt:checkEnd], fs.sum(h)) {
		err := fmt.Errorf("open %s: %w", name, ErrKey)
		if strings.HasSuffix(name, ".sst") { // the database's files that it can do without: it sets them aside
			err = fmt.Errorf("%w: %w", err, pebble.ErrCorruption)
		}
		return nil, errors.Join(err, f.Close())
	}
	out.iv = [16]byte(h[len(magic):checkAt])
	return out, nil
}

func (fs *FS) sum(h []byte) []byte {
	m := hmac.New(sha256.New, fs.check)
	m.Write(h[:checkAt])
	return m.Sum(nil)[:checkEnd-checkAt]
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// shorter is a file's info without the header.
type shorter struct{ vfs.FileInfo }

func (s shorter) Size() int64 { return max(0, s.FileInfo.Size()-headerSize) }

var _ os.FileInfo = shorter{}

// counter is the counter block at an offset that is a multiple of 16.
func counter(iv [16]byte, offset int64) [16]byte {
	low := binary.BigEndian.Uint64(iv[8:])
	sum := low + uint64(offset)/aes.BlockSize
	if sum < low {
		binary.BigEndian.PutUint64(iv[:8], binary.BigEndian.Uint64(iv[:8])+1)
	}
	binary.BigEndian.PutUint64(iv[8:], sum)
	return iv
}
