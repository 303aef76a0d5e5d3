package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func field(m map[string]any, path ...string) any {
	var v any = m
	for _, p := range path {
		mm, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = mm[p]
	}
	return v
}

func TestZoneByREST(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write", "dns:read")
	z := i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/Example.COM","spec":{"defaultTtl":60}}`)
	if z["name"] != "zones/example.com" || field(z, "status", "control") != "CONTROL_SHOWN" {
		t.Fatalf("zone: %v", z)
	}
	r := i.must(200, i.admin, "acme", "POST", "/v1/zones/example.com/records",
		`{"name":"zones/example.com/records/WWW/a","spec":{"records":["192.0.2.1"]}}`)
	if r["name"] != "zones/example.com/records/www/A" {
		t.Fatalf("record set: %v", r)
	}
	got := i.must(200, i.admin, "acme", "GET", "/v1/zones/example.com/records/www/A", "")
	if field(got, "spec", "records").([]any)[0] != "192.0.2.1" || got["etag"] == "" {
		t.Fatalf("get: %v", got)
	}
	// A patch changes what its body names and no more.
	up := i.must(200, i.admin, "acme", "PATCH", "/v1/zones/example.com/records/www/A", `{"spec":{"ttl":30},"etag":"`+
		got["etag"].(string)+`"}`)
	if field(up, "spec", "ttl") != float64(30) || len(field(up, "spec", "records").([]any)) != 1 {
		t.Fatalf("patch: %v", up)
	}
	stale := i.must(412, i.admin, "acme", "PATCH", "/v1/zones/example.com/records/www/A", `{"spec":{"ttl":31},"etag":"`+
		got["etag"].(string)+`"}`)
	if reason(stale) != "ETAG_MISMATCH" {
		t.Fatalf("stale etag: %v", stale)
	}
	i.must(409, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	i.organization("other", "dns:write")
	if out := i.must(409, i.admin, "other", "POST", "/v1/zones",
		`{"name":"zones/www.example.com"}`); reason(out) != "NAME_TAKEN" {
		t.Fatalf("below another organization's: %v", out)
	}
	i.must(404, i.admin, "acme", "GET", "/v1/zones/example.net", "")
	// An owner with a slash (RFC 2317).
	i.must(200, i.admin, "acme", "POST", "/v1/zones/example.com/records",
		`{"name":"zones/example.com/records/0%2F25/PTR","spec":{"records":["a.example.net."]}}`)
	if o := i.must(200, i.admin, "acme", "GET", "/v1/zones/example.com/records/0%2F25/PTR",
		""); o["name"] != "zones/example.com/records/0%2F25/PTR" {
		t.Fatalf("slash: %v", o)
	}
	i.must(200, i.admin, "acme", "DELETE", "/v1/zones/example.com", "")
	i.must(404, i.admin, "acme", "GET", "/v1/zones/example.com/records/www/A", "")
}

func reason(m map[string]any) string {
	ds, _ := m["details"].([]any)
	for _, d := range ds {
		if r, ok := d.(map[string]any)["reason"].(string); ok {
			return r
		}
	}
	return ""
}

func badFields(m map[string]any) []string {
	var out []string
	ds, _ := m["details"].([]any)
	for _, d := range ds {
		vs, _ := d.(map[string]any)["fieldViolations"].([]any)
		for _, v := range vs {
			out = append(out, v.(map[string]any)["field"].(string))
		}
	}
	return out
}

func TestEveryBadFieldIsNamed(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	for body, want := range map[string]string{
		`{"name":"zones/example.com/records/www/A","spec":{"ttl":4294967295,"records":["192.0.2.1","nonsense"]}}`: "spec.ttl spec.records[1]",
		`{"name":"zones/example.com/records/www/A","spec":{"records":["300.0.0.1","nonsense"]}}`:                  "spec.records[0] spec.records[1]",
		`{"name":"zones/example.com/records/www/A","spec":{}}`:                                                    "spec.records",
		`{"name":"zones/example.com/records/www/SOA","spec":{"records":["a. b. 1 1 1 1 1"]}}`:                     "spec.records",
		`{"name":"zones/example.com/records/www/A","spec":{"recrods":["192.0.2.1"]}}`:                             "recrods",
		`{"name":"zones/example.com/records/www/NOTYPE","spec":{"records":["192.0.2.1"]}}`:                        "name",
		`{"name":"zones/example.com/records/www/A","organization":"other","spec":{"records":["192.0.2.1"]}}`:      "organization",
	} {
		out := i.must(400, i.admin, "acme", "POST", "/v1/zones/example.com/records", body)
		got := strings.Join(badFields(out), " ")
		for _, w := range strings.Fields(want) {
			if !strings.Contains(" "+got+" ", " "+w+" ") {
				t.Errorf("%s: named %q, want %q: %v", body, got, want, out["message"])
			}
		}
	}
}

func TestUnknownQueryParameterIsNamed(t *testing.T) {
	i := start(t)
	if out := i.must(400, i.admin, "", "GET", "/v1/zones?pagesize=5", ""); strings.Join(badFields(out),
		"") != "pagesize" {
		t.Fatalf("%v", out)
	}
	i.must(200, i.admin, "", "GET", "/v1/zones?page_size=5&stale=true", "")
}

func TestListIsOneSnapshotOverPages(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/`+n+`.test"}`)
	}
	p1 := i.must(200, i.admin, "acme", "GET", "/v1/zones?pageSize=2", "")
	i.must(200, i.admin, "acme", "DELETE", "/v1/zones/d.test", "")
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/bb.test"}`)
	var names []string
	for p := p1; ; {
		for _, z := range p["zones"].([]any) {
			names = append(names, z.(map[string]any)["name"].(string))
		}
		tok, _ := p["nextPageToken"].(string)
		if tok == "" {
			break
		}
		if p["revision"] != p1["revision"] {
			t.Fatalf("revision moved: %v", p)
		}
		p = i.must(200, i.admin, "acme", "GET", "/v1/zones?pageSize=2&pageToken="+tok, "")
	}
	if got := strings.Join(names, " "); got != "zones/a.test zones/b.test zones/c.test zones/d.test zones/e.test" {
		t.Fatalf("pages: %s", got)
	}
	tok := p1["nextPageToken"].(string)
	i.must(400, i.admin, "acme", "GET", "/v1/zones?pageToken="+tok[:len(tok)-2]+"AA", "")
	i.must(400, i.admin, "acme", "GET", "/v1/apikeys?pageToken="+tok, "") // of another list
}

