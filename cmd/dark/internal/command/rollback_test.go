package command

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// TestRollbackStopsBetweenTransactions: that there are several is said before the first; a
// conflict in the second names what is done.
func TestRollbackStopsBetweenTransactions(t *testing.T) {
	changes := []*resourcev1.Change{{Action: resourcev1.Change_ACTION_UPDATE, Kind: "Zone", Name: "zones/a.test"}}
	var sent []*resourcev1.RollbackRequest
	f := &fake{rollback: func(q *resourcev1.RollbackRequest) (*resourcev1.RollbackResponse, error) {
		switch {
		case q.DryRun:
			return &resourcev1.RollbackResponse{Changes: changes, Total: 3, NextPageToken: "dry"}, nil
		case q.PageToken == "second":
			sent = append(sent, q)
			return nil, status.Error(codes.Aborted, "zones/b.test has changed")
		}
		sent = append(sent, q)
		return &resourcev1.RollbackResponse{Revision: 8, Changes: changes, NextPageToken: "second"}, nil
	}}
	addr := f.serve(t)
	r := dark(t, addr, "", "rollback", "5", "--yes", "--request-id", "mine")
	if len(sent) != 2 || sent[0].RequestId != "mine/1" || sent[1].RequestId != "mine/2" || !sent[1].InParts {
		t.Fatalf("sent %v", sent)
	}
	for _, want := range []string{
		"3 resources go back in several transactions", "zones/b.test has changed",
		"done: 1 of 3 resources, up to zones/a.test, revision 8",
	} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
	if r.code != 4 {
		t.Errorf("exit %d", r.code)
	}
	if r = dark(t, addr, "", "rollback", "5"); r.code != 5 ||
		!strings.Contains(r.err, "and 2 more; they go in several transactions") {
		t.Errorf("without --yes: exit %d\n%s", r.code, r.err)
	}
}
