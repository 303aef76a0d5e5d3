package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/clock"
)

// Options say where a store is and what it may use. Dir and Keys must be given.
type Options struct {
	FS          vfs.FS // nil: the system's
	Dir         string
	Cell        string // its name in Placements; a Placement of another cell is ErrMoved
	Keys        Keys
	Clock       clock.Clock
	Logger      *slog.Logger  // nil: none
	SegmentSize int64         // octets of a segment; 0: 256 MiB
	Reserve     int64         // octets that stay free on the disk; 0: 256 MiB
	ShredAfter  time.Duration // see Space.SetShredAfter; 0: 7 days
	// Quiet runs no background work (sweeping, compaction, shredding): tests drive it with
	// Store.Maintain.
	Quiet bool
}

// Store keeps the spaces of one member.
type Store struct{}

// Open opens the store in Dir, or begins one. It fails where the directory is held by
// another process, or its rows cannot be read.
func Open(Options) (*Store, error) { return nil, errors.ErrUnsupported }

// Close ends background work and syncs. Readers and cursors must have been closed.
func (s *Store) Close() error { return nil }

// At gives the space of a placement. It is cheap; a service may ask for each request.
// Errors: ErrMoved, ErrErased, ErrClosed.
func (s *Store) At(Placement) (*Space, error) { return nil, errors.ErrUnsupported }

// Erase deletes a space for good: its keys at once, rows and bodies in the background.
// The identity is never used again.
func (s *Store) Erase(ctx context.Context, space ID) error { return errors.ErrUnsupported }

// Maintain runs one round of background work and returns when it is done.
func (s *Store) Maintain(ctx context.Context) error { return errors.ErrUnsupported }

// Stats are counts of a store, as they are now.
type Stats struct {
	SegmentBytes uint64 // of segments on disk
	LiveBytes    uint64 // of them, octets that rows need
	FreeBytes    uint64 // that the file system has left
	Extents      uint64 // in segments
	Damaged      uint64 // extents and rows that did not open when last read or scrubbed
	Spaces       uint64 // that have rows
	Scrubbed     time.Time
	Progress     uint32 // of the scrub that runs, per mille
	ReadOnly     string // why writes are refused; empty when they are not
	Applied      uint64 // index of the last command
}

// Stats tells what the store holds.
func (s *Store) Stats() Stats { return Stats{} }

// Progress is how far a scrub, a check or a rebuild came.
type Progress struct {
	Done, Total uint64 // octets, roughly
	Extents     uint64
	Rows        uint64
	Damaged     uint64
}

// Scrub opens every seal, of rows and extents, and tells what does not open. progress may
// be nil; it is called now and then, and with each *Damaged.
func (s *Store) Scrub(ctx context.Context, progress func(Progress, *Damaged)) (Progress, error) {
	return Progress{}, errors.ErrUnsupported
}

// Check is Scrub and more, offline: rows against extents, reference counts, usage. It
// changes nothing.
func Check(ctx context.Context, o Options, report func(Progress, *Damaged)) (Progress, error) {
	return Progress{}, errors.ErrUnsupported
}

// Rebuild makes the index of extents anew from the segments' headers, offline.
func Rebuild(ctx context.Context, o Options, report func(Progress, *Damaged)) (Progress, error) {
	return Progress{}, errors.ErrUnsupported
}

// Space is one space of a store: what a service works with. All its methods may be called
// by any goroutine.
type Space struct{}

// Write begins a body of size octets; -1 where it is not known. A body up to InlineSize
// is kept in memory until it is committed; a larger one goes to disk as it comes.
// Errors: ErrFull, ErrReadOnly, ErrKey, ErrErased, ErrTooLarge.
func (p *Space) Write(ctx context.Context, how Sealing, size int64) (*Writer, error) {
	return nil, errors.ErrUnsupported
}

// Adopt gives a body of another space, or of this one under another Sealing, to this
// space. No octet moves: the data keys are wrapped again. ErrGone, ErrKey, ErrWrongKey.
func (p *Space) Adopt(ctx context.Context, from *Space, b Body, was, now Sealing) (Body, error) {
	return Body{}, errors.ErrUnsupported
}

