package api_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// TestPeopleSeeNamesThatTheyKnow: record sets are stored below the generation of their zone,
// which neither the audit, nor a history, nor what the state machine refuses shows.
func TestPeopleSeeNamesThatTheyKnow(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	ctx := as(t.Context(), i.admin, "acme")
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	set := func(owner, ip string) {
		i.must(200, i.admin, "acme", "PATCH", "/v1/zones/example.com/records/"+owner+"/A?allowMissing=true",
			`{"spec":{"records":["`+ip+`"]}}`)
	}
	set("www", "192.0.2.1")
	set("@", "192.0.2.1")
	l, err := i.resources().ListAudit(ctx, &resourcev1.ListAuditRequest{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range l.Records {
		for _, n := range r.Names {
			seen[n] = true
		}
	}
	for _, want := range []string{
		"zones/example.com/records/www/A", "zones/example.com/records/@/A",
		"zones/example.com",
	} {
		if !seen[want] {
			t.Errorf("the audit lacks %s: %v", want, seen)
		}
	}
	h, err := i.resources().GetHistory(ctx, &resourcev1.GetHistoryRequest{Kind: "RecordSet", Name: "example.com/www/A"})
	if err != nil || len(h.Entries) != 1 || h.Entries[0].Audit.Names[0] != "zones/example.com/records/www/A" {
		t.Errorf("history: %v %v", h, err)
	}

	// The set changes between each admission and its commit.
	n := 0
	i.state.Before = func(tx *statev1.Transaction) {
		if tx.GetOrigin().GetReason() == "race" {
			n++
			set("www", fmt.Sprintf("192.0.2.%d", n+10))
		}
	}
	_, err = i.resources().Apply(ctx, &resourcev1.ApplyRequest{
		Reason: "race",
		Documents: []*structpb.Struct{doc(t,
			`{"kind":"RecordSet","name":"example.com/www/A","spec":{"records":["192.0.2.3"]}}`)},
	})
	if err == nil || !strings.Contains(err.Error(), "zones/example.com/records/www/A") {
		t.Errorf("refused with %v", err)
	}
}
