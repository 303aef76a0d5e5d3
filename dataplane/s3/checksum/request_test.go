package checksum

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func headers(text string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

// TestRead: what headers may say together, and what not.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, headers string
		want          Asked
		code          string
	}{
		{"nothing", "", Asked{}, ""},
		{"a value", "x-amz-checksum-crc32: y/Q5Jg==", Asked{Algorithm: CRC32, Sum: []byte{0xcb, 0xf4, 0x39, 0x26}}, ""},
		{
			"a value and its SDK's word", "x-amz-checksum-crc32: y/Q5Jg==\nx-amz-sdk-checksum-algorithm: crc32",
			Asked{Algorithm: CRC32, SDK: CRC32, Sum: []byte{0xcb, 0xf4, 0x39, 0x26}},
			"",
		},
		{
			"a trailer", "x-amz-trailer: x-amz-checksum-crc64nvme\nx-amz-sdk-checksum-algorithm: CRC64NVME",
			Asked{Algorithm: CRC64NVME, SDK: CRC64NVME, Trailer: true},
			"",
		},
		{"a type", "x-amz-checksum-type: FULL_OBJECT", Asked{TypeGiven: true}, ""},
		{"no values", "x-amz-checksum-mode: ENABLED\nx-amz-checksum-algorithm: SHA1", Asked{}, ""},
		{"MD5", "Content-MD5: CY9rzUYh03PK3k6DJie09g==", Asked{MD5: &[16]byte{
			0x09, 0x8f, 0x6b, 0xcd, 0x46, 0x21, 0xd3,
			0x73, 0xca, 0xde, 0x4e, 0x83, 0x26, 0x27, 0xb4, 0xf6,
		}}, ""},
		{"two values", "x-amz-checksum-crc32: y/Q5Jg==\nx-amz-checksum-crc32c: y/Q5Jg==", Asked{}, "InvalidRequest"},
		{"one twice", "x-amz-checksum-crc32: y/Q5Jg==\nx-amz-checksum-crc32: y/Q5Jg==", Asked{}, "InvalidRequest"},
		{
			"value and trailer", "x-amz-checksum-crc32: y/Q5Jg==\nx-amz-trailer: x-amz-checksum-crc32",
			Asked{},
			"InvalidRequest",
		},
		{"two trailers", "x-amz-trailer: x-amz-checksum-sha1, x-amz-checksum-crc32", Asked{}, "InvalidRequest"},
		{"other trailer", "x-amz-trailer: x-amz-meta-a", Asked{}, "InvalidRequest"},
		{"too short", "x-amz-checksum-crc32: y/Q5", Asked{}, "InvalidRequest"},
		{"no base64", "x-amz-checksum-crc32: !!!!!!!!", Asked{}, "InvalidRequest"},
		{"loose base64", "x-amz-checksum-crc32: y/Q5Jh==", Asked{}, "InvalidRequest"},
		{"composite of a body", "x-amz-checksum-crc32: y/Q5Jg==-2", Asked{}, "InvalidRequest"},
		{"unknown algorithm", "x-amz-checksum-xxhash64: AAAAAAAAAAA=", Asked{}, "InvalidRequest"},
		{"SDK's word alone", "x-amz-sdk-checksum-algorithm: CRC32", Asked{}, "InvalidRequest"},
		{
			"SDK's other word", "x-amz-checksum-crc32: y/Q5Jg==\nx-amz-sdk-checksum-algorithm: SHA1",
			Asked{},
			"InvalidRequest",
		},
		{"SDK's nonsense", "x-amz-sdk-checksum-algorithm: x", Asked{}, "InvalidRequest"},
		{"type's nonsense", "x-amz-checksum-type: HALF", Asked{}, "InvalidRequest"},
		{"short MD5", "Content-MD5: CY9rzUYh03PK3k6DJie09", Asked{}, "InvalidDigest"},
		{"long MD5", "Content-MD5: " + strings.Repeat("A", 1000), Asked{}, "InvalidDigest"},
		{
			"MD5 twice", "Content-MD5: CY9rzUYh03PK3k6DJie09g==\nContent-MD5: CY9rzUYh03PK3k6DJie09g==",
			Asked{},
			"InvalidDigest",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Read(headers(c.headers))
			if c.code != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.code+":") {
					t.Errorf("want %s, got %+v %v", c.code, got, err)
				}
				return
			}
			if err != nil || got.Algorithm != c.want.Algorithm || !bytes.Equal(got.Sum, c.want.Sum) ||
				got.Trailer != c.want.Trailer ||
				got.SDK != c.want.SDK || got.TypeGiven != c.want.TypeGiven || (got.MD5 == nil) != (c.want.MD5 == nil) ||
				got.MD5 != nil && *got.MD5 != *c.want.MD5 {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

// TestReadCompletion: a checksum of checksums has its number of parts.
func TestReadCompletion(t *testing.T) {
	for text, want := range map[string]int{
		"y/Q5Jg==": 0, "y/Q5Jg==-1": 1, "y/Q5Jg==-10000": 10000,
		"y/Q5Jg==-10001": -1, "y/Q5Jg==-0": -1, "y/Q5Jg==-": -1, "y/Q5Jg==-x": -1, "-2": -1, "y/Q5Jg==-1-1": -1,
	} {
		got, err := ReadCompletion(headers("x-amz-checksum-crc32: " + text))
		if (err != nil) != (want < 0) || err == nil && (got.Parts != want || Format(got.Sum, got.Parts) != text) {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	if _, err := ReadCompletion(headers("x-amz-sdk-checksum-algorithm: CRC32")); err != nil {
		t.Errorf("a completion needs no checksum of its body: %v", err)
	}
}

func TestFromTrailer(t *testing.T) {
	a := Asked{Algorithm: CRC32, Trailer: true}
	if err := a.FromTrailer(map[string]string{"x-amz-checksum-crc32": "y/Q5Jg=="}); err != nil ||
		!bytes.Equal(a.Sum, CRC32.Sum([]byte("123456789"))) {
		t.Errorf("%x %v", a.Sum, err)
	}
	if err := a.FromTrailer(nil); err == nil {
		t.Error("no value was taken")
	}
	if err := (&Asked{}).FromTrailer(nil); err != nil {
		t.Error(err)
	}
}
