package zones

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// maxFaults are told at once.
const maxFaults = 100

// fault is what is wrong with a file, and where.
type fault struct {
	line, column int
	text         string
}

func (f fault) Error() string {
	if f.column == 0 {
		return fmt.Sprintf("line %d: %s", f.line, f.text)
	}
	return fmt.Sprintf("line %d, column %d: %s", f.line, f.column, f.text)
}

// faults gathers what is wrong with a file while it is read and compared.
type faults []fault

func (f *faults) add(line, column int, format string, args ...any) {
	if len(*f) < maxFaults {
		*f = append(*f, fault{line, column, fmt.Sprintf(format, args...)})
	}
}

// take gathers what the reader of master files says is wrong, each mistake with its place;
// false when err is about something else.
func (f *faults) take(err error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // one of several, not their chain
		for _, one := range many.Unwrap() {
			if !f.take(one) {
				return false
			}
		}
		return true
	}
	var placed interface{ Place() (line, column int) }
	if !errors.As(err, &placed) {
		return false
	}
	line, column := placed.Place()
	text := err.Error()
	if prefix := (fault{line, column, ""}).Error(); len(text) > len(prefix) && text[:len(prefix)] == prefix {
		text = text[len(prefix):]
	}
	f.add(line, column, "%s", text)
	return true
}

// err refuses a file that has faults, all of them by line.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var fields []errs.Field
	for _, one := range f {
		fields = append(fields, errs.Field{Name: "data", Text: one.Error()})
	}
	return errs.Bad(fields...)
}
