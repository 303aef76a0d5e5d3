package checksum

import (
	"bytes"
	"net/http"
	"testing"
)

// FuzzValue: what is parsed has the algorithm's size and is written the same way again.
func FuzzValue(f *testing.F) {
	f.Add("y/Q5Jg==", uint8(CRC32))
	f.Add("y/Q5Jg==-2", uint8(CRC32C))
	f.Add("rosUhgp5mIg=-", uint8(CRC64NVME))
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		a := Algorithms()[int(n)%5]
		sum, parts, err := a.ParseParts(text)
		if err != nil {
			return
		}
		again, count, err := a.ParseParts(Format(sum, parts))
		if len(sum) != a.Size() || parts > MaxParts || err != nil || count != parts || !bytes.Equal(again, sum) {
			t.Fatalf("%q: %x %d %v", text, sum, parts, err)
		}
	})
}

// FuzzHeaders: whatever is read says of one checksum at most, with a value or a trailer.
func FuzzHeaders(f *testing.F) {
	f.Add("Crc32", "y/Q5Jg==", "x-amz-checksum-crc32", "CRC32", "CY9rzUYh03PK3k6DJie09g==")
	f.Add("Sha1", "", "", "", "")
	f.Fuzz(func(t *testing.T, name, value, trailer, sdk, sum string) {
		h := http.Header{}
		for _, p := range [][2]string{
			{"X-Amz-Checksum-" + name, value},
			{"X-Amz-Trailer", trailer},
			{"X-Amz-Sdk-Checksum-Algorithm", sdk},
			{"Content-MD5", sum},
		} {
			if p[1] != "" {
				h.Set(p[0], p[1])
			}
		}
		a, err := Read(h)
		if err != nil {
			return
		}
		if a.Trailer == (a.Sum != nil) && a.Algorithm != None || a.Sum != nil && len(a.Sum) != a.Algorithm.Size() ||
			a.Parts != 0 {
			t.Fatalf("%v: %+v", h, a)
		}
	})
}
