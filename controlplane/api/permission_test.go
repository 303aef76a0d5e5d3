package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/controlplane/api"
)

// open are the methods that ask for no credential, and why.
var open = map[string]string{
	"/grpc.health.v1.Health/Check": "health", "/grpc.health.v1.Health/List": "health",
	"/grpc.health.v1.Health/Watch":                                   "health",
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      "the protos are public",
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "the protos are public",
	"/dark.cluster.v1.ClusterService/Join":                           "the join token is the credential",
}

// anyone are the methods that need a credential and no permission.
var anyone = map[string]bool{
	"/dark.resource.v1.ResourceService/ListKinds": true,
	"/dark.cluster.v1.ClusterService/GetStatus":   true,
	"/dark.cluster.v1.ClusterService/Wait":        true,
}

// method is one method of the server, found by reflection.
type method struct {
	full string
	desc protoreflect.MethodDescriptor
}

func methods(t *testing.T, i *installation) []method {
	t.Helper()
	var out []method
	for name, info := range api.GRPC(i.srv).GetServiceInfo() {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range info.Methods {
			out = append(out, method{
				"/" + name + "/" + m.Name,
				d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(m.Name)),
			})
		}
	}
	return out
}

// call calls any method with a request and returns the first answer.
func (i *installation) call(ctx context.Context, m method, req proto.Message) (proto.Message, error) {
	resp := dynamicpb.NewMessage(m.desc.Output())
	if !m.desc.IsStreamingClient() && !m.desc.IsStreamingServer() {
		return resp, i.conn.Invoke(ctx, m.full, req, resp)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := i.conn.NewStream(ctx, &grpc.StreamDesc{
		ServerStreams: m.desc.IsStreamingServer(),
		ClientStreams: m.desc.IsStreamingClient(),
	}, m.full)
	if err != nil {
		return nil, err
	}
	_ = s.SendMsg(req)
	_ = s.CloseSend()
	if err := s.RecvMsg(resp); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return resp, nil
}

// request fills a request so that it is about something that exists.
func request(m method, kindName string) proto.Message {
	req := dynamicpb.NewMessage(m.desc.Input())
	f := m.desc.Input().Fields()
	set := func(name, value string) {
		if fd := f.ByName(protoreflect.Name(name)); fd != nil && fd.Kind() == protoreflect.StringKind && !fd.IsList() {
			req.Set(fd, protoreflect.ValueOfString(value))
		}
	}
	name := map[string]string{
		"Zone": "zones/example.com", "RecordSet": "zones/example.com/records/www/A", "ApiKey": "apikeys/key",
		"RoleBinding": "rolebindings/rb", "Organization": "organizations/acme", "Node": "nodes/n1",
		"Bucket": "buckets/photos", "AccessKey": "accesskeys/ak", "EncryptionKey": "encryptionkeys/ek",
	}[kindName]
	set("name", name)
	set("parent", "zones/example.com")
	set("kind", kindName)
	set("node", "n9")
	set("role", "edge")
	set("token", "x")
	for n := range f.Len() {
		fd := f.Get(n)
		if fd.Message() != nil && !fd.IsList() && fd.Message().Fields().ByName("spec") != nil {
			r := req.Mutable(fd).Message()
			r.Set(fd.Message().Fields().ByName("name"), protoreflect.ValueOfString(name))
		}
	}
	if fd := f.ByName("to_revision"); fd != nil {
		req.Set(fd, protoreflect.ValueOfUint64(1))
	}
	if fd := f.ByName("documents"); fd != nil {
		d, _ := structpb.NewStruct(map[string]any{"kind": kindName, "name": name})
		b, _ := proto.Marshal(d)
		e := req.Mutable(fd).List().NewElement()
		_ = proto.Unmarshal(b, e.Message().Interface())
		req.Mutable(fd).List().Append(e)
	}
	return req
}

var kindNames = []string{
	"RecordSet", "Zone", "ApiKey", "RoleBinding", "Organization", "Node", "Bucket", "AccessKey",
	"EncryptionKey",
}

func kindsOf(m method) []string {
	for _, k := range kindNames {
		if strings.HasPrefix(string(m.desc.Parent().Name()), k+"Service") {
			return []string{k}
		}
	}
	if m.desc.Parent().Name() == "ResourceService" {
		return kindNames
	}
	return []string{"Zone"}
}

// TestEveryMethodAsksForPermission calls every method of every service with no token,
// with a wrong one, with one that lacks the permission, and with one of another
// organization that asks for this one's names.
func TestEveryMethodAsksForPermission(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.organization("other", "dns:read")
	other := i.key("other", "boss", "admin:*") // it may delete what the requests name, of its own
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	i.must(200, i.admin, "acme", "POST", "/v1/zones/example.com/records",
		`{"name":"zones/example.com/records/www/A","spec":{"records":["192.0.2.1"]}}`)
	i.must(200, i.admin, "acme", "POST", "/v1/rolebindings",
		`{"name":"rolebindings/rb","spec":{"subject":"key:x","permissions":["dns:read"]}}`)
	i.node("n1")
	for _, r := range []string{"buckets/photos", "accesskeys/ak", "encryptionkeys/ek"} {
		collection, _, _ := strings.Cut(r, "/")
		i.must(200, i.admin, "acme", "POST", "/v1/"+collection, `{"name":"`+r+`"}`)
	}
	nothing := i.key("acme", "nothing", "none:read")
	wrong := nothing[:len(nothing)-10] + "aaaa" + nothing[len(nothing)-6:]
	before := i.state.Revision()
	tried := 0
	for _, m := range methods(t, i) {
		if open[m.full] != "" {
			continue
		}
		for _, k := range kindsOf(m) {
			req := request(m, k)
			for _, c := range []struct {
				who  string
				ctx  context.Context
				want []codes.Code
			}{
				{"no token", t.Context(), []codes.Code{codes.Unauthenticated}},
				{"a wrong token", as(t.Context(), wrong, ""), []codes.Code{codes.Unauthenticated}},
				{"no permission", as(t.Context(), nothing, ""), []codes.Code{codes.PermissionDenied}},
				{"another organization named", as(t.Context(), other, "acme"), []codes.Code{codes.PermissionDenied}},
			} {
				if anyone[m.full] && c.who == "no permission" {
					continue
				}
				tried++
				_, err := i.call(c.ctx, m, req)
				if fmt.Sprint(status.Code(err)) != fmt.Sprint(c.want[0]) {
					t.Errorf("%s %s with %s: %v, want %v", m.full, k, c.who, err, c.want)
				}
			}
			// With all power in one's own organization nothing of another's is found or changed.
			resp, err := i.call(as(t.Context(), other, ""), m, request(m, k))
			tried++
			if err == nil && !anyone[m.full] {
				if s := fmt.Sprint(resp); strings.Contains(s, "192.0.2.1") ||
					strings.Contains(s, `organization:"acme"`) || strings.Contains(s, `"acme"`) {
					t.Errorf("%s %s: shows another organization's: %s", m.full, k, s)
				}
			}
		}
	}
	commits, err := i.state.Commits(before, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range commits {
		if c.Organization != "other" {
			t.Errorf("%s wrote to %q: %v", c.GetOrigin().GetWho(), c.Organization, c.Changed)
		}
	}
	if tried < 150 {
		t.Errorf("only %d calls tried", tried)
	}
	t.Logf("%d calls of %d methods", tried, len(methods(t, i)))
}

// TestPermissionIsEnough is the control: with the permission the same requests pass.
func TestPermissionIsEnough(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	read, write := i.key("acme", "r", "dns:read"), i.key("acme", "w", "dns:*")
	i.must(200, read, "", "GET", "/v1/zones/example.com", "")
	i.must(403, read, "", "PATCH", "/v1/zones/example.com", `{"spec":{"refresh":5}}`)
	i.must(200, write, "", "PATCH", "/v1/zones/example.com", `{"spec":{"refresh":5}}`)
	i.must(403, write, "", "GET", "/v1/apikeys", "")
	i.must(403, write, "", "GET", "/v1/nodes", "")
	i.must(200, i.admin, "", "GET", "/v1/nodes", "")
	// A binding lets a key of one organization act in another, and do there what it says.
	guest := i.organization("guest", "dns:read")
	id := strings.Split(guest, "_")[2]
	i.must(403, guest, "acme", "GET", "/v1/zones/example.com", "")
	i.must(403, guest, "nosuch", "GET", "/v1/zones/example.com", "")
	i.must(200, i.admin, "acme", "POST", "/v1/rolebindings", `{"name":"rolebindings/guest","spec":{"subject":"key:`+id+
		`","permissions":["dns:read"]}}`)
	i.must(200, guest, "acme", "GET", "/v1/zones/example.com", "")
	i.must(403, guest, "acme", "DELETE", "/v1/zones/example.com", "")
	// Nobody gives more than they have; trust is the operators' to give.
	keyer := i.key("acme", "keyer", "identity:write", "dns:read")
	i.must(200, keyer, "", "POST", "/v1/apikeys", `{"name":"apikeys/a","spec":{"permissions":["dns:read"]}}`)
	for _, p := range []string{"dns:write", "dns:*", "admin:*", "identity:*", "dns:trust"} {
		out := i.must(400, keyer, "", "POST", "/v1/apikeys", `{"name":"apikeys/b","spec":{"permissions":["`+p+`"]}}`)
		if f := badFields(out); len(f) != 1 || f[0] != "spec.permissions[0]" {
			t.Errorf("%s: %v", p, out)
		}
		i.must(400, keyer, "", "POST", "/v1/rolebindings",
			`{"name":"rolebindings/b","spec":{"subject":"key:x","permissions":["`+p+`"]}}`)
	}
	orgAdmin := i.key("acme", "orgadmin", "admin:*")
	i.must(400, orgAdmin, "", "POST", "/v1/apikeys", `{"name":"apikeys/c","spec":{"permissions":["dns:trust"]}}`)
	i.must(403, orgAdmin, "", "POST", "/v1/organizations", `{"name":"organizations/x"}`)
	if z := i.must(200, orgAdmin, "", "POST", "/v1/zones", `{"name":"zones/example.org"}`); field(z, "status",
		"control") != "CONTROL_PENDING" {
		t.Errorf("an organization's admin is trusted: %v", z)
	}
	// A deleted key is dead at once.
	i.must(200, i.admin, "acme", "DELETE", "/v1/apikeys/r", "")
	i.must(401, read, "", "GET", "/v1/zones/example.com", "")
}
