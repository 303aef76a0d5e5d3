package lifecycle

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func at(s string) time.Time {
	t, err := time.Parse("2006-01-02T15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

func rule(change func(*storagev1.LifecycleRule)) *storagev1.LifecycleRule {
	r := &storagev1.LifecycleRule{Id: "r", Enabled: true}
	change(r)
	return r
}

var (
	days3  = rule(func(r *storagev1.LifecycleRule) { r.ExpireDays = 3 })
	off    = rule(func(r *storagev1.LifecycleRule) { r.ExpireDays, r.Enabled = 1, false })
	onDate = rule(func(r *storagev1.LifecycleRule) { r.ExpireDate = timestamppb.New(at("2026-03-10T00:00")) })
	logs   = rule(func(r *storagev1.LifecycleRule) { r.ExpireDays, r.Prefix = 1, "logs/" })
	tagged = rule(func(r *storagev1.LifecycleRule) {
		r.ExpireDays, r.Tags = 1, map[string]string{"a": "1", "b": ""}
	})
	sizes     = rule(func(r *storagev1.LifecycleRule) { r.ExpireDays, r.SizeGreaterThan, r.SizeLessThan = 1, 10, 20 })
	markers   = rule(func(r *storagev1.LifecycleRule) { r.ExpireDeleteMarkers = true })
	old2      = rule(func(r *storagev1.LifecycleRule) { r.NoncurrentDays = 2 })
	keep2     = rule(func(r *storagev1.LifecycleRule) { r.NoncurrentDays, r.NewerNoncurrentVersions = 2, 2 })
	abort7    = rule(func(r *storagev1.LifecycleRule) { r.AbortUploadDays, r.Prefix = 7, "up/" })
	all       = []*storagev1.LifecycleRule{off, days3, onDate, logs, tagged, sizes, markers, old2, keep2, abort7}
	current   = Version{Key: "k", Size: 5, Written: at("2026-03-01T10:30"), Current: true}
	lone      = Version{Key: "k", Written: at("2026-03-01T10:30"), Current: true, Marker: true, OnlyVersion: true}
	replaced  = Version{Key: "k", Written: at("2026-01-01T00:00"), NoncurrentSince: at("2026-03-01T10:30")}
	oldMarker = Version{
		Key: "k", Written: at("2026-01-01T00:00"), NoncurrentSince: at("2026-03-01T10:30"),
		Marker: true,
	}
)

func with(v Version, change func(*Version)) Version { change(&v); return v }

// TestVersions: what one rule does, at the moment it does and one before.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		name string
		rule *storagev1.LifecycleRule
		v    Version
		want Action
		due  string
	}{
		{"days are rounded up to midnight", days3, current, ExpireCurrent, "2026-03-05T00:00"},
		{"what was written at midnight stays", days3, with(current, func(v *Version) {
			v.Written = at("2026-03-01T00:00")
		}), ExpireCurrent, "2026-03-04T00:00"},
		{"in UTC whatever the zone", days3, with(current, func(v *Version) {
			v.Written = at("2026-03-01T10:30").In(time.FixedZone("x", -11*3600))
		}), ExpireCurrent, "2026-03-05T00:00"},
		{"disabled", off, current, Keep, ""},
		{"a date", onDate, current, ExpireCurrent, "2026-03-10T00:00"},
		{"a date that is past", onDate, with(current, func(v *Version) {
			v.Written = at("2027-01-01T00:00")
		}), ExpireCurrent, "2026-03-10T00:00"},
		{"another prefix", logs, current, Keep, ""},
		{"the prefix", logs, with(current, func(v *Version) { v.Key = "logs/a" }), ExpireCurrent, "2026-03-03T00:00"},
		{"not all tags", tagged, with(current, func(v *Version) { v.Tags = map[string]string{"a": "1"} }), Keep, ""},
		{"another value", tagged, with(current, func(v *Version) {
			v.Tags = map[string]string{"a": "2", "b": ""}
		}), Keep, ""},
		{"all tags and more", tagged, with(current, func(v *Version) {
			v.Tags = map[string]string{"a": "1", "b": "", "c": "x"}
		}), ExpireCurrent, "2026-03-03T00:00"},
		{"as small as the bound", sizes, with(current, func(v *Version) { v.Size = 10 }), Keep, ""},
		{"larger", sizes, with(current, func(v *Version) { v.Size = 11 }), ExpireCurrent, "2026-03-03T00:00"},
		{"as large as the bound", sizes, with(current, func(v *Version) { v.Size = 20 }), Keep, ""},
		{"noncurrent is not expired by days", days3, replaced, Keep, ""},
		{"noncurrent since", old2, replaced, DeleteNoncurrent, "2026-03-04T00:00"},
		{"a noncurrent marker is a version", old2, oldMarker, DeleteNoncurrent, "2026-03-04T00:00"},
		{"current is not noncurrent", old2, current, Keep, ""},
		{"the newest noncurrent is kept", keep2, replaced, Keep, ""},
		{"the second is kept", keep2, with(replaced, func(v *Version) { v.NewerNoncurrent = 1 }), Keep, ""},
		{"the third goes", keep2, with(replaced, func(v *Version) {
			v.NewerNoncurrent = 2
		}), DeleteNoncurrent, "2026-03-04T00:00"},
		{"a lone marker", markers, lone, RemoveMarker, "2026-03-01T10:30"},
		{"a marker over versions", markers, with(lone, func(v *Version) { v.OnlyVersion = false }), Keep, ""},
		{"markers only", markers, current, Keep, ""},
		{"a lone marker by days", days3, lone, RemoveMarker, "2026-03-05T00:00"},
		{"a lone marker by date", onDate, lone, RemoveMarker, "2026-03-10T00:00"},
		{"a marker over versions by days", days3, with(lone, func(v *Version) { v.OnlyVersion = false }), Keep, ""},
		{"a marker has no tags", tagged, lone, Keep, ""},
		{"a marker has no size", sizes, lone, Keep, ""},
		{"uploads only", abort7, with(current, func(v *Version) { v.Key = "up/k" }), Keep, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := []*storagev1.LifecycleRule{c.rule}
			if c.want == Keep {
				if got := Evaluate(rules, &c.v, at("2099-01-01T00:00")); got.Action != Keep {
					t.Errorf("%v", got)
				}
				return
			}
			due := at(c.due)
			if got := Evaluate(rules, &c.v, due); got != (Verdict{c.want, "r", due}) {
				t.Errorf("when due: %v", got)
			}
			if got := Evaluate(rules, &c.v, due.Add(-1)); got.Action != Keep {
				t.Errorf("just before: %v", got)
			}
		})
	}
}

