package masterfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// errOutside is of a record whose owner is not within the zone.
var errOutside = errors.New("not within the zone")

// outside gathers the records whose owners are not within the zone. A file of another zone has
// nothing else, and that is one mistake.
type outside struct {
	first   token
	name    string // of the first, in full
	apex    string // the owner of a SOA among them
	last    bool   // the owner that was given last is outside
	wire    string // of the one that came last, in wire format
	records int
}

func (o *outside) add(t token, wire string) error {
	o.records++
	o.wire = wire
	if o.records == 1 {
		o.first, o.name = t, rdata.FormatName(wire)
	}
	return errOutside
}

// see looks at an entry whose owner was refused.
func (o *outside) see(err error, ts []token) {
	o.last = errors.Is(err, errOutside)
	isSOA := func(t token) bool { return strings.EqualFold(t.text, "SOA") }
	if o.last && o.apex == "" && slices.ContainsFunc(ts[1:min(len(ts), 4)], isSOA) {
		o.apex = strings.TrimSuffix(rdata.FormatName(o.wire), ".")
	}
}

// again counts an entry without an owner of its own, where the one above was refused.
func (o *outside) again() error {
	if o.last {
		o.records++
	}
	return nil
}

// err tells of them all at the first; within says that other records are of the zone.
func (o *outside) err(apex string, within bool) *Error {
	text := fmt.Sprintf("%s is not within the zone %s", o.name, apex)
	switch {
	case o.records == 2:
		text += ", and neither is 1 more record"
	case o.records > 2:
		text += fmt.Sprintf(", and neither are %d more records", o.records-1)
	}
	switch {
	case o.apex != "":
		text += fmt.Sprintf("; the file has the SOA of %s: give the name of that zone", o.apex)
	case !within:
		text += "; the file has no record of this zone: give the name of the zone that it is of"
	default:
		text += "; leave out what belongs to other zones"
	}
	return &Error{o.first.line, o.first.col, text}
}
