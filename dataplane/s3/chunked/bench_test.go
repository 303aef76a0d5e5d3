package chunked

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
)

// BenchmarkReader decodes 16 MiB, in chunks of the size that a client uses.
func BenchmarkReader(b *testing.B) {
	data := strings.Repeat("0123456789abcdef", 1<<20)
	buf := make([]byte, 256<<10)
	for _, size := range []int{16, 8 << 10, 64 << 10, 1 << 20, 16 << 20} {
		sizes := make([]int, len(data)/size)
		for i := range sizes {
			sizes[i] = size
		}
		for _, p := range []signature.Payload{signature.UnsignedTrailer, signature.Chunks} {
			if size < 1<<10 && p.SignedChunks() {
				continue // takes longer to write than to read
			}
			values, names := trailersOf(p)
			body := []byte(encode(p, "seed", data, values, sizes...))
			b.Run(p.String()+"/"+sizeName(size), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					r := New(bytes.NewReader(body), options(p, "seed", int64(len(data)), names...))
					if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil ||
						n != int64(len(data)) {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}

func sizeName(n int) string {
	if n < 1<<10 {
		return "16B"
	}
	if n >= 1<<20 {
		return string(rune('0'+(n>>20)/10)) + string(rune('0'+(n>>20)%10)) + "MiB"
	}
	return string(rune('0'+(n>>10)/10)) + string(rune('0'+(n>>10)%10)) + "KiB"
}
