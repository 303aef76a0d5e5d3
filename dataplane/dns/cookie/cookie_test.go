package cookie

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors are those of RFC 9018 appendix A.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		secret, client, addr string
		now                  uint32
		want                 string
	}{
		{
			"e5e973e5a6b2a43f48e7dc849e37bfcf", "2464c4abcf10c957", "198.51.100.100", 1559731985,
			"010000005cf79f111f8130c3eee29480",
		},
		{
			"e5e973e5a6b2a43f48e7dc849e37bfcf", "fc93fc62807ddb86", "203.0.113.203", 1559734700,
			"010000005cf7a9acf73a7810aca2381e",
		},
		{
			"445536bcd2513298075a5d379663c962", "22681ab97d52c298", "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
			"010000005cf7c609a6bb79d16625507a",
		},
	} {
		var s Secret
		copy(s[:], unhex(t, c.secret))
		from := netip.MustParseAddr(c.addr)
		got := Secrets{s}.Make(nil, unhex(t, c.client), from, c.now)
		if hex.EncodeToString(got) != c.client+c.want {
			t.Errorf("%s: %x, want %s", c.addr, got, c.want)
		}
		if ok, renew := (Secrets{s}).Check(got, from, c.now+10); !ok || renew {
			t.Error("a fresh cookie is not valid")
		}
	}
}

func TestCheck(t *testing.T) {
	old, fresh := Secret{1}, Secret{2}
	from := netip.MustParseAddr("192.0.2.1")
	client := []byte("12345678")
	now := uint32(1 << 31)
	c := Secrets{old}.Make(nil, client, from, now)
	for _, k := range []struct {
		name         string
		secrets      Secrets
		from         string
		now          uint32
		change       int // octet to flip, negative for none
		valid, renew bool
	}{
		{"same", Secrets{old}, "192.0.2.1", now, -1, true, false},
		{"4-in-6", Secrets{old}, "::ffff:192.0.2.1", now, -1, true, false},
		{"half an hour", Secrets{old}, "192.0.2.1", now + 1801, -1, true, true},
		{"an hour", Secrets{old}, "192.0.2.1", now + 3601, -1, false, true},
		{"ahead", Secrets{old}, "192.0.2.1", now - 299, -1, true, false},
		{"far ahead", Secrets{old}, "192.0.2.1", now - 301, -1, false, true},
		{"rolled over", Secrets{fresh, old}, "192.0.2.1", now, -1, true, true},
		{"secret gone", Secrets{fresh}, "192.0.2.1", now, -1, false, true},
		{"other address", Secrets{old}, "192.0.2.2", now, -1, false, true},
		{"other client cookie", Secrets{old}, "192.0.2.1", now, 0, false, true},
		{"other hash", Secrets{old}, "192.0.2.1", now, 23, false, true},
		{"other version", Secrets{old}, "192.0.2.1", now, 8, false, true},
	} {
		b := append([]byte(nil), c...)
		if k.change >= 0 {
			b[k.change] ^= 4
		}
		valid, renew := k.secrets.Check(b, netip.MustParseAddr(k.from), k.now)
		if valid != k.valid || renew != k.renew {
			t.Errorf("%s: %v %v", k.name, valid, renew)
		}
	}
}
