package api_test

import (
	"errors"
	"io"

	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/dataplane/dns/masterfile"
	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// compilers are those of the DNS service, as cmd/darkd passes them.
func compilers() zones.Compilers {
	return zones.Compilers{
		CanonicalApex: zone.CanonicalApex,
		CanonicalOwner: func(apex, owner string) (string, error) {
			top, err := rdata.ParseName(apex+".", "")
			if err != nil {
				return "", err
			}
			wire, err := rdata.ParseName(owner, top)
			if err != nil {
				return "", err
			}
			rel, ok := zone.RelativeName(wire, top)
			if !ok {
				return "", errors.New("not within the zone")
			}
			return rel, nil
		},
		ParseType: rdata.ParseType, FormatType: rdata.FormatType, CheckOwner: zone.CheckOwner,
		ParseRecordSet: records(zone.ParseRecordSet),
		LoadRecordSet:  records(zone.LoadRecordSet),
		StoredRecords:  zone.StoredRecords,
		ReadMaster: func(r io.Reader, apex string, emit func(zones.Line) error) error {
			return masterfile.Read(r, apex, func(rec masterfile.Record) error {
				return emit(zones.Line(rec))
			})
		},
		NewMaster: func(w io.Writer, apex string) zones.MasterWriter { return master{masterfile.NewWriter(w, apex)} },
	}
}

type master struct{ *masterfile.Writer }

func (m master) SOA(s zones.SOA, serial uint32) error {
	return m.Writer.SOA(zone.SOA{
		MName: s.MName, RName: s.RName, Refresh: s.Refresh, Retry: s.Retry, Expire: s.Expire,
		Minimum: s.NegativeTTL, TTL: s.TTL,
	}, serial)
}
func (m master) RRset(s zones.Set) error { return m.Writer.RRset(zone.RRset(s)) }

// records makes of a compiler of the DNS service one of the control side.
func records(compile func(apex, owner, typ string, ttl uint32, records []string) (zone.RRset,
	[]zone.RecordError),
) func(apex, owner, typ string, ttl uint32, records []string) (zones.Set, []zones.Bad) {
	return func(apex, owner, typ string, ttl uint32, records []string) (zones.Set, []zones.Bad) {
		rr, bad := compile(apex, owner, typ, ttl, records)
		out := make([]zones.Bad, len(bad))
		for i, b := range bad {
			out[i] = zones.Bad(b)
		}
		return zones.Set(rr), out
	}
}
