package checksum

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestHasher: all that may be wanted together, in writes of any size, beside or not.
func TestHasher(t *testing.T) {
	rnd := newRand(t)
	for round := range 60 {
		data := random(rnd, rnd.IntN(4*Aside))
		w := Want{MD5: round%2 == 0, SHA256: round%3 == 0, Algorithm: Algorithm(round % 6)}
		h := NewHasher(w)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+rnd.IntN(2*Aside))
			if rnd.IntN(2) == 0 {
				h.Begin(rest[:n])
			} else if m, err := h.Write(rest[:n]); m != n || err != nil {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		s := h.Sums()
		if w.MD5 && s.MD5 != md5.Sum(data) || !w.MD5 && s.MD5 != [16]byte{} {
			t.Fatalf("%+v: MD5 %x", w, s.MD5)
		}
		if w.SHA256 && s.SHA256 != sha256.Sum256(data) {
			t.Fatalf("%+v: SHA-256 %x", w, s.SHA256)
		}
		if w.Algorithm != None && !bytes.Equal(s.Checksum, w.Algorithm.Sum(data)) {
			t.Fatalf("%+v: %x", w, s.Checksum)
		}
		h.Close()
		h.Close()
		if after := h.Sums(); after.MD5 != s.MD5 {
			t.Fatal("the sums changed by closing")
		}
	}
}

// TestClosedInTheMiddle: an upload that ends early leaves no goroutine behind.
func TestClosedInTheMiddle(t *testing.T) {
	h := NewHasher(Want{MD5: true})
	h.Begin(make([]byte, 2*Aside))
	h.Close()
}

func TestVerify(t *testing.T) {
	h := NewHasher(Want{MD5: true, SHA256: true, Algorithm: CRC32})
	defer h.Close()
	h.Write([]byte("123456789"))
	s := h.Sums()
	right, wrong := md5.Sum([]byte("123456789")), md5.Sum(nil)
	for _, c := range []struct {
		name string
		err  error
		want string
	}{
		{"MD5", s.VerifyMD5(&right), ""},
		{"no MD5", s.VerifyMD5(nil), ""},
		{"wrong MD5", s.VerifyMD5(&wrong), "BadDigest"},
		{"SHA-256", s.VerifySHA256(sha256.Sum256([]byte("123456789"))), ""},
		{"wrong SHA-256", s.VerifySHA256(sha256.Sum256(nil)), "XAmzContentSHA256Mismatch"},
		{"nothing asked", s.Verify(Asked{}), ""},
		{"all right", s.Verify(Asked{MD5: &right, Algorithm: CRC32, Sum: CRC32.Sum([]byte("123456789"))}), ""},
		{"wrong checksum", s.Verify(Asked{Algorithm: CRC32, Sum: make([]byte, 4)}), "BadDigest"},
		{"no checksum came", s.Verify(Asked{Algorithm: CRC32, Trailer: true}), "BadDigest"},
		{"other algorithm", s.Verify(Asked{Algorithm: SHA1, Sum: make([]byte, 20)}), "InvalidRequest"},
		{"wrong MD5 of all", s.Verify(Asked{MD5: &wrong}), "BadDigest"},
	} {
		if c.want == "" != (c.err == nil) || c.err != nil && !strings.HasPrefix(c.err.Error(), c.want+":") {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
}