func TestUploads(t *testing.T) {
	u := &Upload{Key: "up/k", Started: at("2026-03-01T10:30")}
	due, rule, ok := AbortDate(all, u)
	if !ok || rule != "r" || !due.Equal(at("2026-03-09T00:00")) {
		t.Errorf("%v %v %v", due, rule, ok)
	}
	if v := EvaluateUpload(all, u, due); v.Action != AbortUpload {
		t.Errorf("when due: %v", v)
	}
	if v := EvaluateUpload(all, u, due.Add(-1)); v.Action != Keep {
		t.Errorf("just before: %v", v)
	}
	if v := EvaluateUpload(all, &Upload{Key: "k", Started: u.Started}, at("2099-01-01T00:00")); v.Action != Keep {
		t.Errorf("another prefix: %v", v)
	}
}

// TestTheFirstRuleCounts: of many, the one that is due first is told.
func TestTheFirstRuleCounts(t *testing.T) {
	later := rule(func(r *storagev1.LifecycleRule) { r.Id, r.ExpireDays = "later", 9 })
	sooner := rule(func(r *storagev1.LifecycleRule) { r.Id, r.ExpireDays = "so on/\"er", 1 })
	rules := []*storagev1.LifecycleRule{later, off, sooner, days3}
	if v := Evaluate(rules, &current, at("2099-01-01T00:00")); v.Rule != sooner.Id {
		t.Errorf("%v", v)
	}
	want := `expiry-date="Tue, 03 Mar 2026 00:00:00 GMT", rule-id="so%20on%2F%22er"`
	if h := ExpirationHeader(rules, &current); h != want {
		t.Errorf("%s, want %s", h, want)
	}
	for _, v := range []Version{lone, replaced, with(current, func(v *Version) { v.Current = false })} {
		if h := ExpirationHeader(rules, &v); h != "" {
			t.Errorf("%+v: %s", v, h)
		}
	}
	if h := ExpirationHeader(nil, &current); h != "" {
		t.Error(h)
	}
}

// TestExpirationIsWhatTheHeaderSaid: the sweep ends an object exactly when the header had
// said, never earlier, and never what a rule does not fit.
func TestExpirationIsWhatTheHeaderSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []*storagev1.LifecycleRule
		for range rapid.IntRange(0, 4).Draw(t, "rules") {
			rules = append(rules, all[rapid.IntRange(0, len(all)-1).Draw(t, "rule")])
		}
		v := &Version{
			Key:     rapid.SampledFrom([]string{"k", "logs/x", "up/y"}).Draw(t, "key"),
			Size:    rapid.Int64Range(0, 30).Draw(t, "size"),
			Written: time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "written"), 0), Current: true,
			Tags: rapid.MapOf(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"", "1"})).Draw(t,
				"tags"),
		}
		due, _, ok := Expiration(rules, v)
		if !ok {
			if got := Evaluate(rules, v, time.Unix(1<<40, 0)); got.Action != Keep {
				t.Fatalf("%v without an expiration", got)
			}
			return
		}
		if !due.Equal(due.Truncate(24 * time.Hour)) {
			t.Fatalf("%v is no midnight", due)
		}
		if Evaluate(rules, v, due.Add(-1)).Action != Keep || Evaluate(rules, v, due).Action != ExpireCurrent {
			t.Fatalf("not at %v", due)
		}
	})
}

