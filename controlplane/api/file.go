package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// File says how a streaming method is reached by REST: the file that it takes or gives in
// pieces, in the field "data", is the body of the request or of the answer as it is.
type File struct {
	Verb  string // stands after a colon: POST /v1/zones/NAME:import
	Media string // type of the body, such as text/dns (RFC 4027)
}

// filePiece is how much of a file goes in one message.
const filePiece = 256 << 10

const fileField = "data"

// fileMethod is a method that is reached so.
type fileMethod struct {
	s        *Server
	x        Extra
	rt       *route
	upload   bool
	in, out  protoreflect.MessageType
	metadata func(context.Context, *http.Request) (context.Context, error)
}

// serveFiles registers the methods of files with the gateway.
func (s *Server) serveFiles() error {
	for _, x := range s.o.Extras {
		if x.File == nil {
			continue
		}
		m, err := s.fileMethod(x)
		if err != nil {
			return fmt.Errorf("api: %s of %s: %w", x.Name, x.Service, err)
		}
		s.routes[m.rt.method+" "+m.rt.template] = m.rt
		if err := s.mux.HandlePath(m.rt.method, m.rt.template, m.serve); err != nil {
			return fmt.Errorf("api: %s of %s: %w", x.Name, x.Service, err)
		}
	}
	return nil
}

func (s *Server) fileMethod(x Extra) (*fileMethod, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(x.Service.Append(protoreflect.Name(x.Name)))
	if err != nil {
		return nil, err
	}
	md := d.(protoreflect.MethodDescriptor)
	m := &fileMethod{s: s, x: x, upload: md.IsStreamingClient()}
	if m.in, err = protoregistry.GlobalTypes.FindMessageByName(md.Input().FullName()); err != nil {
		return nil, err
	}
	if m.out, err = protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName()); err != nil {
		return nil, err
	}
	m.rt = fileRoute(x, md)
	m.metadata = func(ctx context.Context, r *http.Request) (context.Context, error) {
		return runtime.AnnotateContext(ctx, s.mux, r, m.rt.full, runtime.WithHTTPPathPattern(m.rt.template))
	}
	return m, nil
}

// serve is called by way of Server.strict, which has found out who calls and has refused
// what the method does not take.
func (m *fileMethod) serve(w http.ResponseWriter, r *http.Request, params map[string]string) {
	err := m.call(w, r, params)
	if err == nil {
		return
	}
	var own *errs.Error
	if errors.As(err, &own) { // not from the stream, which has counted and logged its errors
		m.s.refuse(w, r, m.rt.full, err)
		return
	}
	_, out := runtime.MarshalerForRequest(m.s.mux, r)
	httpError(r.Context(), m.s.mux, out, w, r, err)
}

func (m *fileMethod) call(w http.ResponseWriter, r *http.Request, params map[string]string) error {
	first := m.in.New()
	if err := m.fill(first, r, params); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	ctx, err := m.metadata(ctx, r)
	if err != nil {
		return err
	}
	stream, err := m.s.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: m.upload, ServerStreams: true}, m.rt.full)
	if err != nil {
		return err
	}
	if m.upload {
		return m.take(w, r, &upload{m: m, stream: stream, first: first, control: http.NewResponseController(w)}, cancel)
	}
	if err := errors.Join(stream.SendMsg(first.Interface()), stream.CloseSend()); err != nil {
		return err
	}
	return m.give(w, stream)
}

// fill sets the fields of the query and the name of the path.
func (m *fileMethod) fill(first protoreflect.Message, r *http.Request, params map[string]string) error {
	if err := runtime.PopulateQueryParameters(first.Interface(), r.URL.Query(),
		utilities.NewDoubleArray(nil)); err != nil {
		return errs.New(errs.Invalid, "the query cannot be read: %v", err)
	}
	return runtime.PopulateFieldFromPath(first.Interface(), "name", params["name"])
}

// checkMedia refuses another type than the method takes: a form that a client sent by
// default may have lost its line ends.
func (m *File) checkMedia(header string) error {
	if media, _, err := mime.ParseMediaType(header); err != nil || media != m.Media {
		return &runtime.HTTPStatusError{HTTPStatus: http.StatusUnsupportedMediaType, Err: errs.Bad(errs.Field{
			Name: "Content-Type", Text: fmt.Sprintf("is %q; this method takes a file with Content-Type: %s", header,
				m.Media),
		})}
	}
	return nil
}

// give writes a file. What goes wrong after its beginning ends the connection: the client
// must not take half of it for the whole.
func (m *fileMethod) give(w http.ResponseWriter, stream grpc.ClientStream) error {
	data := m.out.Descriptor().Fields().ByName(fileField)
	for begun := false; ; begun = true {
		piece := m.out.New()
		err := stream.RecvMsg(piece.Interface())
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && begun:
			panic(http.ErrAbortHandler)
		case err != nil:
			return err
		}
		if !begun {
			w.Header().Set("Content-Type", m.x.File.Media)
		}
		if _, err := w.Write(piece.Get(data).Bytes()); err != nil {
			panic(http.ErrAbortHandler) // the client went away
		}
	}
}

// fileRoute is the endpoint of a method of files.
func fileRoute(x Extra, md protoreflect.MethodDescriptor) *route {
	glob := variable.ReplaceAllString(x.Kind.Pattern, "*")
	rule := &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: "/v1/{name=" + glob + "}:" + x.File.Verb}}
	if md.IsStreamingClient() {
		rule = &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: rule.GetGet()}, Body: fileField}
	}
	rt := newRoute(md, rule)
	rt.file = x.File
	return rt
}
