package api_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/controlplane/api"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// TestStreamsEndWithWhatAllowedThem: a watch and an import, which hangs in a read, end soon
// after the key, its expiry or the role binding did.
func TestStreamsEndWithWhatAllowedThem(t *testing.T) {
	i := start(t)
	api.Hasten(i.srv, time.Minute, 10*time.Millisecond)
	home := i.organization("home", "dns:*")
	id := i.must(200, i.admin, "home", "GET", "/v1/apikeys/key", "")["status"].(map[string]any)["keyId"].(string)
	i.organization("acme", "dns:*")
	i.must(200, i.admin, "acme", "POST", "/v1/rolebindings", `{"name":"rolebindings/b","spec":{"subject":"key:`+id+
		`","permissions":["dns:*"]}}`)
	expires := time.Now().Add(2 * time.Second)
	short := i.must(200, i.admin, "home", "POST", "/v1/apikeys",
		`{"name":"apikeys/short","spec":{"permissions":["dns:*"],"expireTime":"`+expires.UTC().Format(time.RFC3339Nano)+
			`"}}`)["status"].(map[string]any)["token"].(string)

	for _, c := range []struct {
		name       string
		token, org string
		end        func()
		want       codes.Code
	}{
		{"expiry", short, "", func() {}, codes.Unauthenticated},
		{"role binding", home, "acme", func() {
			i.must(200, i.admin, "acme", "DELETE", "/v1/rolebindings/b", "")
		}, codes.PermissionDenied},
		{"key", home, "", func() {
			i.must(200, i.admin, "home", "DELETE", "/v1/apikeys/key", "")
		}, codes.Unauthenticated},
	} {
		ctx, cancel := context.WithTimeout(as(t.Context(), c.token, c.org), time.Minute)
		w, err := i.resources().Watch(ctx, &resourcev1.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		im, err := dnsgrpc.NewZoneServiceClient(i.conn).ImportZone(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := im.Send(&dnsv1.ImportZoneRequest{Name: "zones/example.com", Create: true}); err != nil {
			t.Fatal(err)
		}
		c.end()
		for err == nil {
			_, err = w.Recv()
		}
		if status.Code(err) != c.want {
			t.Errorf("%s: the watch ended with %v, want %v", c.name, err, c.want)
		}
		if _, err = im.Recv(); status.Code(err) != c.want {
			t.Errorf("%s: the import ended with %v, want %v", c.name, err, c.want)
		}
		cancel()
	}
}