func TestFarDaysDoNotOverflow(t *testing.T) {
	r := rule(func(r *storagev1.LifecycleRule) { r.ExpireDays = 1<<31 - 1 })
	if v := Evaluate([]*storagev1.LifecycleRule{r}, &current, at("2099-01-01T00:00")); v.Action != Keep {
		t.Errorf("%v", v)
	}
}

// TestValidation: what AWS refuses, with its code; "" is taken.
func TestValidation(t *testing.T) {
	expire := func(change func(*storagev1.LifecycleRule)) []*storagev1.LifecycleRule {
		return []*storagev1.LifecycleRule{rule(func(r *storagev1.LifecycleRule) { r.ExpireDays = 1; change(r) })}
	}
	for _, c := range []struct {
		name  string
		rules []*storagev1.LifecycleRule
		want  s3xml.Code
	}{
		{"none", nil, s3xml.MalformedXML},
		{"too many", make([]*storagev1.LifecycleRule, 1001), s3xml.MalformedXML},
		{"plain", expire(func(*storagev1.LifecycleRule) {}), ""},
		{"same ID", []*storagev1.LifecycleRule{days3, days3}, s3xml.InvalidArgument},
		{"no IDs", []*storagev1.LifecycleRule{{ExpireDays: 1}, {ExpireDays: 1}}, ""},
		{"long ID", expire(func(r *storagev1.LifecycleRule) {
			r.Id = strings.Repeat("i", 256)
		}), s3xml.InvalidArgument},
		{"long prefix", expire(func(r *storagev1.LifecycleRule) {
			r.Prefix = strings.Repeat("p", 1025)
		}), s3xml.InvalidRequest},
		{"no action", expire(func(r *storagev1.LifecycleRule) { r.ExpireDays = 0 }), s3xml.InvalidRequest},
		{"days and date", expire(func(r *storagev1.LifecycleRule) {
			r.ExpireDate = timestamppb.New(at("2026-01-01T00:00"))
		}), s3xml.MalformedXML},
		{"days and markers", expire(func(r *storagev1.LifecycleRule) {
			r.ExpireDeleteMarkers = true
		}), s3xml.MalformedXML},
		{"no midnight", expire(func(r *storagev1.LifecycleRule) {
			r.ExpireDays, r.ExpireDate = 0, timestamppb.New(at("2026-01-01T00:01"))
		}), s3xml.InvalidArgument},
		{"sizes crossed", expire(func(r *storagev1.LifecycleRule) {
			r.SizeGreaterThan, r.SizeLessThan = 5, 5
		}), s3xml.InvalidRequest},
		{"newer without days", expire(func(r *storagev1.LifecycleRule) {
			r.NewerNoncurrentVersions = 1
		}), s3xml.MalformedXML},
		{"newer beyond 100", expire(func(r *storagev1.LifecycleRule) {
			r.NoncurrentDays, r.NewerNoncurrentVersions = 1, 101
		}), s3xml.InvalidArgument},
		{"newer with the old prefix", expire(func(r *storagev1.LifecycleRule) {
			r.NoncurrentDays, r.NewerNoncurrentVersions, r.LegacyPrefix = 1, 1, true
		}), s3xml.InvalidRequest},
		{"bad tag", expire(func(r *storagev1.LifecycleRule) {
			r.Tags = map[string]string{"aws:x": ""}
		}), s3xml.InvalidTag},
		{"abort by tag", expire(func(r *storagev1.LifecycleRule) {
			r.AbortUploadDays, r.Tags = 1, map[string]string{"a": ""}
		}), s3xml.InvalidRequest},
		{"abort by size", expire(func(r *storagev1.LifecycleRule) {
			r.AbortUploadDays, r.SizeLessThan = 1, 5
		}), s3xml.InvalidRequest},
		{"markers by tag", expire(func(r *storagev1.LifecycleRule) {
			r.ExpireDays, r.ExpireDeleteMarkers, r.Tags = 0, true, map[string]string{"a": ""}
		}), s3xml.InvalidRequest},
		{"markers by size", expire(func(r *storagev1.LifecycleRule) {
			r.ExpireDays, r.ExpireDeleteMarkers, r.SizeLessThan = 0, true, 5
		}), s3xml.InvalidRequest},
	} {
		err := Validate(c.rules)
		if (err == nil) != (c.want == "") || err != nil && s3xml.From(err).Code != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	unnamed := []*storagev1.LifecycleRule{{ExpireDays: 1}, {ExpireDays: 1}}
	if Validate(unnamed) != nil || unnamed[0].Id == "" || unnamed[0].Id == unnamed[1].Id {
		t.Errorf("IDs are %q and %q", unnamed[0].Id, unnamed[1].Id)
	}
}
