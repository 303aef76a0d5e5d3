package consensus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// snapStore keeps the snapshots of a group, as directories:
//
//	<index>-<term>-<n>/MANIFEST   what it is and holds, with checksums
//	<index>-<term>-<n>/data/      what Machine.Checkpoint wrote
//	tmp-<n>/                      one being made; removed at start
//	….bad                         one that failed its checksums; kept for whoever looks
//
// A directory gets its final name after everything in it is synced, and is reported to
// raft, which then compacts the log, after its name is synced too.
type snapStore struct {
	fs      vfs.FS
	dir     string
	log     *groupLog
	logger  *slog.Logger
	covered func(index uint64) // a snapshot of our own machine covers index
	made    atomic.Uint64      // of our own machine

	mu struct {
		sync.Mutex
		reading map[string]int
		n       uint64
	}
}

// errBadSnapshot says that a snapshot is not what its manifest says.
var errBadSnapshot = errors.New("corrupt snapshot")

const (
	keepSnapshots = 2
	manifestName  = "MANIFEST"
	tmpPrefix     = "tmp-"
	badSuffix     = ".bad"
)

func openSnapStore(fsys vfs.FS, dir string, log *groupLog, logger *slog.Logger) (*snapStore, error) {
	if err := makeDir(fsys, dir); err != nil {
		return nil, err
	}
	names, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, tmpPrefix) {
			if err := fsys.RemoveAll(fsys.PathJoin(dir, name)); err != nil {
				return nil, err
			}
		}
	}
	s := &snapStore{fs: fsys, dir: dir, log: log, logger: logger, covered: func(uint64) {}}
	s.mu.reading = map[string]int{}
	return s, nil
}

func (s *snapStore) dataDir(id string) string { return s.fs.PathJoin(s.dir, id, "data") }

func (s *snapStore) number() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.n++
	return s.mu.n
}

// newTemp names a directory, not made yet, for a snapshot in the making.
func (s *snapStore) newTemp() string {
	return s.fs.PathJoin(s.dir, fmt.Sprintf("%s%d", tmpPrefix, s.number()))
}

type stored struct {
	id       string
	manifest *manifest
	encoded  []byte
}

// all returns the snapshots with a good manifest, newest first.
func (s *snapStore) all() ([]stored, error) {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return nil, err
	}
	var out []stored
	for _, name := range names {
		if strings.HasPrefix(name, tmpPrefix) || strings.HasSuffix(name, badSuffix) {
			continue
		}
		m, b, err := s.manifest(name)
		if err != nil {
			s.logger.Error("consensus: snapshot is unusable", "group", s.log.name, "snapshot", name, "error", err)
			continue
		}
		out = append(out, stored{name, m, b})
	}
	slices.SortFunc(out, func(a, b stored) int { return strings.Compare(b.id, a.id) })
	return out, nil
}

func (s *snapStore) manifest(id string) (*manifest, []byte, error) {
	f, err := s.fs.Open(s.fs.PathJoin(s.dir, id, manifestName))
	if err != nil {
		return nil, nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, err
	}
	m, err := parseManifest(b)
	return m, b, err
}

// verify compares the files of a snapshot with its manifest.
func (s *snapStore) verify(id string, m *manifest) error {
	for _, want := range m.Files {
		got, err := sumFile(s.fs, s.fs.PathJoin(s.dataDir(id), want.Name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s lacks file %s", errBadSnapshot, id, want.Name)
		}
		if err != nil {
			return err
		}
		if got.SHA256 != want.SHA256 || got.Size != want.Size {
			return fmt.Errorf("%w: %s: file %s", errBadSnapshot, id, want.Name)
		}
	}
	return nil
}

func sumFile(fsys vfs.FS, name string) (manifestFile, error) {
	f, err := fsys.Open(name, vfs.SequentialReadsOption)
	if err != nil {
		return manifestFile{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	err = errors.Join(err, f.Close())
	return manifestFile{Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// setAside takes a corrupt snapshot out of the list.
func (s *snapStore) setAside(id string) error {
	old := s.fs.PathJoin(s.dir, id)
	if err := s.fs.Rename(old, old+badSuffix); err != nil {
		return err
	}
	return syncDir(s.fs, s.dir)
}

// List implements raft.SnapshotStore.
func (s *snapStore) List() ([]*raft.SnapshotMeta, error) {
	list, err := s.all()
	if err != nil {
		return nil, err
	}
	out := make([]*raft.SnapshotMeta, len(list))
	for i, st := range list {
		out[i] = st.meta()
	}
	return out, nil
}

func (st stored) meta() *raft.SnapshotMeta {
	m := st.manifest
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: st.id, Index: m.Index, Term: m.Term,
		Configuration: m.configuration(), ConfigurationIndex: m.ConfigIndex,
		Size: streamSize(m, st.encoded),
	}
}

// Open implements raft.SnapshotStore.
func (s *snapStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	s.mu.reading[id]++
	s.mu.Unlock()
	m, b, err := s.manifest(id)
	if err != nil {
		s.release(id)
		return nil, nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return stored{id, m, b}.meta(), &snapReader{store: s, id: id, m: m, head: streamHead(b)}, nil
}

func (s *snapStore) release(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.reading[id]--; s.mu.reading[id] <= 0 {
		delete(s.mu.reading, id)
	}
}

// reap removes all but the newest snapshots, and none that is being read.
func (s *snapStore) reap() error {
	list, err := s.all()
	if err != nil {
		return err
	}
	for i := keepSnapshots; i < len(list); i++ {
		s.mu.Lock()
		busy := s.mu.reading[list[i].id] > 0
		s.mu.Unlock()
		if busy {
			continue
		}
		if err := s.fs.RemoveAll(s.fs.PathJoin(s.dir, list[i].id)); err != nil {
			return err
		}
	}
	return nil
}
