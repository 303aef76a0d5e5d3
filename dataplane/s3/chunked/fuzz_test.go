package chunked

import (
	"io"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
)

// FuzzReader: any body ends in an error or in exactly the length that was told; signed, in
// exactly what was signed.
func FuzzReader(f *testing.F) {
	for _, p := range payloads {
		values, _ := trailersOf(p)
		f.Add([]byte(encode(p, "seed", "hello, world", values, 5)), int64(12), uint8(p))
	}
	f.Add([]byte("5\r\nhello\r\n0\r\n"+crc32c+":sOO8/Q==\n\r\n\r\n"), int64(5), uint8(signature.UnsignedTrailer))
	f.Add([]byte("0\n"), int64(0), uint8(signature.UnsignedTrailer))
	f.Fuzz(func(t *testing.T, body []byte, length int64, kind uint8) {
		p := payloads[int(kind)%len(payloads)]
		_, names := trailersOf(p)
		r := New(strings.NewReader(string(body)), options(p, "seed", length, names...))
		got, err := io.ReadAll(r)
		if int64(len(got)) > max(length, 0) || len(got) > len(body) {
			t.Fatalf("%d octets of %d told, %d sent", len(got), length, len(body))
		}
		if err != nil {
			return
		}
		if int64(len(got)) != length || len(r.Trailers()) != len(names) {
			t.Fatalf("%d octets of %d, %v", len(got), length, r.Trailers())
		}
		if text := string(got); p.SignedChunks() && text != "hello, world" && text != "" {
			t.Fatalf("%q was taken", got)
		}
	})
}
