package edge

import (
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/store"
)

func TestSpacesAreNamedByTheirBuckets(t *testing.T) {
	n := BucketNames{store.ID{1}: "photos"}
	for text, want := range map[string]string{
		`the body of key "a" version 3 of space 01000000000000000000000000000000 (x)`: `the body of key "a" version 3 ` +
			`of bucket photos (x)`,
		"usage of space 02000000000000000000000000000000": "usage of space 02000000000000000000000000000000",
		"space 01":     "space 01",
		"00000001.sst": "00000001.sst",
	} {
		if got := n.In(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
