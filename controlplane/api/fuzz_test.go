package api_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// FuzzPageToken: only what the server gave is read, and as it was given.
func FuzzPageToken(f *testing.F) {
	good := api.PageToken([]byte("key"), "list", 7, "zones/a")
	for _, s := range []string{good, good[:len(good)-1], "", "AAAA", "!!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rev, after, err := api.ReadPageToken([]byte("key"), "list", s)
		if err == nil && api.PageToken([]byte("key"), "list", rev, after) != s {
			t.Fatalf("%q is %d %q", s, rev, after)
		}
		if _, _, err := api.ReadPageToken([]byte("other"), "list", s); !errs.Is(err, errs.Invalid) {
			t.Fatalf("%q is read under another key", s)
		}
		if _, _, err := api.ReadPageToken([]byte("key"), "other", s); !errs.Is(err, errs.Invalid) {
			t.Fatalf("%q is read for another list", s)
		}
	})
}

// FuzzDocument: what is read of a document is written as a document that reads the same.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`{"kind":"Note","name":"a","spec":{"text":"x"}}`,
		`{"kind":"Note","labels":{"a":"b"},"revision":"18446744073709551615"}`,
		`{"spec":{"txt":1}}`, `{"spec":null}`, `{"createTime":"2026-01-01T00:00:00Z"}`, `{"revision":1.5}`,
	} {
		f.Add(s)
	}
	k := demo.Note()
	f.Fuzz(func(t *testing.T, s string) {
		d := &structpb.Struct{}
		if protojson.Unmarshal([]byte(s), d) != nil {
			return
		}
		m, err := api.ReadDocument(k, d)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%s: %v", s, err)
			}
			return
		}
		back, err := api.WriteDocument(k, m)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if again, err := api.ReadDocument(k, back); err != nil || protojson.Format(again) != protojson.Format(m) {
			t.Fatalf("%s is %v, then %v %v", s, m, again, err)
		}
	})
}
