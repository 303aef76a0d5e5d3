package store

import (
	"errors"
	"time"
)

// ID is the identity of a space, 128 random bits, or of an extent.
type ID [16]byte

// Version is the index of the command that wrote a row. Later writes have greater ones,
// whatever the clocks say; 0 stands for the null version.
type Version uint64

// Placement says where a space (a bucket, a mail domain) is kept.
type Placement struct {
	// Tenant is the organization that it belongs to.
	Tenant string
	// Space is its identity.
	Space ID
	// Cell and Group keep it; Generation rises with each move, and a store of another
	// generation answers ErrMoved.
	Cell       string
	Group      uint64
	Generation uint64
}

// Keys gives the keys under which the epoch keys of spaces are wrapped. Implementations
// answer from memory; all their methods may be called by any goroutine.
type Keys interface {
	// Key returns a version of a key, 0 for the newest: the space's own for an empty
	// name, else an SSE-KMS key. An unknown key is an ErrKey.
	Key(space ID, name string, version uint32) (key [32]byte, v uint32, err error)
}

// Sealing says how a body's keys are wrapped. The zero value is the space's own key.
type Sealing struct {
	// Key names an SSE-KMS key.
	Key string
	// Customer is the customer's own key (SSE-C), which is never stored: reading the
	// body needs it again.
	Customer *[32]byte
}

// Row is what a space keeps under a key. A key has one row, or, where they were stacked,
// many: its versions, of which the newest is current.
type Row struct {
	Key     []byte
	Version Version
	// Null: it is the null version, which the next replacing write replaces.
	Null bool
	// Marker: the key reads as deleted.
	Marker bool
	// Current: no newer row has the key.
	Current bool
	// Tag is what conditions compare, such as an ETag; at most MaxTag octets.
	Tag []byte
	// Size as the writer gave it; what usage and quota count.
	Size int64
	// Flags are the service's own, kept in the clear so that listing need not open Value.
	Flags uint32
	// Time of the write by the proposer's clock; it never goes back for a key.
	Time time.Time
	// Amended is the index of the last change of Value; Version at first.
	Amended Version
	// Value is the service's own, sealed at rest; nil until it was asked for.
	Value []byte
	// Body is what Read takes.
	Body Body
}

// Body is a sequence of extents: what Writer.Finish gave, what a Row has, or some of
// those one after the other.
type Body struct {
	extents []extentRef
	far     []farList      // lists of more, between these
	fresh   []*freshExtent // not known to the cell yet
}

// Condition must hold when a command is applied, or all of it is refused with an
// *Refused that says why. It is judged on the key's current row; Version and Amended, for
// Delete and Amend, on the row that the Op names.
type Condition struct {
	Absent     bool     // no current row, or a marker
	Exists     bool     // a current row that is no marker
	Match      [][]byte // its tag is one of these
	NoMatch    [][]byte // there is none, or its tag is none of these
	Time       time.Time
	Size       *int64
	Version    Version
	Amended    Version
	QuotaBytes uint64 // 0: no limit
	QuotaRows  uint64
}

// OpKind is what an Op does.
type OpKind uint8

// The kinds of operations.
const (
	// Require only judges Condition.
	Require OpKind = iota
	// Put writes a row that replaces the key's null version.
	Put
	// Stack writes a row that becomes the current version over all others.
	Stack
	// Delete deletes the row Version names (0: the null version, Current: the newest). That
	// it is not there is Refused{Missing} unless Idempotent.
	Delete
	// Amend replaces Value and Flags of the row that Version names.
	Amend
	// DropPrefix deletes all rows whose keys begin with Key; more than MaxOps are refused
	// with ErrTooLarge.
	DropPrefix
)

// Op is one step of a command.
type Op struct {
	Kind       OpKind
	Key        []byte
	Version    Version // Delete, Amend, Condition
	Condition  Condition
	Idempotent bool

	// Of Put and Stack; Value and Flags also of Amend.
	Marker bool
	Tag    []byte
	Size   int64
	Flags  uint32
	Value  []byte
	Body   Body
	// Counts: the row is an object in the space's usage; others are bookkeeping, whose
	// Size counts as bytes all the same.
	Counts bool
}

// Result of a command, an entry for each Op.
type Result struct {
	Version Version
	Time    time.Time
	// Replaced is set when a Put replaced, or a Delete deleted, a row.
	Replaced bool
	// Marker: the row that was replaced or deleted was a marker.
	Marker bool
}

// Usage is what a space holds.
type Usage struct {
	Rows   uint64 // that count
	Bytes  uint64
	Others uint64 // rows that do not count
}

// Limits of what a store takes.
const (
	ChunkSize   = 64 << 10 // octets in the clear that one seal covers
	InlineSize  = 16 << 10 // bodies up to it ride in the command
	ExtentSize  = 16 << 20 // octets in the clear of one extent
	MaxKey      = 2 << 10  // octets
	MaxTag      = 64       // octets
	MaxValue    = 1 << 20  // octets
	MaxOps      = 20_000   // in one command
	MaxVersions = 1 << 20  // of one key, the current one included
)

// Errors, besides *Refused and *Damaged. What they are wrapped in says what was tried.
var (
	ErrNotFound  = errors.New("no such row")
	ErrGone      = errors.New("the body is gone; read the row again")    // deleted since the row was read
	ErrMoved     = errors.New("the space has moved")                     // another generation
	ErrKey       = errors.New("the key is not here")                     // never came, retired past use, or destroyed
	ErrWrongKey  = errors.New("the customer's key is not the right one") // SSE-C
	ErrFull      = errors.New("the disk is full; writes are refused")    // 507; reads go on
	ErrBusy      = errors.New("the rows' database takes no writes now")  // 503; try again
	ErrReadOnly  = errors.New("the store failed to sync and only reads") // until a restart
	ErrErased    = errors.New("the space was erased")                    // deleted for good
	ErrTooLarge  = errors.New("larger than the store takes")             // see Limits
	ErrScrubbing = errors.New("a scrub runs already")
	ErrClosed    = errors.New("the store is closed")
)

// Reason is why a command was refused.
type Reason uint8

// The reasons.
const (
	Precondition Reason = iota // Absent, Match, NoMatch, Time, Size
	Missing                    // Exists or Match, and the key has no current row
	Changed                    // Version or Amended: somebody was first
	QuotaBytes
	QuotaRows
	Swept // an extent's writer is gone: its body was already swept; write it again
	Gone  // a body of a row that the command takes over was deleted meanwhile (ErrGone)
)

// Refused is a command whose condition did not hold; nothing of it was done.
type Refused struct {
	Op     int // which
	Reason Reason
}

// Damaged is stored data that does not open or whose hash is wrong; it is never returned.
type Damaged struct {
	Thing
	What string // names it for people, and where it lies; empty: Thing does
	Err  error

	claim claim // of an extent: whose key alone does not open, or none
}
