package storage

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash/fnv"
	"time"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Edges verify signatures with derived keys (design/keys.md): kSigning of the UTC days
// from 8 before, since a presigned URL lives 7 and is checked with the key of the day it
// was made, to 15 ahead, which leaves the 14 that an edge must last alone.
const (
	daysBefore = 8
	daysAhead  = 15

	day       = 24 * time.Hour
	dayLayout = "20060102"
	service   = "s3"
)

// today is the day, counted from 1970, that an access key's keys are for at a time: it
// begins at a minute of the UTC day that follows from the key's ID, so that not all keys
// are sealed again at midnight.
func today(accessKeyID string, now time.Time) int64 {
	h := fnv.New32a()
	h.Write([]byte(accessKeyID))
	late := time.Duration(h.Sum32()%(24*60)) * time.Minute
	return floorDay(now.Add(-late))
}

func floorDay(t time.Time) int64 {
	s := t.Unix()
	d := s / 86400
	if s%86400 < 0 {
		d--
	}
	return d
}

// derive makes the signing keys of a secret around a day.
func derive(secret string, today int64, regions []string) *storagev1.SigningKeys {
	out := &storagev1.SigningKeys{}
	for d := today - daysBefore; d <= today+daysAhead; d++ {
		date := time.Unix(d*86400, 0).UTC().Format(dayLayout)
		for _, r := range regions {
			out.Keys = append(out.Keys, &storagev1.SigningKey{Day: int32(d), Region: r, Key: SigningKey(secret, date, r)})
		}
	}
	return out
}

// SigningKey is kSigning of AWS Signature Version 4 for the service s3: date is YYYYMMDD.
func SigningKey(secret, date, region string) []byte {
	k := sum([]byte("AWS4"+secret), date)
	k = sum(k, region)
	k = sum(k, service)
	return sum(k, "aws4_request")
}

func sum(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
