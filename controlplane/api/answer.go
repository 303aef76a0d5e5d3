package api

import (
	"net/http"
	"time"
)

// answerTime is how long a client may take to read one piece of an answer: what it asked
// for is held in memory until then, and its place in a lane too.
const answerTime = 30 * time.Second

// answer is a ResponseWriter whose writes end. What is small goes into the buffer of
// net/http, so that only larger pieces and Flush can wait for the client.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
}

func newAnswer(w http.ResponseWriter) *answer { return &answer{w, http.NewResponseController(w)} }

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) Write(b []byte) (int, error) {
	if len(b) >= 2048 {
		defer a.bound()()
	}
	return a.ResponseWriter.Write(b)
}

// Flush is http.Flusher's.
func (a *answer) Flush() {
	defer a.bound()()
	_ = a.control.Flush()
}

// bound sets the deadline for writing and returns what lifts it: an idle stream has none.
func (a *answer) bound() (lift func()) {
	_ = a.control.SetWriteDeadline(time.Now().Add(answerTime))
	return func() { _ = a.control.SetWriteDeadline(time.Time{}) }
}
