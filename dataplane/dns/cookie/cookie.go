// Package cookie makes and checks DNS server cookies (RFC 7873) in the form that all
// servers of an anycast group share (RFC 9018). It is pure: the time is an argument,
// and secrets are values.
package cookie

import (
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"net/netip"
)

const (
	// ClientLen is the length of a client's cookie, RFC 7873 4.1.
	ClientLen = 8
	// ServerLen is the length of a server's cookie, RFC 9018 4.
	ServerLen = 16
	// Len is the length of both.
	Len = ClientLen + ServerLen
)

// RFC 9018 4.3: how old a cookie may be, how far ahead its clock, and from what age a
// new one is given.
const (
	maxAge   = 3600
	maxAhead = 300
	renewAge = 1800
)

// Secret is a key that a group of servers shares.
type Secret [16]byte

// Secrets are the keys in use: the first makes cookies, all of them check, so that a
// new one is added last everywhere, then moved first, then the old one removed.
type Secrets []Secret

// Make appends to dst the client's cookie and a server cookie made now, Unix seconds.
func (s Secrets) Make(dst, client []byte, from netip.Addr, now uint32) []byte {
	var c [Len]byte
	copy(c[:], client[:ClientLen])
	c[ClientLen] = 1 // version; three octets reserved
	binary.BigEndian.PutUint32(c[12:], now)
	s[0].hash(&c, from)
	return append(dst, c[:]...)
}

// Check reports whether a cookie is one of ours for the address, and whether it is so
// old that the client should be given another.
func (s Secrets) Check(cookie []byte, from netip.Addr, now uint32) (valid, renew bool) {
	if len(cookie) != Len || cookie[ClientLen] != 1 {
		return false, true
	}
	// RFC 9018 4.3: serial number arithmetic on the time stamp (RFC 1982).
	age := int32(now - binary.BigEndian.Uint32(cookie[12:]))
	if age > maxAge || age < -maxAhead {
		return false, true
	}
	var c [Len]byte
	copy(c[:], cookie)
	for i := range s {
		s[i].hash(&c, from)
		if subtle.ConstantTimeCompare(c[16:], cookie[16:]) == 1 {
			return true, age > renewAge || i > 0
		}
	}
	return false, true
}

// hash fills the last eight octets of c: SipHash-2-4 of what is before them and the
// client's address (RFC 9018 4.4).
func (s *Secret) hash(c *[Len]byte, from netip.Addr) {
	var in [16 + 16]byte
	n := copy(in[:], c[:16])
	if from = from.Unmap(); from.Is4() {
		a := from.As4()
		n += copy(in[n:], a[:])
	} else {
		a := from.As16()
		n += copy(in[n:], a[:])
	}
	binary.LittleEndian.PutUint64(c[16:], sipHash(s, in[:n]))
}

// sipHash is SipHash-2-4 (Aumasson and Bernstein, 2012).
func sipHash(key *Secret, b []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	v := [4]uint64{
		k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573,
	}
	last := uint64(len(b)) << 56
	for ; len(b) >= 8; b = b[8:] {
		m := binary.LittleEndian.Uint64(b)
		v[3] ^= m
		sipRounds(&v, 2)
		v[0] ^= m
	}
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	v[3] ^= last
	sipRounds(&v, 2)
	v[0] ^= last
	v[2] ^= 0xff
	sipRounds(&v, 4)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func sipRounds(v *[4]uint64, n int) {
	for range n {
		v[0] += v[1]
		v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
		v[0] = bits.RotateLeft64(v[0], 32)
		v[2] += v[3]
		v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
		v[0] += v[3]
		v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
		v[2] += v[1]
		v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
		v[2] = bits.RotateLeft64(v[2], 32)
	}
}
