package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/internal/frame"
)

// What an edge does about damaged files while it runs, and when both generations are
// damaged. It never ends over them: the other generation takes the place of one that is
// damaged, and where there is no other, everything is asked for anew. A view that was
// compiled before goes on to be served meanwhile.

// errLive ends a session whose live generation turned out to be damaged.
var errLive = errors.New("the live generation of the configuration is damaged")

// aside is where a generation lies that is damaged when there is no other, until the edge
// was told everything again.
func (s *store) aside(name string) string { return s.path(name + ".damaged") }

// anew begins an empty configuration where both generations are damaged and closed. What
// must not be forgotten is salvaged from them: deny entries, publishing keys, the epoch.
func (s *store) anew() error {
	s.lost.Store(true)
	if s.readOnly {
		return s.create()
	}
	for _, name := range []string{"a", "b"} {
		if err := s.setAside(name); err != nil {
			return err
		}
	}
	live, err := s.openGeneration("a", true)
	if err != nil {
		return err
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return errors.Join(err, live.close())
	}
	for _, name := range []string{"a", "b"} {
		n, err := s.salvage(live.db, name)
		s.log.Warn("config: salvaged deny entries and keys", "generation", name, "rows", n, "damage", err)
	}
	return s.complete(live)
}

// setAside moves a damaged generation out of the way. One that lies there already is the
// last that was whole once: what came after it was never complete.
func (s *store) setAside(name string) error {
	if _, err := s.fs.Stat(s.path(name)); err != nil {
		return nil //nolint:nilerr // it is not there
	}
	if _, err := s.fs.Stat(s.aside(name)); err == nil {
		return s.fs.RemoveAll(s.path(name))
	}
	return s.fs.Rename(s.path(name), s.aside(name))
}

// salvage copies what can be read of what only ever grows; every octet of it is under a
// checksum. It returns how many rows that were.
func (s *store) salvage(to *pebble.DB, name string) (rows int, err error) {
	if _, err := s.fs.Stat(s.aside(name)); err != nil {
		return 0, nil //nolint:nilerr // it is not there
	}
	g, err := s.openOn(s.fs, name+".damaged", true)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	b := to.NewBatch()
	defer b.Close()
	for _, space := range [][]byte{{spaceDeny}, {spaceKey}, keyEpoch, keyFeeds, keyGrant} {
		err = errors.Join(err, guard(func() error {
			return scan(g.db, space, func(key, value []byte) error {
				rows++
				return b.Set(key, value, nil)
			})
		}))
	}
	return rows, errors.Join(err, b.Commit(pebble.Sync))
}

// hasAside reports whether a damaged generation lies there.
func (s *store) hasAside() bool {
	_, aerr := s.fs.Stat(s.aside("a"))
	_, berr := s.fs.Stat(s.aside("b"))
	return aerr == nil || berr == nil
}

// found notes that everything was told again, and removes what was set aside.
func (s *store) found() error {
	if s.readOnly {
		return nil
	}
	s.lost.Store(false)
	return errors.Join(s.fs.RemoveAll(s.aside("a")), s.fs.RemoveAll(s.aside("b")))
}

// swap makes the spare the live generation, and has another made in the place of the
// damaged one; false when there is no spare that is whole. Only the follower calls it.
func (s *store) swap() bool {
	s.work.Wait() // for one that is being made or verified
	s.mu.Lock()
	defer s.mu.Unlock()
	spare := s.mu.spare
	if spare == nil || spare.fault() != nil || guard(func() error {
		return spare.db.LogData(nil, pebble.Sync)
	}) != nil {
		return false
	}
	old := s.live
	s.live, s.mu.spare = spare, nil
	s.startSpareLocked(old)
	return true
}

// closeBoth closes both generations, neither of which can be read.
func (s *store) closeBoth() {
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(s.live.close(), s.mu.spare.close()); err != nil {
		s.log.Warn("config: close", "error", err)
	}
	s.mu.spare, s.mu.backlog, s.mu.bytes = nil, nil, 0
}

// damaged reports whether an error comes of the files of the live generation.
func (c *Config) damaged(err error) bool {
	if errors.Is(err, errDamaged) || pebble.IsCorruptionError(err) {
		c.store.live.damaged(err)
	}
	return c.store.live.fault() != nil
}

// mend goes on from the spare when the live generation is damaged, and with neither from
// nothing.
func (c *Config) mend() error {
	fault := c.store.live.fault()
	if fault == nil {
		return nil
	}
	c.store.damages.Add(1)
	var pending []byte
	if b := c.pending.batch; b != nil {
		pending = slices.Clone(b.Repr())
		b.Close()
		c.pending.batch = nil
	}
	name := c.store.live.name
	if c.store.swap() {
		c.o.Log.Error("config: the live generation is damaged; going on from the other",
			"damaged", name, "serving", c.store.live.name, "error", fault)
		if pending == nil {
			return nil
		}
		return c.open().SetRepr(pending)
	}
	c.o.Log.Error("config: both generations are damaged; the edge serves what it has in memory and asks for "+
		"everything again", "error", fault)
	c.store.closeBoth()
	if err := c.store.anew(); err != nil {
		return err
	}
	return c.reset()
}

// reset makes the follower begin anew, with what is known in memory of deny entries, keys
// and the epoch. The next cut replaces the view.
func (c *Config) reset() error {
	c.deny.add(c.pending.deny)
	c.pending = pending{}
	c.replace = true
	for _, st := range c.streams {
		*st = stream{position: frame.Start}
	}
	b := c.open()
	for subject, expires := range c.deny.all() {
		if err := writeDeny(b, subject, expires); err != nil {
			return err
		}
	}
	for id, rec := range c.keyRecords {
		if err := c.setKey(b, id, rec); err != nil {
			return err
		}
	}
	if c.epoch != 0 {
		if err := b.Set(keyEpoch, number(c.epoch), nil); err != nil {
			return err
		}
	}
	if err := errors.Join(c.writeFeeds(b), c.granted.write(b)); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return fmt.Errorf("begin the configuration anew: %w", err)
	}
	return nil
}
