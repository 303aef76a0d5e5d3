package state

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/consensus/replica"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Options change what Open does; the zero value is meant for production.
type Options struct {
	FS     vfs.FS // nil: the operating system's
	Logger *slog.Logger
	// CacheBytes bounds memtables and the cache of rows together; 0 means 192 MiB. Pebble
	// takes its memtables out of the cache: two are usual and four the most, of 32 MiB.
	CacheBytes int64
	// RingBytes and RingAge bound the frames kept for resumption; 0 means 256 MiB and an
	// hour. They are part of Apply: all members must agree on them.
	RingBytes uint64
	RingAge   int64 // nanoseconds
	// Diverged is called when this member's rows are not those of the leader. nil logs and
	// ends the process: a member that is wrong must not answer.
	Diverged func(error)
}

// Store is one member's copy of the state.
type Store struct {
	opts Options
	db   *replica.Replica
	log  *slog.Logger

	// at is what readers may see without asking Pebble; replaced whole after each batch.
	at atomic.Pointer[statev1.Progress]

	// Owned by the apply goroutine.
	usage map[string]*usage

	mu struct {
		sync.Mutex
		changed chan struct{} // closed and replaced when at moves
	}
}

// Open opens the state below dir, or makes it.
func Open(dir string, o Options) (*Store, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = 192 << 20
	}
	if o.RingBytes == 0 {
		o.RingBytes = 256 << 20
	}
	if o.RingAge == 0 {
		o.RingAge = int64(3600 * 1e9)
	}
	if o.Diverged == nil {
		log := o.Logger
		o.Diverged = func(err error) {
			log.Error("state diverged; this member stops", "err", err)
			os.Exit(1)
		}
	}
	s := &Store{opts: o, log: o.Logger, usage: map[string]*usage{}}
	s.mu.changed = make(chan struct{})
	db, err := replica.Open(o.FS, dir, pebbleOptions(o))
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	s.db = db
	if err := s.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func pebbleOptions(o Options) *pebble.Options {
	po := &pebble.Options{
		FS:                          o.FS,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      quiet{o.Logger},
		CacheSize:                   o.CacheBytes,
	}
	for i := range po.Levels {
		po.Levels[i].BlockSize = 16 << 10
		po.Levels[i].Compression = func() *block.CompressionProfile { return block.FastestCompression }
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return po
}

// quiet passes on only what is wrong: Pebble tells of each flush otherwise.
type quiet struct{ log *slog.Logger }

func (q quiet) Infof(string, ...any) {}
func (q quiet) Errorf(format string, args ...any) {
	q.log.Error("state store", "err", fmt.Sprintf(format, args...))
}

func (q quiet) Fatalf(format string, args ...any) {
	q.log.Error("state store cannot go on", "err", fmt.Sprintf(format, args...))
	os.Exit(1)
}

// load reads where the rows are.
func (s *Store) load() error {
	p := &statev1.Progress{}
	err := s.db.With(func(db *pebble.DB) error { return getProto(db, []byte{rowProgress}, p) })
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return fmt.Errorf("read where the state is: %w", err)
	}
	if len(p.Hash) == 0 {
		p.Hash, p.AuditHead = make([]byte, sha256.Size), make([]byte, sha256.Size)
	}
	clear(s.usage)
	s.publish(p)
	return nil
}

// publish lets readers see p and wakes those who wait.
func (s *Store) publish(p *statev1.Progress) {
	s.at.Store(p)
	s.mu.Lock()
	close(s.mu.changed)
	s.mu.changed = make(chan struct{})
	s.mu.Unlock()
}

// Close closes the rows; no reader may be open.
func (s *Store) Close() error { return s.db.Close() }

// Applied implements consensus.Machine.
func (s *Store) Applied() (index, term uint64) {
	p := s.at.Load()
	return p.Index, p.Term
}

// Checkpoint implements consensus.Machine.
func (s *Store) Checkpoint(fs vfs.FS, dir string) error { return s.db.Checkpoint(fs, dir) }

// Restore implements consensus.Machine.
func (s *Store) Restore(fs vfs.FS, dir string) error {
	if err := s.db.Restore(fs, dir); err != nil {
		return err
	}
	return s.load()
}

var _ consensus.Machine = (*Store)(nil)

// Revision is the revision of the last accepted transaction on this member.
func (s *Store) Revision() uint64 { return s.at.Load().Revision }

// LastChange is the revision of the last transaction that changed a resource.
func (s *Store) LastChange() uint64 { return s.at.Load().LastChange }

// Oldest is the oldest revision that can be read.
func (s *Store) Oldest() uint64 { return max(s.at.Load().Oldest, 1) }

// Hash is the rolling hash over all rows written, and the index that it stands at.
func (s *Store) Hash() (hash []byte, index uint64) {
	p := s.at.Load()
	return p.Hash, p.Index
}

// Checked is the rolling hash at the last index that is compared between members.
func (s *Store) Checked() (index uint64, hash []byte) {
	p := s.at.Load()
	return p.CheckedIndex, p.CheckedHash
}

// FeatureLevel is the level of features that all members have.
func (s *Store) FeatureLevel() uint64 { return s.at.Load().FeatureLevel }

func getProto(r pebble.Reader, k []byte, m proto.Message) error {
	v, closer, err := r.Get(k)
	if err != nil {
		return err
	}
	err = proto.Unmarshal(v, m)
	return errors.Join(err, closer.Close())
}
