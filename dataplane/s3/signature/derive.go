package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

const (
	algorithm = "AWS4-HMAC-SHA256"
	service   = "s3"
	terminal  = "aws4_request"

	isoBasic   = "20060102T150405Z"
	isoDay     = "20060102"
	secondsDay = 24 * 60 * 60
)

// Day is the number of a UTC day, 0 for 1970-01-01, as keys are published by it.
func Day(t time.Time) int32 { return int32(floorDiv(t.Unix(), secondsDay)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Derive makes kSigning: HMAC of the day, the region, "s3" and "aws4_request" in turn,
// beginning with "AWS4" and the secret.
func Derive(secret string, day int32, region string) [32]byte {
	date := time.Unix(int64(day)*secondsDay, 0).UTC().Format(isoDay)
	k := MAC([]byte("AWS4"+secret), date)
	k = MAC(k[:], region)
	k = MAC(k[:], service)
	return MAC(k[:], terminal)
}

// MAC is HMAC-SHA-256 (RFC 2104) of a short text. It lays the text behind its block, which
// spares the states of crypto/hmac, and allocates only for long texts.
func MAC[T string | []byte](key []byte, text T) [32]byte {
	var room [64 + 512]byte
	var block [sha256.BlockSize]byte
	if len(key) > len(block) {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	copy(block[:], key)
	for i := range block {
		block[i] ^= 0x36
	}
	inner := sha256.Sum256(append(append(room[:0], block[:]...), text...))
	for i := range block {
		block[i] ^= 0x36 ^ 0x5c
	}
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(outer[:], block[:])
	copy(outer[sha256.BlockSize:], inner[:])
	return sha256.Sum256(outer[:])
}

// Hex is a MAC as it stands in a header.
func Hex(sum [32]byte) string {
	var b [64]byte
	hex.Encode(b[:], sum[:])
	return string(b[:])
}
