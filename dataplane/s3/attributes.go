package s3

import (
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// getAttributes answers with those attributes of an object that the client names.
func (q *request) getAttributes() error {
	want, err := q.wantedAttributes()
	if err != nil {
		return err
	}
	f, err := q.find()
	if err != nil {
		return err
	}
	if _, err := q.sealingOf(f.object); err != nil {
		return err
	}
	p := q.preconditions("")
	switch p.judge(f.Tag, f.Time) {
	case notModified:
		return s3xml.NotModified
	case failed:
		return failedAs(p.failedHeader())
	}
	q.set("Last-Modified", httpTime(f.Time))
	q.versionHeader(&f)
	a := s3xml.Attributes{}
	if want["ETag"] {
		a.ETag = string(f.Tag)
	}
	if want["Checksum"] {
		a.Checksum = f.checksum()
	}
	if want["StorageClass"] {
		a.StorageClass = "STANDARD"
	}
	if want["ObjectSize"] {
		a.Size = &f.Size
	}
	if want["ObjectParts"] && partCount(f.object) > 0 {
		if a.Parts, err = q.attributeParts(f.object); err != nil {
			return err
		}
	}
	return q.send(&a)
}

// wantedAttributes reads x-amz-object-attributes, which must name some.
func (q *request) wantedAttributes() (map[string]bool, error) {
	want := map[string]bool{}
	for one := range strings.SplitSeq(strings.Join(q.r.Header["X-Amz-Object-Attributes"], ","), ",") {
		switch one = strings.TrimSpace(one); one {
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			want[one] = true
		case "":
		default:
			return nil, s3xml.Argument("Invalid attribute name specified.", "x-amz-object-attributes", one)
		}
	}
	if len(want) == 0 {
		return nil, invalidRequest("The x-amz-object-attributes header specifying the attributes to be retrieved is " +
			"either missing or empty")
	}
	return want, nil
}

// attributeParts is a page of an object's parts.
func (q *request) attributeParts(o *storagev1.Object) (*s3xml.AttributeParts, error) {
	limit, err := q.numberIn("X-Amz-Max-Parts", maxKeys)
	if err != nil {
		return nil, err
	}
	marker, err := q.numberIn("X-Amz-Part-Number-Marker", 0)
	if err != nil {
		return nil, err
	}
	parts, err := partsOf(o)
	if err != nil {
		return nil, err
	}
	page := &s3xml.AttributeParts{Total: len(parts), Marker: marker, Max: min(limit, maxKeys)}
	for _, p := range parts {
		if int(p.GetNumber()) <= marker {
			continue
		}
		if len(page.Parts) >= page.Max {
			page.Truncated = true
			break
		}
		page.NextMarker = int(p.GetNumber())
		page.Parts = append(page.Parts, s3xml.AttributePart{
			Number: int(p.GetNumber()), Size: p.GetSize(),
			Checksum: s3xml.Checksum{Algorithm: o.GetChecksumAlgorithm(), Sum: p.GetChecksum()},
		})
	}
	return page, nil
}

// numberIn reads a header that is a number.
func (q *request) numberIn(header string, absent int) (int, error) {
	text := q.header(header)
	if text == "" {
		return absent, nil
	}
	n, ok := digits(text)
	if !ok {
		return 0, s3xml.Argument("The header must be a number.", strings.ToLower(header), text)
	}
	return int(min(n, s3xml.MaxPart)), nil
}
