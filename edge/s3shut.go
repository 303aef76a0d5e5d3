package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge/listen"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/preauth"
)

// s3Shut answers S3 where the store does not open: each request with 503 and why. It keeps
// nothing of what the control plane tells, so that the node has it all sent at the next start.
type s3Shut struct {
	c      *Config
	doors  preauth.Doors
	answer []byte
	err    error // why, for the machine's own people
}

// newS3Shut is told why the store does not open. Clients, who may be anybody, are told which
// kind of reason it is; names of files are for the log.
func newS3Shut(c *Config, err error) *s3Shut {
	why := "its keys or its files are not as it left them"
	if d := (*store.Damaged)(nil); errors.As(err, &d) {
		why = "what it keeps on its disk is damaged"
	}
	answer := s3xml.AppendError(nil, s3xml.Say(s3xml.ServiceUnavailable,
		"The store of this node does not open: "+why+". Its operator finds the details in its log."))
	return &s3Shut{c: c, answer: answer, err: err}
}

func (s *s3Shut) part() Part {
	return Part{
		Service: kind.Service{
			Name:    "s3",
			Compile: func(any, []kind.Change) (any, []kind.Refusal) { return s, nil },
			Swap:    func(any) {},
		},
		Listen: listen.Options{Service: "S3", Addresses: s.c.S3, TCP: 1},
		Serve:  s.serve,
		Local: func(mux *http.ServeMux) {
			mux.HandleFunc("GET "+PathStore, func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(&StoreHealth{NotReady: s.err.Error()}) // who asked may have left
			})
		},
	}
}

func (s *s3Shut) serve(ctx context.Context, g *listen.Group) error {
	return s.c.answerS3(ctx, g, s, &s.doors)
}

// ServeHTTP implements http.Handler.
func (s *s3Shut) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(s.answer)))
	h.Set("Connection", "close")
	w.WriteHeader(http.StatusServiceUnavailable)
	if r.Method != http.MethodHead {
		_, _ = w.Write(s.answer) // a client that is gone is told nothing
	}
}
