package checksum

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"syscall"
	"testing"
)

// BenchmarkAlgorithm is a core's speed at each.
func BenchmarkAlgorithm(b *testing.B) {
	data := make([]byte, 1<<20)
	for _, a := range Algorithms() {
		b.Run(a.String(), func(b *testing.B) {
			h := a.New()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				h.Write(data)
			}
		})
	}
}

// BenchmarkHasher is a PUT of 16 MiB in pieces: signed with an ETag (MD5, SHA-256), on the
// trailer path (MD5, CRC-32), and both while the caller seals each piece. "alone" is the
// same with the MD5 in turn. CPU is of all goroutines, and of the collector.
func BenchmarkHasher(b *testing.B) {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		b.Fatal(err)
	}
	const total = 16 << 20
	for name, w := range map[string]Want{
		"md5": {MD5: true}, "md5+sha256": {MD5: true, SHA256: true}, "md5+crc32": {MD5: true, Algorithm: CRC32},
	} {
		for _, size := range []int{16 << 10, 64 << 10, 256 << 10, 1 << 20} {
			for _, alone := range []bool{true, false} {
				for _, seal := range []bool{false, true} {
					data, sealed := make([]byte, size), make([]byte, 0, size+16)
					b.Run(fmt.Sprintf("%s/%dKiB/seal=%v/alone=%v", name, size>>10, seal, alone), func(b *testing.B) {
						b.SetBytes(total)
						before := cpu(b)
						for b.Loop() {
							h := NewHasher(w)
							h.alone = alone
							for range total / size {
								h.Begin(data)
								if seal {
									gcm.Seal(sealed, make([]byte, 12), data, nil)
								}
							}
							h.Sums()
							h.Close()
						}
						b.ReportMetric(float64(cpu(b)-before)/1e6/float64(b.N), "cpu-ms/op")
					})
				}
			}
		}
	}
}

// cpu is what the process has used so far, in nanoseconds.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkFullObject combines 10,000 parts, of one size and of as many sizes.
func BenchmarkFullObject(b *testing.B) {
	for _, step := range []int64{0, 1} {
		parts := make([]Part, MaxParts)
		for i := range parts {
			parts[i] = Part{make([]byte, 8), 5<<20 + int64(i)*step}
		}
		b.Run(fmt.Sprintf("sizes=%d", 1+(MaxParts-1)*step), func(b *testing.B) {
			for b.Loop() {
				if _, err := CRC64NVME.FullObjectOf(parts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
