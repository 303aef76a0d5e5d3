package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dark-ecosystem/dark/controlplane/api"
)

// endpoint is a REST endpoint with a path that fits its template.
type endpoint struct {
	method, path, body string
	vars               []string
	input              protoreflect.MessageDescriptor
}

var pathVariable = regexp.MustCompile(`\{([^}=]+)=?([^}]*)\}`)

// endpoints of every service of this API, from the options in the protos.
func endpoints(t *testing.T, i *installation) []endpoint {
	t.Helper()
	var out []endpoint
	for name := range api.GRPC(i.srv).GetServiceInfo() {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for m := range methods.Len() {
			if rule, _ := proto.GetExtension(methods.Get(m).Options(),
				annotations.E_Http).(*annotations.HttpRule); rule != nil {
				out = append(out, newEndpoint(rule, methods.Get(m).Input()))
			}
		}
	}
	if len(out) < 50 {
		t.Fatalf("%d endpoints", len(out))
	}
	return out
}

func newEndpoint(rule *annotations.HttpRule, input protoreflect.MessageDescriptor) endpoint {
	e := endpoint{body: rule.Body, input: input}
	for method, path := range map[string]string{
		"GET": rule.GetGet(), "POST": rule.GetPost(), "PATCH": rule.GetPatch(),
		"DELETE": rule.GetDelete(),
	} {
		if path == "" {
			continue
		}
		e.method = method
		e.path = pathVariable.ReplaceAllStringFunc(path, func(v string) string {
			m := pathVariable.FindStringSubmatch(v)
			e.vars = append(e.vars, m[1])
			switch m[2] {
			case "":
				return "zones"
			case "**":
				return "zones/example.com"
			}
			return strings.ReplaceAll(m[2], "*", "a.test")
		})
	}
	return e
}

// refused makes a request that must be answered 400 naming a text.
func (e endpoint) refused(i *installation, query, body, names string) {
	i.t.Helper()
	code, out := i.rest(i.admin, "acme", e.method, e.path+query, body)
	if code != 400 || !strings.Contains(jsonOf(out), names) {
		i.t.Errorf("%s %s%s %.60q: %d %v, want 400 that names %q", e.method, e.path, query, body, code, out, names)
	}
}

// TestEveryFieldIsTakenOrRefused: no endpoint ignores anything of its query or body.
func TestEveryFieldIsTakenOrRefused(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	for _, e := range endpoints(t, i) {
		body := ""
		if e.body != "" {
			body = `{"name":""}`
			e.refused(i, "", "", "no body")
			e.refused(i, "", `{} {}`, "there is more")
			e.refused(i, "", `[]`, "no JSON object")
			e.refused(i, "", "null", "no JSON object")
			e.refused(i, "", "{\"name\":\"\xe9\"}", "is not UTF-8")
			e.refused(i, "", `{"notAField":1}`, "notAField")
		} else {
			e.refused(i, "", `{"name":"x"}`, "takes no body")
		}
		e.refused(i, "?notAField=1", body, "notAField")
		for f := range e.input.Fields().Len() {
			e.field(i, e.input.Fields().Get(f), body)
		}
		if e.method == "PATCH" {
			e.refused(i, "", `{}`, "neither spec nor labels")
			e.refused(i, "", `{"name":"other","labels":{"a":"b"}}`, "not the name in the path")
			e.refused(i, "?updateMask=spec", "", "no body")
		}
		e.notAllowed(i)
	}
}

// field gives a field in the query. Where it stands elsewhere it must be refused; where it
// belongs, what is none of its values shows that it is read.
func (e endpoint) field(i *installation, fd protoreflect.FieldDescriptor, body string) {
	i.t.Helper()
	elsewhere := e.body == "*" || string(fd.Name()) == e.body
	for _, v := range e.vars {
		elsewhere = elsewhere || v == string(fd.Name())
	}
	switch {
	case elsewhere:
		e.refused(i, "?"+fd.JSONName()+"=1", body, fd.JSONName())
		e.refused(i, "?"+string(fd.Name())+"=1", body, string(fd.Name()))
	case fd.Kind() == protoreflect.StringKind:
		e.refused(i, "?"+fd.JSONName()+"=%e9", body, fd.JSONName())
	case fd.Message() == nil:
		e.refused(i, "?"+fd.JSONName()+"=nonsense", body, string(fd.Name()))
	}
}

