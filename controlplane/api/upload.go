package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// upload is one file on its way in: the request's goroutine sends it, another receives.
type upload struct {
	m       *fileMethod
	stream  grpc.ClientStream
	first   protoreflect.Message
	control *http.ResponseController
	last    proto.Message // what was received last
	mu      struct {
		sync.Mutex
		sent  bool // the body is not read any more
		ended bool // nothing more is wanted of it
	}
}

// take sends a file and answers with the last message that comes back.
func (m *fileMethod) take(w http.ResponseWriter, r *http.Request, u *upload, cancel context.CancelFunc) error {
	received := make(chan error, 1)
	go func() { received <- u.receive() }()
	err := u.send(r.Body)
	if err != nil {
		cancel() // half of a file must not be taken for the whole
	}
	if rerr := <-received; err == nil || errors.Is(err, errEnded) {
		err = rerr
	}
	if err != nil {
		w.Header().Set("Connection", "close") // the rest of the body is not read
		return err
	}
	_, out := runtime.MarshalerForRequest(m.s.mux, r)
	b, err := out.Marshal(u.last)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b)
	return nil
}

// receive returns when the server has ended the stream.
func (u *upload) receive() error {
	defer u.end()
	for {
		m := u.m.out.New().Interface()
		err := u.stream.RecvMsg(m)
		switch {
		case errors.Is(err, io.EOF) && u.last == nil:
			return errs.New(errs.Internal, "%s ended without an answer", u.m.rt.full)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		u.last = m
	}
}

// end ends a send that waits for the client.
func (u *upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.ended = true; !u.mu.sent {
		_ = u.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// wait gives the client bodyTime for the next piece; false when none is wanted.
func (u *upload) wait() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.mu.ended {
		_ = u.control.SetReadDeadline(time.Now().Add(u.m.s.bodyTime))
	}
	return !u.mu.ended
}

// read lifts the deadline: the body is at its end.
func (u *upload) read() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.mu.sent = true
	if !u.mu.ended {
		_ = u.control.SetReadDeadline(time.Time{})
	}
}

// errEnded says that the server has ended the stream; why, receive learns.
var errEnded = errors.New("the server ended the stream")

// send sends the body in pieces.
func (u *upload) send(body io.Reader) error {
	data := u.m.in.Descriptor().Fields().ByName(fileField)
	for m, begun := u.first, false; ; m, begun = u.m.in.New(), true {
		piece := make([]byte, filePiece) // of its own each time: gRPC may still hold the last one
		if !u.wait() {
			return errEnded
		}
		n, err := fill(body, piece)
		end := errors.Is(err, io.EOF)
		switch {
		case err != nil && !end:
			return u.broken(err)
		case n == 0 && !begun:
			return errs.New(errs.Invalid, "the request has no body; send the file as it is")
		}
		if end {
			u.read()
		}
		m.Set(data, protoreflect.ValueOfBytes(piece[:n]))
		if n > 0 && u.stream.SendMsg(m.Interface()) != nil {
			return errEnded
		}
		if end {
			return u.stream.CloseSend()
		}
	}
}

// broken says why the body cannot be read.
func (u *upload) broken(err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.mu.ended:
		return errEnded
	case errors.Is(err, os.ErrDeadlineExceeded):
		slow := errs.New(errs.Unavailable, "the next %d octets of the body did not arrive within %s", filePiece,
			u.m.s.bodyTime)
		return &runtime.HTTPStatusError{HTTPStatus: http.StatusRequestTimeout, Err: slow}
	}
	return errs.New(errs.Invalid, "the body ended before its end: %v", err)
}

// fill reads until the piece is full; its error is io.EOF at the end of the body alone.
func fill(r io.Reader, piece []byte) (n int, err error) {
	for n < len(piece) && err == nil {
		var k int
		k, err = r.Read(piece[n:])
		n += k
	}
	return n, err
}
