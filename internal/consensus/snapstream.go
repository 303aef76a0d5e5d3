package consensus

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A snapshot on its way to another member is
//
//	"DKSN" | version u32 | length of manifest u32 | manifest | the files' contents, in its order
//
// Both ends check the files against the manifest: the sender so that it never spreads
// what its disk spoiled, the receiver so that it never keeps what the way spoiled.
const (
	streamMagic  = "DKSN"
	streamHeader = 12
)

func streamHead(manifest []byte) []byte {
	b := append([]byte(streamMagic), 0, 0, 0, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(len(manifest)))
	return append(b, manifest...)
}

// streamSize is the length of the stream of a snapshot, which raft announces.
func streamSize(m *manifest, encoded []byte) int64 {
	n := int64(streamHeader + len(encoded))
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

func readStreamHead(r io.Reader) (*manifest, error) {
	var head [streamHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("snapshot stream: %w", err)
	}
	if string(head[:4]) != streamMagic || binary.BigEndian.Uint32(head[4:]) != 1 {
		return nil, errors.New("snapshot stream: not a snapshot, or of a version not known here")
	}
	n := binary.BigEndian.Uint32(head[8:])
	if n > maxManifest {
		return nil, fmt.Errorf("snapshot stream: a manifest of %d bytes, at most %d are allowed", n, maxManifest)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("snapshot stream: %w", err)
	}
	return parseManifest(b)
}

// unpackStream writes the files of a stream below dir, checked and synced, and returns its
// manifest. It is content with nothing but the announced bytes.
func unpackStream(fsys vfs.FS, dir string, in io.Reader) (*manifest, error) {
	r := bufio.NewReaderSize(in, 256<<10)
	m, err := readStreamHead(r)
	if err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if err := unpackFile(fsys, fsys.PathJoin(dir, f.Name), f, r); err != nil {
			return nil, err
		}
	}
	if _, err := r.ReadByte(); err != io.EOF {
		return nil, errors.Join(errors.New("snapshot stream: more than its manifest names"), err)
	}
	return m, syncDir(fsys, dir)
}

func unpackFile(fsys vfs.FS, name string, want manifestFile, r io.Reader) error {
	f, err := fsys.Create(name, diskCategory)
	if err != nil {
		return err
	}
	sum := sha256.New()
	// The sum comes first: a vfs.File may change what it is given to write.
	_, err = io.CopyN(io.MultiWriter(sum, f), r, want.Size)
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		err = errors.New("the checksum is wrong")
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("snapshot stream: file %s: %w", want.Name, err)
	}
	return nil
}

// snapReader streams a snapshot of our own store.
type snapReader struct {
	store *snapStore
	id    string
	m     *manifest
	head  []byte // what is left of it
	next  int    // the file to open next
	file  vfs.File
	sum   hash.Hash
	left  int64
}

func (r *snapReader) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	for r.file == nil || r.left == 0 {
		if err := r.step(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.Read(p[:min(int64(len(p)), r.left)])
	r.sum.Write(p[:n])
	r.left -= int64(n)
	if n > 0 {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, fmt.Errorf("snapshot %s: file %s: %w", r.id, r.m.Files[r.next-1].Name, err)
}

// step finishes the file at hand and opens the next; io.EOF after the last.
func (r *snapReader) step() error {
	if err := r.finishFile(); err != nil {
		return err
	}
	if r.next == len(r.m.Files) {
		return io.EOF
	}
	want := r.m.Files[r.next]
	f, err := r.store.fs.Open(r.store.fs.PathJoin(r.store.dataDir(r.id), want.Name), vfs.SequentialReadsOption)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", r.id, err)
	}
	r.next++
	r.file, r.left, r.sum = f, want.Size, sha256.New()
	return nil
}

func (r *snapReader) finishFile() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	if want := r.m.Files[r.next-1]; err == nil && hex.EncodeToString(r.sum.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("snapshot %s: file %s is corrupt on this disk", r.id, want.Name)
	}
	return err
}

// Close ends the reading; the snapshot may be removed from then on.
func (r *snapReader) Close() error {
	var err error
	if r.file != nil {
		err = r.file.Close()
		r.file = nil
	}
	r.store.release(r.id)
	return err
}
