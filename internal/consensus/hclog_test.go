package consensus

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

func TestRaftTellsOfASilentMemberOnceAMinute(t *testing.T) {
	var out bytes.Buffer
	log := newHclog(slog.New(slog.NewTextHandler(&out, nil)), "")
	c2 := raft.Server{ID: "c2-231d3f", Address: "127.0.1.2:7001"}
	refused := errors.New("connection refused")
	for range 1000 {
		log.Error("failed to heartbeat to", "peer", c2.Address, "backoff time", "10ms", "error", refused)
		log.Error("failed to appendEntries to", "peer", c2, "error", refused)
		log.Error("failed to make requestVote RPC", "target", c2, "error", refused, "term", 4)
		log.Warn("Election timeout reached, restarting election")
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "address=127.0.1.2:7001") ||
		!strings.Contains(out.String(), "connection refused") {
		t.Errorf("%d lines, want one that names the member and the reason:\n%s", n, out.String())
	}
	log.Error("failed to heartbeat to", "peer", raft.ServerAddress("127.0.1.3:7001"), "error", refused)
	if !strings.Contains(out.String(), "127.0.1.3:7001") {
		t.Error("another silent member was not told of")
	}
	log.Error("failed to persist vote", "error", refused)
	if !strings.Contains(out.String(), "failed to persist vote") {
		t.Error("an error of this member was not told of")
	}
}