func TestRequestIDMakesRepeatHarmless(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	first := i.must(200, i.admin, "acme", "POST", "/v1/zones?requestId=r1", `{"name":"zones/example.com"}`)
	again := i.must(200, i.admin, "acme", "POST", "/v1/zones?requestId=r1", `{"name":"zones/example.com"}`)
	if first["revision"] != again["revision"] {
		t.Fatalf("%v and %v", first, again)
	}
	i.must(412, i.admin, "acme", "POST", "/v1/zones?requestId=r1", `{"name":"zones/example.net"}`)
	del := i.must(200, i.admin, "acme", "DELETE", "/v1/zones/example.com?requestId=r2", "")
	del2 := i.must(200, i.admin, "acme", "DELETE", "/v1/zones/example.com?requestId=r2", "")
	if del["revision"] != del2["revision"] {
		t.Fatalf("%v and %v", del, del2)
	}
}

func TestValidateOnlyChangesNothing(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	before := i.state.Revision()
	z := i.must(200, i.admin, "acme", "POST", "/v1/zones?validateOnly=true", `{"name":"zones/example.com"}`)
	k := i.must(200, i.admin, "acme", "POST", "/v1/apikeys?validateOnly=true",
		`{"name":"apikeys/a","spec":{"permissions":["dns:read"]}}`)
	if z["name"] != "zones/example.com" || i.state.Revision() != before || strings.Contains(jsonOf(k), "dark_key_") {
		t.Fatalf("zone %v, key %v", z, k)
	}
}

func jsonOf(v any) string { b, _ := json.Marshal(v); return string(b) }

func TestSecretsAreShownOnceAndNeverAgain(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:write")
	out := i.must(200, i.admin, "acme", "POST", "/v1/apikeys",
		`{"name":"apikeys/a","spec":{"permissions":["dns:read"]}}`)
	if !strings.HasPrefix(field(out, "status", "token").(string), "dark_key_") ||
		field(out, "status", "secretHash") != nil {
		t.Fatalf("creation: %v", out)
	}
	for _, path := range []string{
		"/v1/apikeys/a", "/v1/apikeys", "/v1/resources/ApiKey/a", "/v1/resources/apikeys",
		"/v1/history/ApiKey/a", "/v1/diff",
	} {
		got := jsonOf(i.must(200, i.admin, "acme", "GET", path, ""))
		if strings.Contains(got, "dark_key_") || strings.Contains(strings.ToLower(got), "hash\":\"") &&
			!strings.Contains(path, "history") {
			t.Errorf("%s shows a secret: %s", path, got)
		}
	}
}

func TestProbesAndOpenAPI(t *testing.T) {
	i := start(t)
	for _, path := range []string{"/livez", "/readyz"} {
		resp, err := http.Get("http://" + i.addr + path)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v %v", path, resp, err)
		}
		resp.Body.Close()
	}
	resp, err := http.Get("http://" + i.addr + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	paths := doc["paths"].(map[string]any)
	if field(doc, "info", "version") != "1.2.3" || paths["/v1/zones"] == nil || paths["/v1/apply"] == nil ||
		paths["/v1/cluster"] == nil {
		t.Fatalf("openapi: %v %v", doc["info"], len(paths))
	}
}
