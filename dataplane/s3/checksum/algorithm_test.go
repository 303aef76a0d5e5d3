package checksum

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"hash/crc64"
	"math/rand/v2"
	"testing"
	"time"
)

// TestCheckValues: the check value of each CRC is that of "123456789", as the catalogue of
// parametrised CRC algorithms has it; the others are of RFC 3174 and FIPS 180-4.
func TestCheckValues(t *testing.T) {
	for a, want := range map[Algorithm]string{
		CRC32:     "cbf43926",
		CRC32C:    "e3069283",
		CRC64NVME: "ae8b14860a799888",
		SHA1:      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		SHA256:    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		if got := hex.EncodeToString(a.Sum([]byte("123456789"))); got != want || len(want) != 2*a.Size() {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}

// TestCRC64NVME: the library that folds agrees with the standard one that does not.
func TestCRC64NVME(t *testing.T) {
	table := crc64.MakeTable(0x9a6c9329ac4bc9b5)
	rnd := newRand(t)
	for range 2000 {
		data := random(rnd, rnd.IntN(3000))
		h := CRC64NVME.New()
		cut := rnd.IntN(len(data) + 1)
		h.Write(data[:cut])
		h.Write(data[cut:])
		if got, want := number(h.Sum(nil)), crc64.Checksum(data, table); got != want {
			t.Fatalf("%d octets: %x, want %x", len(data), got, want)
		}
	}
}

func newRand(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 3))
}

func random(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func TestNames(t *testing.T) {
	for _, a := range Algorithms() {
		if got, ok := ParseAlgorithm(a.String()); !ok || got != a {
			t.Errorf("%v: %v", a, got)
		}
		if got, ok := ofHeader(a.Header()); !ok || got != a {
			t.Errorf("%v: %v", a.Header(), got)
		}
	}
	if _, ok := ParseAlgorithm(""); ok {
		t.Error("nothing is an algorithm")
	}
	if a, ok := ParseAlgorithm("crc64nvme"); !ok || a != CRC64NVME {
		t.Error(a)
	}
}

// TestTypes: the table "Checksum types for multipart uploads" of the User Guide.
func TestTypes(t *testing.T) {
	for _, c := range []struct {
		a               Algorithm
		full, composite bool
		byDefault       Type
	}{
		{CRC32, true, true, Composite},
		{CRC32C, true, true, Composite},
		{CRC64NVME, true, false, FullObject},
		{SHA1, false, true, Composite},
		{SHA256, false, true, Composite},
	} {
		if c.a.Allows(FullObject) != c.full || c.a.Allows(Composite) != c.composite || c.a.Multipart() != c.byDefault {
			t.Errorf("%v", c.a)
		}
	}
	if None.Allows(FullObject) || None.Allows(Composite) {
		t.Error("None has a type")
	}
	for _, typ := range []Type{FullObject, Composite} {
		if got, ok := ParseType(typ.String()); !ok || got != typ {
			t.Error(typ)
		}
	}
}

// TestFullObject: the CRCs of parts, of any number and size, combine to that of the whole.
func TestFullObject(t *testing.T) {
	rnd := newRand(t)
	for round := range 300 {
		var whole []byte
		size := rnd.IntN(2000)
		for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
			whole = whole[:0]
			var parts []Part
			for range rnd.IntN(8) {
				n := size
				if round%2 == 0 {
					n = rnd.IntN(2000)
				}
				data := random(rnd, n)
				whole = append(whole, data...)
				parts = append(parts, Part{a.Sum(data), int64(n)})
			}
			got, err := a.FullObjectOf(parts)
			if err != nil || !bytes.Equal(got, a.Sum(whole)) {
				t.Fatalf("%v of %d parts: %x, want %x (%v)", a, len(parts), got, a.Sum(whole), err)
			}
		}
	}
	if _, err := SHA256.FullObjectOf(nil); err == nil {
		t.Error("SHA-256 has no FULL_OBJECT")
	}
}

// TestFullObjectOfLargeParts: parts of 5 GiB of zeros, which power alone can reach: adding
// zeros one length at a time must come to the same.
func TestFullObjectOfLargeParts(t *testing.T) {
	f, _ := CRC32.field()
	const large = 5 << 30
	step := f.power(1 << 20)
	walked := f.one
	for range large >> 20 {
		walked = f.times(walked, step)
	}
	if got := f.power(large); got != walked {
		t.Errorf("%x, want %x", got, walked)
	}
	zeros := make([]byte, 1<<20)
	a, b := CRC32.Sum([]byte("a")), CRC32.Sum(zeros)
	got, err := CRC32.FullObjectOf([]Part{{a, 1}, {b, 1 << 20}})
	want := crc32.ChecksumIEEE(append([]byte("a"), zeros...))
	if err != nil || uint32(number(got)) != want {
		t.Errorf("%x, want %x (%v)", got, want, err)
	}
}

// TestComposite: the checksum of the checksums, in the order of the parts.
func TestComposite(t *testing.T) {
	for _, a := range []Algorithm{CRC32, CRC32C, SHA1, SHA256} {
		x, y := a.Sum([]byte("x")), a.Sum([]byte("y"))
		want := a.Sum(append(bytes.Clone(x), y...))
		parts := []Part{{x, 1}, {y, 1}}
		got, err := a.OfParts(Composite, parts, Asked{Algorithm: a, Sum: want, Parts: 2})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x, want %x (%v)", a, got, want, err)
		}
		for what, asked := range map[string]Asked{
			"count":     {Algorithm: a, Sum: want, Parts: 3},
			"value":     {Algorithm: a, Sum: x, Parts: 2},
			"algorithm": {Algorithm: CRC64NVME, Sum: want},
		} {
			if _, err := a.OfParts(Composite, parts, asked); err == nil {
				t.Errorf("%v: another %s was taken", a, what)
			}
		}
	}
	if _, err := SHA1.OfParts(FullObject, nil, Asked{}); err == nil {
		t.Error("SHA-1 is never FULL_OBJECT")
	}
	if _, err := CRC64NVME.OfParts(Composite, nil, Asked{}); err == nil {
		t.Error("CRC64NVME is never COMPOSITE")
	}
	if sum, err := CRC32.OfParts(FullObject, []Part{{CRC32.Sum([]byte("ab")), 2}}, Asked{}); err != nil ||
		!bytes.Equal(sum, CRC32.Sum([]byte("ab"))) {
		t.Errorf("%x %v", sum, err)
	}
	if _, err := CRC32.FullObjectOf([]Part{{nil, 2}}); err == nil {
		t.Error("a part without a sum was combined")
	}
}
