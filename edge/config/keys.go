package config

import (
	"encoding/binary"
	"strings"
)

// The keyspaces of a generation. A stream's records are kept under a content number, so
// that a snapshot is written beside what is served and becomes current by one small
// write of the stream's position.
//
//	c REMAINDER                                the mark of the last commit with that remainder
//	d NAME                                     a deny entry: expiry
//	g STREAM 0 PART                            a part of an unfinished revision: a Frame
//	i STREAM 0 CONTENT KIND 0 NAME             a record: lane, revision, value
//	k ID                                       a publishing key
//	m NAME                                     epoch, revision, contact, addresses, grant
//	p STREAM                                   content number and Position
//	s                                          number of the last commit
//	y PART                                     the mark of a part of the copy that this generation began as
const (
	spaceMark     = 'c'
	spaceDeny     = 'd'
	spaceStaged   = 'g'
	spaceItem     = 'i'
	spaceKey      = 'k'
	spaceMeta     = 'm'
	spacePosition = 'p'
	spacePart     = 'y'
)

var (
	keySeq      = []byte{'s'}
	keyMarked   = []byte("mmarked") // number of the first commit with a mark
	keyParts    = []byte("mparts")  // number of parts that the copy had
	keyEpoch    = []byte("mepoch")
	keyRevision = []byte("mrevision")
	keyContact  = []byte("mcontact")
	keyFeeds    = []byte("maddresses") // "mfeeds" was what nobody had signed
	keyGrant    = []byte("mgrant")
)

// plain reports whether s may stand before a 0 in a key.
func plain(s string) bool { return s != "" && len(s) <= 512 && strings.IndexByte(s, 0) < 0 }

func spaced(space byte, name string) []byte { return append([]byte{space}, name...) }

func stagedKey(stream string, part uint32) []byte {
	return binary.BigEndian.AppendUint32(append(spaced(spaceStaged, stream), 0), part)
}

func stagedRange(stream string) (from, to []byte) {
	return append(spaced(spaceStaged, stream), 0), append(spaced(spaceStaged, stream), 1)
}

// contentPrefix is where the records of one content of a stream are.
func contentPrefix(stream string, content uint32) []byte {
	return binary.BigEndian.AppendUint32(append(spaced(spaceItem, stream), 0), content)
}

func itemKey(prefix []byte, kind, name string) []byte {
	k := make([]byte, 0, len(prefix)+len(kind)+1+len(name))
	k = append(append(k, prefix...), kind...)
	return append(append(k, 0), name...)
}

// itemsRange is all contents of a stream.
func itemsRange(stream string) (from, to []byte) {
	return append(spaced(spaceItem, stream), 0), append(spaced(spaceItem, stream), 1)
}

// after is the first key that does not begin with prefix; prefix is not all 0xff.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// splitItem takes an item's key apart; ok is false for a key that is none.
func splitItem(key []byte) (stream string, content uint32, kind, name []byte, ok bool) {
	rest := key[1:]
	i := indexZero(rest)
	if i < 0 || len(rest) < i+5 {
		return "", 0, nil, nil, false
	}
	stream = string(rest[:i])
	content = binary.BigEndian.Uint32(rest[i+1:])
	rest = rest[i+5:]
	if i = indexZero(rest); i < 0 {
		return "", 0, nil, nil, false
	}
	return stream, content, rest[:i], rest[i+1:], true
}

func indexZero(b []byte) int {
	for i, c := range b {
		if c == 0 {
			return i
		}
	}
	return -1
}

// itemHeader is before a record's value: lane and revision.
const itemHeader = 9

func itemValue(lane uint32, revision uint64, value []byte) []byte {
	v := make([]byte, itemHeader, itemHeader+len(value))
	v[0] = byte(lane)
	binary.BigEndian.PutUint64(v[1:], revision)
	return append(v, value...)
}
