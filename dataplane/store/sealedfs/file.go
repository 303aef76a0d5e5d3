package sealedfs

import (
	"crypto/aes"
	"crypto/cipher"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file.
type file struct {
	vfs.File
	block cipher.Block
	iv    [16]byte
	empty bool  // a crash left it without a header
	write int64 // where the next Write goes
	read  int64 // where the next Read comes from
}

// crypt encrypts or decrypts octets that lie at an offset.
func (f *file) crypt(dst, src []byte, offset int64) {
	iv := counter(f.iv, offset)
	s := cipher.NewCTR(f.block, iv[:])
	if skip := int(offset % aes.BlockSize); skip > 0 {
		var waste [aes.BlockSize]byte
		s.XORKeyStream(waste[:skip], waste[:skip])
	}
	s.XORKeyStream(dst, src)
}

// Write implements vfs.File; it changes p, as that allows.
func (f *file) Write(p []byte) (int, error) {
	f.crypt(p, p, f.write)
	n, err := f.File.Write(p)
	f.write += int64(n)
	return n, err
}

// buffers are for WriteAt, which must leave what it is given alone.
var buffers = sync.Pool{New: func() any { b := make([]byte, 64<<10); return &b }}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, offset int64) (done int, err error) {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for len(p) > 0 {
		part := (*b)[:min(len(p), len(*b))]
		f.crypt(part, p[:len(part)], offset)
		n, err := f.File.WriteAt(part, headerSize+offset)
		done += n
		if err != nil {
			return done, err
		}
		p, offset = p[n:], offset+int64(n)
	}
	return done, nil
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	if f.empty {
		return 0, io.EOF
	}
	n, err := f.File.ReadAt(p, headerSize+offset)
	f.crypt(p[:n], p[:n], offset)
	return n, err
}

// Read implements vfs.File.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.read)
	f.read += int64(n)
	if n > 0 {
		return n, nil
	}
	return n, err
}

// Stat implements vfs.File.
func (f *file) Stat() (vfs.FileInfo, error) {
	info, err := f.File.Stat()
	if err != nil {
		return nil, err
	}
	return shorter{info}, nil
}

// Preallocate implements vfs.File.
func (f *file) Preallocate(offset, length int64) error {
	return f.File.Preallocate(headerSize+offset, length)
}

// SyncTo implements vfs.File.
func (f *file) SyncTo(length int64) (bool, error) { return f.File.SyncTo(headerSize + length) }

// Prefetch implements vfs.File.
func (f *file) Prefetch(offset, length int64) error {
	return f.File.Prefetch(headerSize+offset, length)
}
