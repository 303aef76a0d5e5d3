package state

import (
	"encoding/binary"
	"strings"

	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// The rows of the state machine, by their first byte. Texts in keys are ended by a zero
// byte, which no name may contain; numbers are big-endian, so that rows sort by them.
const (
	rowProgress    = '0' // the one Progress
	rowLatest      = 'l' // kind, organization, name: the latest version, deletions included
	rowOlder       = 'r' // kind, organization, name, revision: a version that was replaced
	rowCommit      = 't' // revision: Commit
	rowClaim       = 'u' // space, labels from the root down: ClaimHolder
	rowRequest     = 'q' // organization, request id: RequestRecord
	rowRequestAt   = 'Q' // time, organization, request id: for forgetting
	rowUsage       = 'n' // organization: Usage
	rowMeta        = 'm' // key: MetaValue
	rowLease       = 'e' // lease: Lease
	rowPublished   = 'p' // stream, kind, name: PublishedRecord
	rowFrame       = 'f' // stream, revision, part: StoredFrame
	rowFrameAt     = 'F' // number: FrameRef
	rowHead        = 's' // stream: StreamHead
	rowTombstone   = 'd' // stream, kind, name: Tombstone
	rowTombstoneAt = 'D' // expiry, row of the tombstone: for forgetting
)

func key(row byte, texts ...string) []byte {
	n := 1
	for _, t := range texts {
		n += len(t) + 1
	}
	k := append(make([]byte, 0, n+12), row)
	for _, t := range texts {
		k = append(append(k, t...), 0)
	}
	return k
}

// prefixKey is key, but what begins with the last text matches too.
func prefixKey(row byte, texts ...string) []byte {
	k := key(row, texts...)
	return k[:len(k)-1]
}

func latestKey(r *statev1.Ref) []byte {
	return key(rowLatest, r.GetKind(), r.GetOrganization(), r.GetName())
}

func olderKey(r *statev1.Ref, revision uint64) []byte {
	return number(key(rowOlder, r.GetKind(), r.GetOrganization(), r.GetName()), revision)
}

func commitKey(revision uint64) []byte { return number([]byte{rowCommit}, revision) }

func frameKey(stream string, revision uint64, part uint32) []byte {
	return binary.BigEndian.AppendUint32(number(key(rowFrame, stream), revision), part)
}

func number(k []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(k, n) }

// claimKey orders hierarchical names so that all names below one follow it:
// "www.example.com" is com, example, www.
func claimKey(space, name string, hierarchical bool) []byte {
	if !hierarchical {
		return key(rowClaim, space, name)
	}
	labels := strings.Split(name, ".")
	for i, j := 0, len(labels)-1; i < j; i, j = i+1, j-1 {
		labels[i], labels[j] = labels[j], labels[i]
	}
	return key(rowClaim, append([]string{space}, labels...)...)
}

// after is the least key above all keys that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// nameOf is the last text of a key made by key, whose first n texts are skipped.
func texts(k []byte) []string {
	return strings.Split(string(k[1:len(k)-1]), "\x00")
}
