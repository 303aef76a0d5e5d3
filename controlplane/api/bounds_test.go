package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/controlplane/api"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

const large = 300 << 10

// large stores zones of 300 KiB each, past what a client may write of a label.
func (i *installation) large(org string, names ...string) {
	i.t.Helper()
	for _, name := range names {
		z := &dnsv1.Zone{
			Name: "zones/" + name, Organization: org,
			Labels: map[string]string{"a": strings.Repeat(name[:1], large)},
		}
		i.store(z.Name, org, z)
	}
}

func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%c.test", 'a'+i))
	}
	return out
}

// TestAnswersAreBoundedInOctets: each list ends early, and goes on where it ended.
func TestAnswersAreBoundedInOctets(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:*")
	i.large("acme", names(10)...)
	for _, path := range []string{"/v1/zones?pageSize=1000", "/v1/resources/zone?pageSize=1000"} {
		seen, token := 0, ""
		for {
			out := i.must(200, i.admin, "acme", "GET", path+"&pageToken="+token, "")
			n := len(jsonOf(out))
			if n > 5*large {
				t.Fatalf("%s: a page of %d octets", path, n)
			}
			for _, key := range []string{"zones", "documents"} {
				list, _ := out[key].([]any)
				seen += len(list)
			}
			next, _ := out["nextPageToken"].(string)
			if token = next; token == "" {
				break
			}
		}
		if seen != 10 {
			t.Errorf("%s: %d of 10", path, seen)
		}
	}
	out := i.must(200, i.admin, "acme", "GET", "/v1/diff?kind=Zone", "")
	if n := len(out["changes"].([]any)); n > 4 || out["truncated"] != true {
		t.Errorf("a diff of %d changes, truncated %v", n, out["truncated"])
	}
}

func TestHistoryIsBoundedInOctets(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:*")
	for range 9 {
		i.large("acme", "a.test")
	}
	seen, before := 0, "0"
	for before != "" {
		out := i.must(200, i.admin, "acme", "GET", "/v1/history/zone/a.test?pageSize=1000&beforeRevision="+before, "")
		if n := len(jsonOf(out)); n > 10*large {
			t.Fatalf("a page of %d octets", n)
		}
		seen += len(out["entries"].([]any))
		before, _ = out["nextBeforeRevision"].(string)
	}
	if seen != 9 {
		t.Errorf("%d versions of 9", seen)
	}
}

// TestARollbackIsBoundedInOctets: what it would delete is in its answer.
func TestARollbackIsBoundedInOctets(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:*")
	at := i.state.Revision()
	i.large("acme", names(30)...)
	body := fmt.Sprintf(`{"toRevision":"%d","kind":"Zone","dryRun":true}`, at)
	if out := i.must(429, i.admin, "acme", "POST", "/v1/rollback", body); reason(out) != "TRANSACTION_TOO_LARGE" {
		t.Fatalf("%v", out)
	}
}

// TestListsWaitInALaneOfTheirOwn: where lists are full, one more is told when to try again,
// and writes, reads and health go on.
func TestListsWaitInALaneOfTheirOwn(t *testing.T) {
	i := start(t)
	key := i.organization("acme", "dns:*")
	api.Bound(i.srv, 0, 0, 0, 0)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+i.addr+"/v1/zones", nil)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "1" {
		t.Fatalf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	for _, path := range []string{"/v1/diff", "/v1/history/zone/a.test", "/v1/audit", "/v1/resources/zone"} {
		if out := i.must(429, i.admin, "acme", "GET", path, ""); reason(out) != "BUSY" || !strings.Contains(jsonOf(out),
			"retryDelay") {
			t.Errorf("%s: %v", path, out)
		}
	}
	i.must(200, key, "", "POST", "/v1/zones", `{"name":"zones/a.test"}`)
	i.must(200, key, "", "GET", "/v1/zones/a.test", "")
	i.must(200, key, "", "GET", "/v1/cluster", "")
}
