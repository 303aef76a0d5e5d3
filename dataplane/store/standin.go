package store

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A table that the manifest names and that is gone, or was cut, keeps Pebble from opening the rows. Drop
// puts a file of the right size and without content in its place. Then the table cannot be read, and what it
// held is set aside and given up by name, as that of one that has rotted.

// Pebble has no type for these errors. The test of the damage table tells when their text changes.
var (
	tableGone = regexp.MustCompile(`L\d+: (\d+): file \d+ \(type sstable\) unknown to the objstorage provider`)
	tableCut  = regexp.MustCompile(`L\d+: (\d+): object size mismatch \([^)]*\): (\d+) \(disk\) != (\d+) \(MANIFEST\)`)
)

// tablesGone is an error of opening the rows, with what to do where tables are gone or were cut.
func tablesGone(rows string, err error) error {
	text := err.Error()
	if !tableGone.MatchString(text) && !tableCut.MatchString(text) {
		return err
	}
	return &Damaged{Thing: fileThing(rows), Err: fmt.Errorf("tables are gone or were cut: put all of %s back from a "+
		"backup, or give up what these tables held with `darkd fsck --drop --yes`, which lists it: %w", rows, err)}
}

// standIns puts files in the place of tables that are gone or cut. What else keeps the rows from opening is
// for Open to say.
func standIns(o Options) error {
	s, err := newStore(o)
	if err != nil {
		return err
	}
	s.offline = true
	rows := s.fs.PathJoin(s.opt.Dir, "rows")
	for range 3 { // made empty, then as large as the manifest says
		db, err := openRows(s.rowsFS(), rows, pebbleLog{s}, true)
		if err == nil {
			return db.Close()
		}
		made, merr := putStandIns(s.rowsFS(), rows, err.Error())
		if merr != nil || made == 0 {
			return merr
		}
	}
	return nil
}

// putStandIns makes the files that an error of Pebble's says are gone or too short.
func putStandIns(fs vfs.FS, dir, text string) (made int, err error) {
	for _, m := range tableGone.FindAllStringSubmatch(text, -1) {
		made++
		err = errors.Join(err, putStandIn(fs, fs.PathJoin(dir, m[1]+".sst"), 0))
	}
	for _, m := range tableCut.FindAllStringSubmatch(text, -1) {
		is, err1 := strconv.ParseInt(m[2], 10, 64)
		size, err2 := strconv.ParseInt(m[3], 10, 64)
		if err1 != nil || err2 != nil || is >= size {
			continue // longer: it is another's
		}
		made++
		err = errors.Join(err, putStandIn(fs, fs.PathJoin(dir, m[1]+".sst"), size))
	}
	return made, err
}

func putStandIn(fs vfs.FS, name string, size int64) error {
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	zeros := make([]byte, min(size, 1<<20))
	for n := int64(0); n < size && err == nil; n += int64(len(zeros)) {
		_, err = file.Write(zeros[:min(int64(len(zeros)), size-n)])
	}
	return errors.Join(err, file.Sync(), file.Close())
}