// Commit does all of ops, or none, and returns when that is durable. Conditions are
// judged and ops done in order; later ones see what earlier ones did.
// Errors: *Refused, ErrFull, ErrReadOnly, ErrErased, ErrTooLarge, ErrKey.
func (p *Space) Commit(ctx context.Context, ops ...Op) ([]Result, error) {
	return nil, errors.ErrUnsupported
}

// Versions that Get, Delete and Amend take besides a row's own.
const (
	Null    Version = 0          // the null version
	Current Version = 1<<64 - 1  // the newest row
)

// Get reads a row with its Value. A marker is a row like others. Errors: ErrNotFound,
// *Damaged, ErrKey.
func (p *Space) Get(ctx context.Context, key []byte, v Version) (Row, error) {
	return Row{}, errors.ErrUnsupported
}

// ScanOptions say what a Cursor goes over.
type ScanOptions struct {
	Prefix []byte // keys begin with it
	// Versions: all versions, newest first, and markers; otherwise each key's current row,
	// and none where that is a marker.
	Versions bool
}

// Scan gives a cursor over the rows as they are now; changes after that are not seen. It
// stands before the first row. Close it.
func (p *Space) Scan(ScanOptions) (*Cursor, error) { return nil, errors.ErrUnsupported }

// Cursor goes over rows in bytewise order of their keys. One goroutine may use it.
type Cursor struct{}

// Seek goes to the first row whose key is key or after it.
func (c *Cursor) Seek(key []byte) bool { return false }

// SeekVersion goes to the first row that is key's version v or after it: an older version
// of key, or a later key.
func (c *Cursor) SeekVersion(key []byte, v Version) bool { return false }

// Next goes to the next row.
func (c *Cursor) Next() bool { return false }

// NextKey goes to the first row of the next key.
func (c *Cursor) NextKey() bool { return false }

// Row is the row where the cursor stands, without Value. Its Key, Tag and Body are valid
// until the cursor moves; Clone keeps them.
func (c *Cursor) Row() Row { return Row{} }

// Value opens the row's Value.
func (c *Cursor) Value() ([]byte, error) { return nil, errors.ErrUnsupported }

// Err is what ended the walk, if it was not its end.
func (c *Cursor) Err() error { return nil }

// Close ends the cursor.
func (c *Cursor) Close() error { return nil }

// Read reads octets [from, to) of a committed body. what it does not find any more is
// ErrGone, what does not open *Damaged. Errors may come with the octets, too. Close it.
func (p *Space) Read(ctx context.Context, b Body, how Sealing, from, to int64) (*Reader, error) {
	return nil, errors.ErrUnsupported
}

// Reader reads a body.
type Reader struct{}

var (
	_ io.Reader   = (*Reader)(nil)
	_ io.WriterTo = (*Reader)(nil)
)

// Read implements io.Reader.
func (r *Reader) Read(b []byte) (int, error) { return 0, errors.ErrUnsupported }

// WriteTo implements io.WriterTo; it is the faster way.
func (r *Reader) WriteTo(w io.Writer) (int64, error) { return 0, errors.ErrUnsupported }

// Close ends it.
func (r *Reader) Close() error { return nil }

// Usage is what the space holds now.
func (p *Space) Usage() (Usage, error) { return Usage{}, errors.ErrUnsupported }

// SetShredAfter sets how long the keys of deleted bodies may live on, in this process.
func (p *Space) SetShredAfter(d time.Duration) {}

// Writer takes a body. One goroutine may use it.
type Writer struct{}

// Write implements io.Writer.
func (w *Writer) Write(b []byte) (int, error) { return 0, errors.ErrUnsupported }

// ReadFrom implements io.ReaderFrom; it is the faster way. An error of r is returned as
// it is.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) { return 0, errors.ErrUnsupported }

// Finish ends the body and returns when it is durable. It is to be committed within an
// hour (Refused{Swept} after that), by its space, once. ErrTooLarge where it is longer or shorter
// than was said.
func (w *Writer) Finish() (Body, error) { return Body{}, errors.ErrUnsupported }

// Abort gives up the body, unless it was committed meanwhile: it may always be deferred.
func (w *Writer) Abort() {}
