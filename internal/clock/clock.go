// Package clock is the only door to the time of day for code that must be testable
// against a wrong or a fast clock. Pure packages take times as arguments instead.
package clock

import "time"

// Clock tells the time of day. The zero value tells the system's.
type Clock struct{ now func() time.Time }

// At returns a clock that calls now; for tests.
func At(now func() time.Time) Clock { return Clock{now: now} }

// Now is the time of day.
func (c Clock) Now() time.Time {
	if c.now == nil {
		return time.Now()
	}
	return c.now()
}
