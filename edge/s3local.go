package edge

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// PathScrub is where a POST on an edge's local socket scrubs its store. The answer is a line of
// JSON, a Scrubbed, for each damaged thing and now and then; the last one has End. When the
// client leaves, the scrub ends, and the next one goes on where it was.
const PathScrub = "/scrub"

// Scrubbed is how far a scrub came.
type Scrubbed struct {
	store.Progress
	What  string `json:"what,omitempty"` // that is damaged
	Why   string `json:"why,omitempty"`
	Error string `json:"error,omitempty"` // why the scrub ended early
	End   bool   `json:"end,omitempty"`
}

// PathStore is where a GET on an edge's local socket tells how its store does, as a StoreHealth.
const PathStore = "/store"

// StoreHealth is how an edge's store does. NotReady says why it takes no writes.
type StoreHealth struct {
	store.Health
	NotReady string
}

func (s *s3Server) tellStore(w http.ResponseWriter, _ *http.Request) {
	h := StoreHealth{Health: s.store.Health()}
	if err := s.store.Ready(); err != nil {
		h.NotReady = err.Error()
	}
	_ = json.NewEncoder(w).Encode(&h) // who asked may have left
}

// local adds what the store's part answers on the local socket.
func (s *s3Server) local(mux *http.ServeMux) {
	mux.HandleFunc("POST "+PathScrub, s.scrubNow)
	mux.HandleFunc("GET "+PathStore, s.tellStore)
}

func (s *s3Server) scrubNow(w http.ResponseWriter, r *http.Request) {
	names := bucketsOf(s.handler.View())
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	say := func(line *Scrubbed) {
		_ = out.Encode(line) // who left ends the request's context, too
		_ = flush.Flush()
	}
	p, err := s.store.Scrub(r.Context(), func(p store.Progress, d *store.Damaged) {
		line := Scrubbed{Progress: p}
		if d != nil {
			line.What, line.Why = names.In(d.Name()), d.Err.Error()
		}
		say(&line)
	})
	end := Scrubbed{Progress: p, End: true}
	if err != nil {
		if errors.Is(err, store.ErrScrubbing) {
			w.WriteHeader(http.StatusConflict)
		}
		end.Error = err.Error()
	}
	say(&end)
}

// BucketNames are the names of the spaces that keep buckets.
type BucketNames map[store.ID]string

func bucketsOf(v *s3.View) BucketNames {
	n := BucketNames{}
	v.Buckets(func(b *s3.Bucket) bool {
		n[b.Placement.Space] = b.Name
		return true
	})
	return n
}

var spaceText = regexp.MustCompile(`space ([0-9a-f]{32})`)

// ofObject is how a damaged body or row of an object is named: in a bucket's space, keys of objects follow an o.
var ofObject = regexp.MustCompile(`key "o((?:[^"\\]|\\.)*)"((?: version [0-9]+)? of space )([0-9a-f]{32})`)

// In puts the names of buckets in a text in the place of the identities of their spaces, and of
// objects in the place of their rows' keys.
func (n BucketNames) In(text string) string {
	text = ofObject.ReplaceAllStringFunc(text, func(found string) string {
		m := ofObject.FindStringSubmatch(found)
		var id store.ID
		if _, err := hex.Decode(id[:], []byte(m[3])); err == nil && n[id] != "" {
			return `object "` + m[1] + `"` + m[2] + m[3]
		}
		return found
	})
	return spaceText.ReplaceAllStringFunc(text, func(found string) string {
		var id store.ID
		if _, err := hex.Decode(id[:], []byte(strings.TrimPrefix(found, "space "))); err == nil && n[id] != "" {
			return "bucket " + n[id]
		}
		return found
	})
}
