package peers

import (
	"math/rand/v2"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// oddZones are what some servers refuse to load; those that load them are asked.
var oddZones = map[string]func(*testing.T, *world){
	// RFC 6672 2.4: what is below a DNAME is occluded.
	"data below a DNAME": func(t *testing.T, w *world) {
		w.add(t, "below.test", []string{
			"@ NS ns", "ns A 192.0.2.1", "red DNAME target", "red A 192.0.2.2", "x.red A 192.0.2.3",
			"*.red TXT \"w\"", "a.b.red A 192.0.2.4", "cut.red NS ns", "x.target A 192.0.2.5", "b.target A 192.0.2.6",
			"to CNAME x.red",
		})
	},
	// RFC 4592 4.2 leaves NS at a wildcard without a meaning; admission refuses it, so
	// that the zone is made past admission.
	"NS at a wildcard": func(t *testing.T, w *world) {
		w.add(t, "wild.test", []string{"@ NS ns", "ns A 192.0.2.1", "a.w A 192.0.2.2", "to CNAME x.w"})
		z := w.zones["wild.test"]
		rr, bad := zone.ParseRecordSet("wild.test", "w", "NS", 300, []string{"ns", "far.example.net."})
		if bad != nil {
			t.Fatal(bad)
		}
		rr.Owner = "*.w"
		ed := z.Edit()
		if err := ed.Put(rr); err != nil {
			t.Fatal(err)
		}
		*w = *newWorld()
		w.zones["wild.test"] = ed.Zone()
		w.record(t, "wild.test", ed.Zone())
	},
}

// TestOddZones: where two peers load an odd zone and agree, Dark answers as they do;
// where one alone loads it, Dark answers as that one.
func TestOddZones(t *testing.T) {
	for name, build := range oddZones {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			build(t, w)
			ps := startWilling(t, w)
			switch len(ps) {
			case 0:
				t.Log("no peer loads it")
				return
			case 1:
				ps = append(ps, ps[0]) // it agrees with itself
			}
			h, rules, sum, r := w.handler(), readRules(t), newTally(), rand.New(rand.NewPCG(3, 3))
			qs := []question{}
			for range chunkSize {
				qs = append(qs, newQuestion(t, w.question(r)))
			}
			answers := map[string][][]byte{}
			for _, p := range ps {
				var err error
				if answers[p.name], err = p.exchange(qs, "udp"); err != nil {
					t.Fatal(err)
				}
			}
			for k, q := range qs {
				var theirs []*mdns.Msg
				for _, p := range ps {
					theirs = append(theirs, unpack(t, answers[p.name][k]))
				}
				if complaint := judge(q.Msg, unpack(t, h.Handle(nil, q.wire, client, serve.UDP)), theirs, ps, rules,
					sum); complaint != "" {
					t.Error(complaint)
				}
			}
			t.Logf("%d peers, %d equal of %d, %d without two that agree", len(ps), sum.mu.equal, sum.mu.questions,
				sum.mu.split)
		})
	}
}
