package consensus

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/raft"
)

// Create implements raft.SnapshotStore.
func (s *snapStore) Create(_ raft.SnapshotVersion, index, term uint64, conf raft.Configuration, confIndex uint64,
	_ raft.Transport,
) (raft.SnapshotSink, error) {
	return &snapSink{
		store: s,
		id:    fmt.Sprintf("%016x-%016x-%08x", index, term, s.number()),
		m:     manifest{Index: index, Term: term, Config: raft.EncodeConfiguration(conf), ConfigIndex: confIndex},
	}, nil
}

// snapSink makes one snapshot: from a checkpoint of our own machine, which adopt hands
// over, or from another member's stream, which raft writes into it.
type snapSink struct {
	store *snapStore
	id    string
	m     manifest
	own   bool
	temp  string // directory in the making
	ended bool

	pipe *io.PipeWriter // to the goroutine that unpacks a stream
	got  chan unpacked
}

type unpacked struct {
	m   *manifest
	err error
}

// ID implements raft.SnapshotSink.
func (k *snapSink) ID() string { return k.id }

// adopt takes over temp, in whose data directory is a checkpoint of our machine.
func (k *snapSink) adopt(temp string, applied uint64) error {
	k.temp, k.own, k.m.Applied = temp, true, applied
	fsys := k.store.fs
	data := fsys.PathJoin(temp, "data")
	names, err := fsys.List(data)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if !plainName(name) {
			return fmt.Errorf("checkpoint has a file named %q", name)
		}
		f, err := sumFile(fsys, fsys.PathJoin(data, name))
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		f.Name = name
		k.m.Files = append(k.m.Files, f)
	}
	return syncDir(fsys, data)
}

// Write implements raft.SnapshotSink, for a stream from another member.
func (k *snapSink) Write(p []byte) (int, error) {
	if err := k.store.log.db.room(); err != nil {
		return 0, err
	}
	if k.pipe == nil {
		k.temp = k.store.newTemp()
		data := k.store.fs.PathJoin(k.temp, "data")
		if err := k.store.fs.MkdirAll(data, 0o700); err != nil {
			return 0, err
		}
		r, w := io.Pipe()
		k.pipe, k.got = w, make(chan unpacked, 1)
		go func() {
			m, err := unpackStream(k.store.fs, data, r)
			_ = r.CloseWithError(errors.Join(err, io.ErrClosedPipe)) // Write fails rather than waits
			k.got <- unpacked{m, err}
		}()
	}
	return k.pipe.Write(p)
}

// Close implements raft.SnapshotSink: when it returns nil the snapshot is durable.
func (k *snapSink) Close() error {
	if k.ended {
		return nil
	}
	k.ended = true
	err := k.receive()
	if err == nil {
		err = k.finish()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("snapshot %s: %w", k.id, err), k.discard())
	}
	return nil
}

// receive waits for the end of a stream and takes its manifest.
func (k *snapSink) receive() error {
	if k.own {
		return nil
	}
	if k.pipe == nil {
		return errors.New("nothing was written to it")
	}
	_ = k.pipe.Close()
	got := <-k.got
	if got.err != nil {
		return got.err
	}
	if got.m.Index != k.m.Index || got.m.Term != k.m.Term {
		return fmt.Errorf("announced for index %d and term %d, came for %d and %d", k.m.Index, k.m.Term, got.m.Index,
			got.m.Term)
	}
	k.m.Applied, k.m.Files = got.m.Applied, got.m.Files
	return nil
}

// finish gives the directory its manifest and its name.
func (k *snapSink) finish() error {
	s := k.store
	b, err := k.m.encode()
	if err != nil {
		return err
	}
	if err := writeFile(s.fs, s.fs.PathJoin(k.temp, manifestName), b); err != nil {
		return err
	}
	if err := syncDir(s.fs, k.temp); err != nil {
		return err
	}
	if err := s.fs.Rename(k.temp, s.fs.PathJoin(s.dir, k.id)); err != nil {
		return err
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return err
	}
	s.log.setSnapshot(k.m.Index, k.m.Term)
	if k.own {
		s.covered(k.m.Index)
		s.made.Add(1)
	}
	if err := s.reap(); err != nil {
		s.logger.Warn("consensus: old snapshots stay", "group", s.log.name, "error", err)
	}
	return nil
}

// Cancel implements raft.SnapshotSink.
func (k *snapSink) Cancel() error {
	if k.ended {
		return nil
	}
	k.ended = true
	if k.pipe != nil {
		_ = k.pipe.CloseWithError(errors.New("cancelled"))
		<-k.got
	}
	return k.discard()
}

func (k *snapSink) discard() error {
	if k.temp == "" {
		return nil
	}
	return k.store.fs.RemoveAll(k.temp)
}
