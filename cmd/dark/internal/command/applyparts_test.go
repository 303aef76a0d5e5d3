package command

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// TestApplyStopsBetweenTransactions: a conflict in the second of several transactions names
// what is done and shows both sides; the third is not sent.
func TestApplyStopsBetweenTransactions(t *testing.T) {
	var sent []*resourcev1.ApplyRequest
	f := &fake{apply: func(q *resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
		if q.DryRun {
			return &resourcev1.ApplyResponse{Changes: []*resourcev1.Change{{
				Action: resourcev1.Change_ACTION_UPDATE,
				Kind:   "Zone", Name: "zones/z2000.test",
			}}}, nil
		}
		if sent = append(sent, q); len(sent) == 2 {
			return nil, status.Error(codes.Aborted, "zones/z2000.test changed at revision 9")
		}
		return &resourcev1.ApplyResponse{Revision: 8}, nil
	}}
	var docs strings.Builder
	for i := range 4500 {
		fmt.Fprintf(&docs, "{\"kind\":\"Zone\",\"name\":\"z%d.test\"}\n", i)
	}
	r := dark(t, f.serve(t), docs.String(), "apply", "-f", "-", "--request-id", "mine")
	if len(sent) != 2 || len(sent[0].Documents) != 2000 || sent[0].RequestId != "mine/1" ||
		sent[1].RequestId != "mine/2" {
		t.Fatalf("%d transactions sent", len(sent))
	}
	for _, want := range []string{
		"4500 documents go in 3 transactions", "~ Zone zones/z2000.test", "zones/z2000.test changed at revision 9",
		"done: 2000 of 4500 documents, up to revision 8; not done: from stdin:2001 on",
	} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
	if r.code != 4 {
		t.Errorf("exit %d", r.code)
	}
}
