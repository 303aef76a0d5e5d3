package state

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

func limit(rate uint32) *statev1.Transaction {
	return tx("", &statev1.Op{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{
		Organization: "a",
		Limits:       &statev1.OrganizationLimits{WritesPerSecond: rate},
	}}})
}

// accepted writes at five a second of the leader's true time, under a limit of five, for
// an hour; clock is the time of day that it stamps.
func accepted(t *testing.T, m *machine, clock func(n int) time.Time) int {
	t.Helper()
	m.must(limit(5))
	ok := 0
	for n := range 3600 {
		m.now = clock(n)
		_, err := m.do(tx("a", put("a", "x", "1")))
		if err != nil && !errs.Is(err, errs.Exhausted) {
			t.Fatal(err)
		}
		if err == nil {
			ok++
		}
	}
	return ok
}

// TestAClockThatWasWrongStopsNoWrites: the leader's clock is a day ahead for one entry and
// then mended. By the time of day 49 of 3,600 writes were accepted in the next hour.
func TestAClockThatWasWrongStopsNoWrites(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	clock := func(n int) time.Time {
		now := start.Add(time.Duration(n) * 200 * time.Millisecond)
		if n == 10 {
			now = now.Add(24 * time.Hour)
		}
		return now
	}
	m := open(t, Options{})
	m.elapsed = proto.Int64(int64(200 * time.Millisecond))
	if n := accepted(t, m, clock); n != 3600 {
		t.Errorf("%d of 3,600 writes were accepted", n)
	}
	// What entries of before that say nothing of what elapsed did: they must replay so.
	if n := accepted(t, open(t, Options{}), clock); n > 100 {
		t.Errorf("by the time of day %d writes were accepted: it is no longer what it was", n)
	}
}

// TestWhatElapsedIsTakenOnTrustUpToTenSeconds: nor can a wrong one give more than a burst.
func TestWhatElapsedIsTakenOnTrustUpToTenSeconds(t *testing.T) {
	for _, elapsed := range []time.Duration{-time.Hour, 0, time.Hour, 1<<63 - 1} {
		m := open(t, Options{})
		m.elapsed = proto.Int64(0)
		m.must(limit(5))
		n := drain(t, m)
		if n != 50 {
			t.Fatalf("a burst of %d, want 50", n)
		}
		m.elapsed = proto.Int64(int64(elapsed))
		m.must(tx(""))
		m.elapsed = proto.Int64(0)
		if n, want := drain(t, m), map[bool]int{true: 50, false: 0}[elapsed > 0]; n != want {
			t.Errorf("after %v %d writes, want %d", elapsed, n, want)
		}
	}
}

// TestTheLimitGoesOnWhenEntriesBeginToSayWhatElapsed: a full bucket is not given anew.
func TestTheLimitGoesOnWhenEntriesBeginToSayWhatElapsed(t *testing.T) {
	m := open(t, Options{})
	m.must(limit(5))
	m.now = m.now.Add(time.Second)
	if n := drain(t, m); n < 50 {
		t.Fatal(n)
	}
	m.elapsed = proto.Int64(0)
	if n := drain(t, m); n != 0 {
		t.Fatalf("%d writes more", n)
	}
	m.elapsed = proto.Int64(int64(time.Second))
	m.must(tx(""))
	m.elapsed = proto.Int64(0)
	if n := drain(t, m); n != 5 {
		t.Fatalf("%d writes after a second, want 5", n)
	}
}

// drain writes until the limit refuses.
func drain(t *testing.T, m *machine) (n int) {
	t.Helper()
	for {
		_, err := m.do(tx("a", put("a", "x", "1")))
		switch {
		case errs.Is(err, errs.Exhausted):
			return n
		case err != nil || n == 10_000:
			t.Fatal(n, err)
		}
		n++
	}
}
