// Package duration reads times as people type them at dark: 7d, 1d12h, 90m. All flags that
// take one take all of these.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// maxDays keeps a duration well inside of what 64 bits of nanoseconds hold, which is 292 years.
const maxDays = 36500

// Parse reads a duration: what Go's reads, with days before it.
func Parse(text string) (time.Duration, error) {
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		return parseRest(text, text)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > maxDays {
		return 0, refused(text)
	}
	whole := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return whole, nil
	}
	d, err := parseRest(rest, text)
	return whole + d, err
}

func parseRest(rest, text string) (time.Duration, error) {
	d, err := time.ParseDuration(rest)
	if err != nil || d > maxDays*24*time.Hour {
		return 0, refused(text)
	}
	return d, nil
}

func refused(text string) error { return fmt.Errorf("%q is no duration: 90s, 15m, 12h or 7d", text) }

// Var adds a flag that takes a duration.
func Var(f *pflag.FlagSet, d *time.Duration, name string, absent time.Duration, usage string) {
	*d = absent
	f.Var((*value)(d), name, usage)
}

type value time.Duration

func (v *value) Set(text string) error {
	d, err := Parse(text)
	if err == nil {
		*v = value(d)
	}
	return err
}

func (v *value) String() string { return time.Duration(*v).String() }

func (v *value) Type() string { return "duration" }
