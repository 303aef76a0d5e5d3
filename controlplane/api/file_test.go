package api_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// curl asks as a script does, and returns the status and the body.
func (i *installation) curl(token, path string, more ...string) (status, body string) {
	i.t.Helper()
	args := append([]string{
		"-sS", "-m", "60", "-w", "\n%{http_code} %{content_type}", "-H", "Authorization: Bearer " + token, "-H",
		"Dark-Organization: acme",
	}, more...)
	out, err := exec.CommandContext(i.t.Context(), "curl", append(args, "http://"+i.addr+path)...).CombinedOutput()
	if err != nil {
		i.t.Fatalf("curl %s: %v\n%s", path, err, out)
	}
	at := strings.LastIndexByte(string(out), '\n')
	return string(out[at+1:]), string(out[:at])
}

// zoneFile writes a master file for curl.
func zoneFile(t *testing.T, text string) (arg string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "@" + path
}

// TestMasterFilesByREST: a zone goes in and out as text/dns, with the refusals of every
// other endpoint, and those of the file with their lines.
func TestMasterFilesByREST(t *testing.T) {
	i := start(t)
	key := i.organization("acme", "dns:*", "dns:trust")
	dns := []string{"-H", "Content-Type: text/dns", "--data-binary"}
	good := zoneFile(t, "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nw TXT \"a;b\"\n")
	bad := zoneFile(t, "$TTL 300\nw A 1.2.3\nv AAAA 1.2.3.4\n")
	imports, exports := "/v1/zones/example.com:import", "/v1/zones/example.com:export"
	for _, c := range []struct {
		path, status, says string
		args               []string
	}{
		{imports, "404 application/json", "zones/example.com does not exist", append(dns, good)},
		{imports + "?create=true&dryRun=true", "200 application/json", `"done":true`, append(dns, good)},
		{exports, "404 application/json", "zones/example.com does not exist", nil},
		{imports + "?create=true&reason=first", "200 application/json", `"created":"3"`, append(dns, good)},
		{exports, "200 text/dns", "w 300 IN TXT \"a;b\"\n", nil},
		{imports, "400 application/json", "line 2, column 5: A: 1.2.3 is not an IPv4 address", append(dns, bad)},
		{imports, "400 application/json", "line 3, column 8: AAAA: 1.2.3.4 is not an IPv6 address", append(dns, bad)},
		{imports + "?dry=true", "400 application/json", "unknown field", append(dns, good)},
		{imports + "?dryRun=maybe", "400 application/json", "maybe", append(dns, good)},
		{imports + "?data=x", "400 application/json", "is given by the body", append(dns, good)},
		{imports + "?name=zones/b.test", "400 application/json", "is given by the path", append(dns, good)},
		{imports, "415 application/json", "Content-Type: text/dns", []string{"--data-binary", good}},
		{imports, "400 application/json", "has no body", append(dns, "")},
		{imports, "409 application/json", "leaves out 3 of the 3", append(dns, zoneFile(t, "a 60 A 192.0.2.1\n"))},
		{exports + "?what=1", "400 application/json", "unknown field", nil},
		{exports, "400 application/json", "takes no body", []string{"-X", "GET", "-d", "x"}},
		{exports + "?revision=1", "404 application/json", "does not exist", nil},
	} {
		status, body := i.curl(key, c.path, c.args...)
		if !strings.HasPrefix(status, c.status) || !strings.Contains(strings.NewReplacer(`": "`, `":"`, `": t`,
			`":t`).Replace(body), jsonText(c.status, c.says)) {
			t.Errorf("%s %q: %s, want %s with %q\n%s", c.path, c.args, status, c.status, c.says, body)
		}
	}
	if status, body := i.curl("nobody", imports, append(dns, good)...); !strings.HasPrefix(status, "401 ") {
		t.Errorf("a stranger: %s %s", status, body)
	}
	reads := i.key("acme", "reads", "dns:read")
	if status, body := i.curl(reads, imports, append(dns, good)...); !strings.HasPrefix(status, "403 ") {
		t.Errorf("a reader imports: %s %s", status, body)
	}
	_, file := i.curl(reads, exports)
	if status, body := i.curl(key, imports, append(dns, zoneFile(t, file))...); !strings.HasPrefix(status, "200") ||
		!strings.Contains(strings.ReplaceAll(body, " ", ""), `"unchanged":"3"`) {
		t.Errorf("the export comes back: %s %s", status, body)
	}
}

// jsonText is a text as an answer in JSON has it.
func jsonText(status, text string) string {
	if b, err := json.Marshal(text); err == nil && strings.HasSuffix(status, "json") && !strings.Contains(text, `"`) {
		return strings.Trim(string(b), `"`)
	}
	return text
}

// TestHalfAFileIsNone: a body that ends before its announced end changes nothing; one that
// the server refuses while it is sent is answered at once.
func TestHalfAFileIsNone(t *testing.T) {
	i := start(t)
	key := i.organization("acme", "dns:*", "dns:trust")
	before := i.state.Revision()
	half := "POST /v1/zones/example.com:import?create=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key +
		"\r\nDark-Organization: acme\r\nContent-Type: text/dns\r\nContent-Length: 1000\r\n\r\na 60 A 192.0.2.1\n"
	c, err := net.Dial("tcp", i.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, half); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	answer := string(b)
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "ended before its end") {
		t.Errorf("half a file: %.300s", answer)
	}
	if now := i.state.Revision(); now != before {
		t.Errorf("half a file was taken: revision %d, then %d", before, now)
	}
	large := strings.Repeat("a 60 A nonsense\n", 2<<20/16)
	if status, body := i.curl(key, "/v1/zones/example.com:import?create=true", "-H", "Content-Type: text/dns",
		"--data-binary", zoneFile(t, large)); !strings.HasPrefix(status, "400 ") {
		t.Errorf("%s %s", status, body)
	}
}

// TestFilesAreDescribed: the OpenAPI document has the methods of files.
func TestFilesAreDescribed(t *testing.T) {
	i := start(t)
	resp, err := http.Get("http://" + i.addr + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out := map[string]any{}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	paths := out["paths"].(map[string]any)
	post, ok := paths["/v1/zones/{name}:import"].(map[string]any)["post"].(map[string]any)
	if !ok || post["requestBody"] == nil || len(post["parameters"].([]any)) != 6 ||
		paths["/v1/zones/{name}:export"] == nil {
		t.Errorf("%v", post)
	}
}
