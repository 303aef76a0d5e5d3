package api_test

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/internal/kind"
	demogw "github.com/dark-ecosystem/dark/proto/dark/demo/v1/gw"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// TestANewKindIsALine adds the kind demo.v1.Note by one line of a list and drives all
// that is generic with it.
func TestANewKindIsALine(t *testing.T) {
	note := api.Registration{
		Kind: demo.Note(), Service: "dark.demo.v1.NoteService",
		Gateway: demogw.RegisterNoteServiceHandler,
	}
	i := start(t, note)
	key := i.organization("acme", "demo:*")
	guest := i.key("acme", "guest", "dns:*")
	ctx := as(t.Context(), key, "")
	n := i.must(200, key, "", "POST", "/v1/notes", `{"name":"notes/a","spec":{"text":"hello"}}`)
	i.must(403, guest, "", "GET", "/v1/notes/a", "")
	i.must(400, key, "", "POST", "/v1/notes", `{"name":"notes/b","spec":{"text":""}}`)
	i.must(200, key, "", "PATCH", "/v1/notes/a", `{"spec":{"text":"again"},"etag":"`+n["etag"].(string)+`"}`)
	if got := i.must(200, key, "", "GET", "/v1/resources/notes/a", ""); field(got, "document", "spec",
		"text") != "again" || field(got, "document", "kind") != "Note" {
		t.Fatalf("%v", got)
	}
	ap, err := i.resources().Apply(ctx, &resourcev1.ApplyRequest{Documents: []*structpb.Struct{doc(t,
		`{"kind":"Note","name":"b","spec":{"text":"from apply"}}`)}})
	if err != nil || ap.Changes[0].Action != resourcev1.Change_ACTION_CREATE {
		t.Fatalf("%v %v", ap, err)
	}
	if got := i.must(200, key, "", "GET", "/v1/notes?pageSize=1", ""); len(got["notes"].([]any)) != 1 ||
		got["nextPageToken"] == nil {
		t.Fatalf("%v", got)
	}
	if got := i.must(200, key, "", "GET", "/v1/history/Note/a", ""); len(got["entries"].([]any)) != 2 {
		t.Fatalf("%v", got)
	}
	if got := jsonOf(i.must(200, key, "", "GET", "/v1/kinds", "")); !strings.Contains(got, `"spec.text"`) {
		t.Fatalf("%v", got)
	}
	i.must(200, key, "", "DELETE", "/v1/notes/a", "")
	published(t, i, note.Kind)

	lines := 1
	for _, f := range []string{
		"../../proto/dark/demo/v1/demo.proto", "../../proto/dark/demo/v1/demo_service.proto",
		"../demo/note.go",
	} {
		lines += count(t, f)
	}
	if lines > 150 {
		t.Errorf("a kind takes %d lines, more than 150", lines)
	}
	t.Logf("%d lines", lines)
}

func published(t *testing.T, i *installation, k *kind.Kind) {
	t.Helper()
	r, err := i.state.At(0)
	if err != nil {
		t.Fatal(err)
	}
	v := admit.NewView(r, i.state.Published)
	m, _, err := v.Get(t.Context(), k.FullName(), "acme", "notes/b")
	if err != nil {
		t.Fatal(err)
	}
	var got []kind.Record
	err = k.Publish(t.Context(), kind.Publication{After: v, Organization: "acme", Stored: "notes/b", New: m},
		func(r kind.Record) error {
			got = append(got, r)
			return nil
		})
	if err != nil || len(got) != 1 || got[0].Stream != "org/acme" || !strings.Contains(string(got[0].Value),
		"from apply") {
		t.Fatalf("%v %v", got, err)
	}
}

func count(t *testing.T, file string) int {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for s := bufio.NewScanner(f); s.Scan(); n++ {
	}
	return n
}