// notAllowed asks with a method that no path has.
func (e endpoint) notAllowed(i *installation) {
	i.t.Helper()
	req, _ := http.NewRequestWithContext(i.t.Context(), http.MethodPut, "http://"+i.addr+e.path, http.NoBody)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(resp.Header.Get("Allow"), e.method) {
		i.t.Errorf("PUT %s: %d, Allow %q without %s", e.path, resp.StatusCode, resp.Header.Get("Allow"), e.method)
	}
}

// TestAnEmptyUpdateErasesNothing is the example that was found: a PATCH without a body
// took an access key's scopes and its expiry.
func TestAnEmptyUpdateErasesNothing(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	before := i.must(200, i.admin, "acme", "POST", "/v1/apikeys",
		`{"name":"apikeys/a","labels":{"a":"b"},"spec":{"permissions":["dns:read"],"expireTime":"2040-01-01T00:00:00Z"}}`)
	for _, body := range []string{"", "{}", "null", " "} {
		i.must(400, i.admin, "acme", "PATCH", "/v1/apikeys/a", body)
		i.must(400, i.admin, "acme", "PATCH", "/v1/apikeys/a?updateMask=labels", strings.Trim(body, "{}"))
	}
	after := i.must(200, i.admin, "acme", "GET", "/v1/apikeys/a", "")
	if jsonOf(before["spec"].(map[string]any)) != jsonOf(after["spec"].(map[string]any)) ||
		jsonOf(after["labels"].(map[string]any)) != `{"a":"b"}` {
		t.Fatalf("%v became %v", before, after)
	}
}

// TestADryRunInTheQueryIsNone: rollback takes its fields in the body.
func TestADryRunInTheQueryIsNone(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/a.test"}`)
	out := i.must(400, i.admin, "acme", "POST", "/v1/rollback?dryRun=true", `{"toRevision":"1","kind":"Zone"}`)
	if !strings.Contains(jsonOf(out), "put it there") {
		t.Fatalf("%v", out)
	}
	i.must(200, i.admin, "acme", "GET", "/v1/zones/a.test", "")
	i.must(200, i.admin, "acme", "POST", "/v1/rollback", `{"toRevision":"1","kind":"Zone","dryRun":true}`)
	i.must(200, i.admin, "acme", "GET", "/v1/zones/a.test", "")
}

func TestABodyThatIsTooLargeIs413(t *testing.T) {
	i := start(t)
	large := `{"name":"zones/example.com","labels":{"a":"` + strings.Repeat("x", 5<<20) + `"}}`
	for _, chunked := range []bool{true, false} {
		var body io.Reader = strings.NewReader(large)
		if chunked {
			body = io.MultiReader(body)
		}
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.addr+"/v1/zones", body)
		req.Header.Set("Authorization", "Bearer "+i.admin)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(b), "4194304") {
			t.Errorf("%d %s", resp.StatusCode, b)
		}
	}
}

// TestASlowBodyEnds: a body that trickles in does not hold its connection.
func TestASlowBodyEnds(t *testing.T) {
	i := start(t)
	api.Hasten(i.srv, 50*time.Millisecond, time.Hour)
	c, err := net.Dial("tcp", i.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "POST /v1/zones HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{",
		i.admin)
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 408 ") {
		t.Fatalf("%q %v", b, err)
	}
}

// TestNoBodyIsReadForAStranger: the answer comes before the body does.
func TestNoBodyIsReadForAStranger(t *testing.T) {
	i := start(t)
	c, err := net.Dial("tcp", i.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "POST /v1/zones HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nothing\r\nContent-Length: "+
		"4000000\r\n\r\n{")
	b := make([]byte, 12)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "HTTP/1.1 401" {
		t.Fatalf("%q %v", b, err)
	}
}
