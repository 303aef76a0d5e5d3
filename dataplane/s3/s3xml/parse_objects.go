package s3xml

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DeleteKey is one object of DeleteObjects.
type DeleteKey struct {
	Key       string
	VersionID string
	// Conditions, where they were given.
	ETag         string // without its quotes; "*" for any
	LastModified *time.Time
	Size         *int64
}

// Delete is a request of DeleteObjects.
type Delete struct {
	Quiet   bool
	Objects []DeleteKey
}

// ParseDelete reads the document of DeleteObjects (MaxDeleteDocument). Keys that are not
// allowed are for the caller to answer one by one.
func ParseDelete(doc []byte) (*Delete, error) {
	s := scanner{doc: string(doc), left: 9 * MaxDeleteKeys, controls: true}
	root, err := s.parse("Delete")
	if err != nil {
		return nil, err
	}
	d := &Delete{Objects: make([]DeleteKey, 0, min(len(root.kids), MaxDeleteKeys))}
	err = root.fields(map[string]func(*node) error{"Quiet": boolInto(&d.Quiet), "Object*": d.object})
	if err == nil && len(d.Objects) == 0 {
		err = unexpected(root)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Delete) object(n *node) error {
	if len(d.Objects) == MaxDeleteKeys {
		return malformed(fmt.Errorf("more than %d keys", MaxDeleteKeys))
	}
	if len(n.kids) == 0 && strings.TrimSpace(n.text) != "" {
		return unexpected(n)
	}
	var k DeleteKey
	for i, kid := range n.kids {
		if slices.ContainsFunc(n.kids[:i], func(before *node) bool { return before.name == kid.name }) {
			return unexpected(kid)
		}
		if err := k.field(kid); err != nil {
			return err
		}
	}
	if k.Key == "" {
		return New(UserKeyMustBeSpecified)
	}
	k.ETag = unquote(k.ETag)
	d.Objects = append(d.Objects, k)
	return nil
}

// field reads one of the five that an object may have. It makes no functions, as others
// do: there are a thousand objects.
func (k *DeleteKey) field(n *node) (err error) {
	switch n.name {
	case "Key":
		k.Key, err = n.leaf()
	case "VersionId":
		k.VersionID, err = n.leaf()
	case "ETag":
		k.ETag, err = n.leaf()
	case "LastModifiedTime":
		k.LastModified = new(time.Time)
		err = timeInto(k.LastModified)(n)
	case "Size":
		k.Size = new(int64)
		err = intInto(k.Size)(n)
	default:
		err = unexpected(n)
	}
	return err
}

// unquote takes the quotes off of an ETag, if it has them.
func unquote(tag string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(tag), `"`), `"`)
}

// CompletePart is one part that CompleteMultipartUpload names.
type CompletePart struct {
	Number int
	ETag   string // without its quotes
	// Checksums by algorithm, raw.
	Checksums map[string][]byte
}

// ParseComplete reads the document of CompleteMultipartUpload (MaxCompleteDocument): 1 to
// 10,000 parts in ascending order.
func ParseComplete(doc []byte) ([]CompletePart, error) {
	root, err := parse(doc, "CompleteMultipartUpload", 9*MaxPart)
	if err != nil {
		return nil, err
	}
	parts := make([]CompletePart, 0, min(len(root.kids), MaxPart))
	err = root.fields(map[string]func(*node) error{"Part*": func(n *node) error {
		p, err := completePart(n)
		if err != nil {
			return err
		}
		if len(parts) > 0 && p.Number <= parts[len(parts)-1].Number {
			return New(InvalidPartOrder)
		}
		parts = append(parts, p)
		return nil
	}})
	if err == nil && len(parts) == 0 {
		err = unexpected(root)
	}
	if err != nil {
		return nil, err
	}
	return parts, nil
}

func completePart(n *node) (CompletePart, error) {
	var p CompletePart
	number := int64(-1)
	for _, k := range n.kids {
		var err error
		switch algorithm, sum := strings.CutPrefix(k.name, "Checksum"); {
		case k.name == "PartNumber" && number == -1:
			err = intInto(&number)(k)
		case k.name == "ETag" && p.ETag == "":
			err = into(&p.ETag)(k)
		case sum:
			err = p.checksum(algorithm, k)
		default:
			err = unexpected(k)
		}
		if err != nil {
			return p, err
		}
	}
	p.ETag, p.Number = unquote(p.ETag), int(number)
	switch {
	case number == -1 || p.ETag == "":
		return p, unexpected(n)
	case number < 1 || number > MaxPart:
		return p, Argument("Part number must be an integer between 1 and 10000, inclusive",
			"partNumber", decimal(int(number)))
	}
	return p, nil
}

// ChecksumSizes has the checksum algorithms of S3 and how many octets each gives.
var ChecksumSizes = map[string]int{"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32}

func (p *CompletePart) checksum(algorithm string, n *node) error {
	s, err := n.leaf()
	if err != nil {
		return err
	}
	size, known := ChecksumSizes[algorithm]
	if !known || p.Checksums[algorithm] != nil {
		return unexpected(n)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(s))
	if err != nil || len(sum) != size {
		return Say(InvalidRequest, "Value for x-amz-checksum-"+strings.ToLower(algorithm)+" part is invalid.")
	}
	if p.Checksums == nil {
		p.Checksums = make(map[string][]byte, 1)
	}
	p.Checksums[algorithm] = sum
	return nil
}
