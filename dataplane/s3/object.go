package s3

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Kinds of rows in a bucket's space: the first octet of their keys.
//
//	'o' key                         an object, its versions stacked
//	'u' key 0x00 upload             an upload that goes on
//	'p' upload part(2, big endian)  a part of it
//	'c' upload                      an upload that was completed, for clients that ask again
//	'x'                             the bucket is being deleted
const (
	rowObject    = 'o'
	rowUpload    = 'u'
	rowPart      = 'p'
	rowCompleted = 'c'
	rowClosing   = 'x'
)

// Flags of rows: what a listing tells without opening the value.
const (
	flagAlgorithm = 0x7    // place in algorithms, 0 for none
	flagComposite = 1 << 3 // the checksum is one of parts' checksums
	flagOwner     = 1 << 4 // the value names an owner that is not the bucket's
	flagVersioned = 1 << 5 // of a completed upload: the object has a version ID
)

// algorithms of checksums by their flag; the order is stored and never changes.
var algorithms = [...]string{"", "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"}

func flagsOf(o *storagev1.Object) (flags uint32) {
	for i, a := range algorithms {
		if a == o.GetChecksumAlgorithm() {
			flags = uint32(i)
		}
	}
	if o.GetChecksumComposite() {
		flags |= flagComposite
	}
	if o.GetOwner() != "" {
		flags |= flagOwner
	}
	return flags
}

// algorithmOf is the checksum algorithm that a row's flags name.
func algorithmOf(flags uint32) string {
	if i := int(flags & flagAlgorithm); i < len(algorithms) {
		return algorithms[i]
	}
	return ""
}

// found is a row with its value opened.
type found struct {
	store.Row
	object *storagev1.Object
}

// open reads a row's value.
func open(r store.Row) (found, error) {
	o := &storagev1.Object{}
	if err := proto.Unmarshal(r.Value, o); err != nil {
		return found{}, &store.Damaged{
			Thing: store.Thing{Kind: store.DamagedRow, Key: r.Key, Version: r.Version},
			What:  fmt.Sprintf("value of %q", r.Key), Err: err,
		}
	}
	return found{r, o}, nil
}

// forget lets go of what may be large and is not needed to send the body.
func (f *found) forget() { f.Value, f.object.Parts, f.object.PartList = nil, nil, nil }

// etag is the ETag in its quotes.
func (f *found) etag() string { return quoted(f.Tag) }

func quoted(tag []byte) string {
	b := make([]byte, 0, len(tag)+2)
	b = append(b, '"')
	b = append(b, tag...)
	return string(append(b, '"'))
}

// checksum is the object's checksum as documents show it.
func (f *found) checksum() s3xml.Checksum { return checksumOf(f.object) }

func checksumOf(o *storagev1.Object) s3xml.Checksum {
	c := s3xml.Checksum{Algorithm: o.GetChecksumAlgorithm(), Sum: o.GetChecksum()}
	if o.GetChecksumComposite() {
		c.Parts = partCount(o)
	}
	return c
}

// Version IDs are opaque: 8 octets in base32, or "null".
var versionText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const nullVersion = "null"

func versionID(v store.Version) string {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(v)*0x9e3779b97f4a7c15) // odd: one to one
	return versionText.EncodeToString(raw[:])
}

// ObjectOf is the key of the object whose row is stored under a key, and its version ID where its
// bucket keeps versions; nothing for rows of other kinds.
func ObjectOf(row []byte, v store.Version, b *storagev1.BucketSpec) (key, version string) {
	if len(row) == 0 || row[0] != rowObject {
		return "", ""
	}
	if b.GetVersioning() != storagev1.BucketSpec_VERSIONING_UNSPECIFIED {
		version = versionID(v)
	}
	return string(row[1:]), version
}

const versionInverse = 0xf1de83e19937733d // of 0x9e3779b97f4a7c15, modulo 2^64

// idOf is the version ID of a row.
func idOf(r *store.Row) string {
	if r.Null {
		return nullVersion
	}
	return versionID(r.Version)
}

// parseVersion reads a version ID.
func parseVersion(text string) (store.Version, error) {
	if text == nullVersion {
		return store.Null, nil
	}
	raw, err := versionText.DecodeString(text)
	if err != nil || len(raw) != 8 || versionText.EncodeToString(raw) != text {
		return 0, s3xml.Argument("Invalid version id specified", "versionId", text)
	}
	v := store.Version(binary.BigEndian.Uint64(raw) * versionInverse)
	if v == store.Null || v == store.Current {
		return 0, s3xml.Argument("Invalid version id specified", "versionId", text)
	}
	return v, nil
}

// version is the version that the request names, Current if none.
func (q *request) version() (store.Version, error) {
	if !q.query.has("versionId") {
		return store.Current, nil
	}
	text := q.query.get("versionId")
	if text == "" {
		return 0, s3xml.Argument("Version id cannot be the empty string", "versionId", "")
	}
	return parseVersion(text)
}

// uploadRow is the key of an upload's row.
func uploadRow(key, upload string) []byte {
	b := make([]byte, 0, len(key)+len(upload)+2)
	b = append(append(b, rowUpload), key...)
	return append(append(b, 0), upload...)
}

// splitUpload is the reverse of uploadRow; upload IDs have one length.
func splitUpload(row []byte) (key []byte, upload string) {
	at := len(row) - uploadIDLength
	return row[1 : at-1], string(row[at:])
}

const uploadIDLength = 32

func validUpload(id string) bool {
	return len(id) == uploadIDLength && strings.Trim(id, "0123456789abcdef") == ""
}

func partRow(upload string, number int) []byte {
	b := make([]byte, 0, len(upload)+3)
	b = append(append(b, rowPart), upload...)
	return binary.BigEndian.AppendUint16(b, uint16(number))
}

func partNumber(row []byte) int { return int(binary.BigEndian.Uint16(row[len(row)-2:])) }

// row copies of keys that outlive a call.
func objectRow(key string) []byte { return append([]byte{rowObject}, key...) }
