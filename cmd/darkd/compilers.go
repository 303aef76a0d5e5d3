package main

import (
	"fmt"
	"io"

	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/dataplane/dns/masterfile"
	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// dnsCompilers are the DNS service's own functions as the control side takes them: the
// compile that an edge runs is the compile that admits.
func dnsCompilers() zones.Compilers {
	return zones.Compilers{
		CanonicalApex:  zone.CanonicalApex,
		CanonicalOwner: canonicalOwner,
		ParseType:      rdata.ParseType,
		FormatType:     rdata.FormatType,
		CheckOwner:     zone.CheckOwner,
		ParseRecordSet: records(zone.ParseRecordSet),
		LoadRecordSet:  records(zone.LoadRecordSet),
		StoredRecords:  zone.StoredRecords,
		ReadMaster: func(r io.Reader, apex string, emit func(zones.Line) error) error {
			return masterfile.Read(r, apex, func(rec masterfile.Record) error { return emit(zones.Line(rec)) })
		},
		NewMaster: func(w io.Writer, apex string) zones.MasterWriter {
			return masterWriter{masterfile.NewWriter(w, apex)}
		},
	}
}

func canonicalOwner(apex, owner string) (string, error) {
	wire, err := rdata.ParseName(apex+".", "")
	if err != nil {
		return "", err
	}
	name, err := rdata.ParseName(owner, wire)
	if err != nil {
		return "", err
	}
	relative, ok := zone.RelativeName(name, wire)
	if !ok {
		return "", fmt.Errorf("%s is not at or below %s", owner, apex)
	}
	return relative, nil
}

type masterWriter struct{ *masterfile.Writer }

func (w masterWriter) SOA(s zones.SOA, serial uint32) error {
	return w.Writer.SOA(zone.SOA{
		MName: s.MName, RName: s.RName, Refresh: s.Refresh, Retry: s.Retry, Expire: s.Expire, Minimum: s.NegativeTTL,
		TTL: s.TTL,
	}, serial)
}

func (w masterWriter) RRset(s zones.Set) error { return w.Writer.RRset(zone.RRset(s)) }

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
