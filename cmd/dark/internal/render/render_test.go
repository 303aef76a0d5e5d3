package render

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", name, got, want)
	}
}

func doc(t *testing.T, m map[string]any) *structpb.Struct {
	t.Helper()
	s, err := structpb.NewStruct(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	tab := NewTable("NAME", "TTL", "RECORDS")
	tab.Row("zones/example.com/records/www/A", "300", "192.0.2.1, 192.0.2.2")
	tab.Row("zones/exämple/records/@/MX", "", "10 mail.\x1b[31mexample.com.")
	if err := tab.Flush(&b); err != nil {
		t.Fatal(err)
	}
	tab.Row("next page")
	if err := tab.Flush(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.Bytes())
}

func changes(t *testing.T) []*resourcev1.Change {
	record := func(ttl float64, records ...any) *structpb.Struct {
		return doc(t, map[string]any{
			"kind": "RecordSet", "name": "zones/a/records/www/A", "revision": "7", "etag": "x",
			"spec": map[string]any{"ttl": ttl, "records": records},
		})
	}
	return []*resourcev1.Change{
		{
			Action: resourcev1.Change_ACTION_CREATE, Kind: "Zone", Name: "zones/a",
			After: doc(t, map[string]any{
				"labels": map[string]any{"team": "net"},
				"spec":   map[string]any{"refresh": 60.0},
			}),
		},
		{
			Action: resourcev1.Change_ACTION_UPDATE, Kind: "RecordSet", Name: "zones/a/records/www/A",
			Before: record(300, "192.0.2.1", "192.0.2.2"), After: record(60, "192.0.2.2", "192.0.2.3"),
		},
		{
			Action: resourcev1.Change_ACTION_UPDATE, Kind: "RecordSet", Name: "zones/a/records/order/A",
			Before: record(1, "a", "b"), After: record(1, "b", "a"),
		},
		{
			Action: resourcev1.Change_ACTION_DELETE, Kind: "RecordSet", Name: "zones/a/records/old/A",
			Before: record(5, "192.0.2.9"),
		},
		{Action: resourcev1.Change_ACTION_UNCHANGED, Kind: "Zone", Name: "zones/b"},
	}
}

func TestChanges(t *testing.T) {
	for name, s := range map[string]Style{"changes.txt": {}, "changes-colour.txt": {Colour: true}} {
		var b bytes.Buffer
		if err := s.Changes(&b, changes(t)); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
	var b bytes.Buffer
	_ = Style{}.Changes(&b, nil)
	if b.String() != "no difference\n" {
		t.Error(b.String())
	}
}

func TestDescribeAndYAML(t *testing.T) {
	d := map[string]any{
		"spec": map[string]any{"ttl": 300.0, "records": []any{"192.0.2.1"}, "weights": []any{map[string]any{"a": 1.5}}},
		"name": "zones/a/records/www/A", "kind": "RecordSet", "revision": "9",
		"createTime": "2026-10-01T10:11:12.123456Z", "drained": false,
	}
	var b bytes.Buffer
	if err := (Style{}).Describe(&b, d); err != nil {
		t.Fatal(err)
	}
	golden(t, "describe.txt", b.Bytes())
	b.Reset()
	if err := YAML(&b, d); err != nil {
		t.Fatal(err)
	}
	golden(t, "document.yaml", b.Bytes())
}

func TestValueAt(t *testing.T) {
	d := map[string]any{"spec": map[string]any{
		"ttl": 300.0, "on": true, "l": []any{"a", 1.0},
		"m": map[string]any{"b": "c", "a": 1.0},
	}}
	for path, want := range map[string]string{
		"spec.ttl": "300", "spec.on": "true", "spec.l": "a, 1",
		"spec.m": "a=1,b=c", "spec.none.x": "", "none": "",
	} {
		if got := Value(d, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
