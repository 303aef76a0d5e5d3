package storage

import (
	"hash/fnv"
	"time"

	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Edges verify signatures with derived keys (design/keys.md): kSigning of the UTC days
// from 8 before, since a presigned URL lives 7 and is checked with the key of the day it
// was made, to 15 ahead, which leaves the 14 that an edge must last alone.
const (
	daysBefore = 8
	daysAhead  = 15

	day = 24 * time.Hour
)

// today is the day, counted from 1970, that an access key's keys are for at a time: it
// begins at a minute of the UTC day that follows from the key's ID, so that not all keys
// are sealed again at midnight.
func today(accessKeyID string, now time.Time) int64 {
	h := fnv.New32a()
	h.Write([]byte(accessKeyID))
	late := time.Duration(h.Sum32()%(24*60)) * time.Minute
	return int64(sigv4.Day(now.Add(-late)))
}

// derive makes the signing keys of a secret around a day.
func derive(secret string, today int64, regions []string) *storagev1.SigningKeys {
	out := &storagev1.SigningKeys{}
	for d := today - daysBefore; d <= today+daysAhead; d++ {
		for _, r := range regions {
			key := sigv4.Derive(secret, int32(d), r)
			out.Keys = append(out.Keys, &storagev1.SigningKey{Day: int32(d), Region: r, Key: key[:]})
		}
	}
	return out
}
