// Package lifecycle says what a bucket's lifecycle rules make of an object version, a
// delete marker or an upload at a given time (Amazon S3 User Guide, "Managing the
// lifecycle of objects"), and which rules AWS takes. It is pure: it has no clock, no state
// and no store; who sweeps asks it row by row.
package lifecycle

import (
	"strings"
	"time"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const day = 24 * time.Hour

// Action is what is to be done.
type Action uint8

// The actions.
const (
	// Keep: nothing.
	Keep Action = iota
	// ExpireCurrent deletes the current version as a DELETE without a version would: for
	// good in a bucket that was never versioned, else by a delete marker over it (where
	// versioning is suspended, one that replaces the null version).
	ExpireCurrent
	// DeleteNoncurrent deletes the version for good.
	DeleteNoncurrent
	// RemoveMarker removes a delete marker that has no versions under it.
	RemoveMarker
	// AbortUpload ends a multipart upload and deletes its parts.
	AbortUpload
)

// Version is a version of an object, or a delete marker.
type Version struct {
	Key     string
	Size    int64
	Tags    map[string]string
	Written time.Time // Last-Modified
	Current bool
	Marker  bool
	// OnlyVersion: the key has no other version or marker; counts for markers.
	OnlyVersion bool
	// Of a noncurrent version: when its successor was written, and how many noncurrent
	// versions of the key are newer.
	NoncurrentSince time.Time
	NewerNoncurrent int
}

// Upload is a multipart upload that was not completed.
type Upload struct {
	Key     string
	Started time.Time
}

// Verdict is what is to be done, by which rule, since when.
type Verdict struct {
	Action Action
	Rule   string // its ID
	Due    time.Time
}

// Evaluate says what is to be done with a version now. Where more than one rule is due,
// the one that was due first is named.
func Evaluate(rules []*storagev1.LifecycleRule, v *Version, now time.Time) Verdict {
	best := Verdict{}
	for _, r := range rules {
		if !r.GetEnabled() || !fits(r, v) {
			continue
		}
		a, due := judge(r, v)
		if a == Keep || due.After(now) || best.Action != Keep && !due.Before(best.Due) {
			continue
		}
		best = Verdict{a, r.GetId(), due}
	}
	return best
}

// EvaluateUpload says what is to be done with an upload now. Filters by tags or size never
// stand in a rule that ends uploads.
func EvaluateUpload(rules []*storagev1.LifecycleRule, u *Upload, now time.Time) Verdict {
	due, rule, ok := AbortDate(rules, u)
	if !ok || due.After(now) {
		return Verdict{}
	}
	return Verdict{AbortUpload, rule, due}
}

// AbortDate is when an upload ends and by which rule, for the headers x-amz-abort-date
// and x-amz-abort-rule-id; false if no rule ends it.
func AbortDate(rules []*storagev1.LifecycleRule, u *Upload) (due time.Time, rule string, ok bool) {
	for _, r := range rules {
		if !r.GetEnabled() || r.GetAbortUploadDays() == 0 || !strings.HasPrefix(u.Key, r.GetPrefix()) ||
			len(r.GetTags()) > 0 || sized(r) {
			continue
		}
		if d := after(u.Started, r.GetAbortUploadDays()); !ok || d.Before(due) {
			due, rule, ok = d, r.GetId(), true
		}
	}
	return due, rule, ok
}

// Expiration is when the current version of an object ends and by which rule, for the
// header x-amz-expiration; false if no rule ends it.
func Expiration(rules []*storagev1.LifecycleRule, v *Version) (due time.Time, rule string, ok bool) {
	if !v.Current || v.Marker {
		return time.Time{}, "", false
	}
	for _, r := range rules {
		if !r.GetEnabled() || !fits(r, v) {
			continue
		}
		a, d := judge(r, v)
		if a == ExpireCurrent && (!ok || d.Before(due)) {
			due, rule, ok = d, r.GetId(), true
		}
	}
	return due, rule, ok
}

// judge is what one rule that fits does to a version, and when.
func judge(r *storagev1.LifecycleRule, v *Version) (Action, time.Time) {
	switch {
	case !v.Current:
		return judgeNoncurrent(r, v)
	case v.Marker:
		return judgeMarker(r, v)
	case r.GetExpireDays() > 0:
		return ExpireCurrent, after(v.Written, r.GetExpireDays())
	case r.GetExpireDate() != nil:
		return ExpireCurrent, r.GetExpireDate().AsTime()
	}
	return Keep, time.Time{}
}

// judgeNoncurrent: the age is counted from when the version ceased to be current; markers
// that are noncurrent are versions too.
func judgeNoncurrent(r *storagev1.LifecycleRule, v *Version) (Action, time.Time) {
	if r.GetNoncurrentDays() == 0 || v.NewerNoncurrent < int(r.GetNewerNoncurrentVersions()) {
		return Keep, time.Time{}
	}
	return DeleteNoncurrent, after(v.NoncurrentSince, r.GetNoncurrentDays())
}

// judgeMarker: a marker with nothing under it goes at once by ExpiredObjectDeleteMarker,
// and when it is as old as Days or Date say, which AWS takes for the same.
func judgeMarker(r *storagev1.LifecycleRule, v *Version) (Action, time.Time) {
	switch {
	case !v.OnlyVersion:
		return Keep, time.Time{}
	case r.GetExpireDeleteMarkers():
		return RemoveMarker, v.Written
	case r.GetExpireDays() > 0:
		return RemoveMarker, after(v.Written, r.GetExpireDays())
	case r.GetExpireDate() != nil:
		return RemoveMarker, r.GetExpireDate().AsTime()
	}
	return Keep, time.Time{}
}

// after adds days and rounds up to the next midnight UTC ("Lifecycle rules: based on an
// object's age"); what falls on midnight stays there.
func after(t time.Time, days uint32) time.Time {
	due := t.UTC().AddDate(0, 0, int(days)) // a Duration would overflow after 292 years
	if m := due.Truncate(day); !m.Equal(due) {
		return m.Add(day)
	}
	return due
}

func sized(r *storagev1.LifecycleRule) bool {
	return r.GetSizeGreaterThan() > 0 || r.GetSizeLessThan() > 0
}

// fits holds a version against a rule's filter. Markers have neither tags nor size, and a
// filter by those is never about them.
func fits(r *storagev1.LifecycleRule, v *Version) bool {
	if !strings.HasPrefix(v.Key, r.GetPrefix()) {
		return false
	}
	if v.Marker {
		return len(r.GetTags()) == 0 && !sized(r)
	}
	for k, want := range r.GetTags() {
		if got, ok := v.Tags[k]; !ok || got != want {
			return false
		}
	}
	size := uint64(max(v.Size, 0))
	return (r.GetSizeGreaterThan() == 0 || size > r.GetSizeGreaterThan()) &&
		(r.GetSizeLessThan() == 0 || size < r.GetSizeLessThan())
}
