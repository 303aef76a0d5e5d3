package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// What every signature of S3 has in it.
const (
	Algorithm = "AWS4-HMAC-SHA256"
	Service   = "s3"
	Terminal  = "aws4_request"

	DateLayout = "20060102T150405Z" // of X-Amz-Date
	DayLayout  = "20060102"         // of a credential's scope

	// MaxSkew is how far X-Amz-Date may be from now.
	MaxSkew = 15 * time.Minute

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
	date := time.Unix(int64(day)*secondsDay, 0).UTC().Format(DayLayout)
	k := MAC([]byte("AWS4"+secret), date)
	k = MAC(k[:], region)
	k = MAC(k[:], Service)
	return MAC(k[:], Terminal)
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
