package storage

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// TestAnEndpointOfAnUnknownCAAsksForTheCA: the endpoint runs, which is not asked.
func TestAnEndpointOfAnUnknownCAAsksForTheCA(t *testing.T) {
	_, env, _, _ := newFake(t)
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	env.Endpoint = func() (Endpoint, error) {
		return Endpoint{URL: s.URL, Region: "dark", AccessKey: "a", SecretKey: "b"}, nil
	}
	e := exit.Of(dark(env, "ls"))
	if e == nil || e.Code != exit.Unavailable || !strings.HasPrefix(e.Next, "--ca FILE") {
		t.Fatalf("%+v", e)
	}
}
