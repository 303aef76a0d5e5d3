package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"

	clustergw "github.com/dark-ecosystem/dark/proto/dark/cluster/v1/gw"
	resourcegw "github.com/dark-ecosystem/dark/proto/dark/resource/v1/gw"
)

// startGateway connects REST to the gRPC server of this process, so that a request
// goes the same way however it came in.
func (s *Server) startGateway() error {
	s.loop = bufconn.Listen(256 << 10)
	go func() { s.looped <- s.grpc.Serve(s.loop) }()
	var err error
	s.conn, err = grpc.NewClient("passthrough:///api", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return s.loop.DialContext(ctx)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(MaxRequest)))
	if err != nil {
		return fmt.Errorf("connect the gateway: %w", err)
	}
	s.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{
			MarshalOptions:   protojson.MarshalOptions{},
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: false},
		}}),
		runtime.WithUnescapingMode(runtime.UnescapingModeAllExceptSlash),
		runtime.WithIncomingHeaderMatcher(incoming),
		runtime.WithOutgoingHeaderMatcher(outgoing),
		runtime.WithErrorHandler(httpError),
		runtime.WithStreamErrorHandler(streamError),
		runtime.WithMetadata(s.localMetadata),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithMiddlewares(s.strict),
		runtime.WithRoutingErrorHandler(s.routingError),
	)
	register := []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		resourcegw.RegisterResourceServiceHandler, clustergw.RegisterClusterServiceHandler,
	}
	for _, r := range s.o.Kinds {
		if r.Gateway != nil {
			register = append(register, r.Gateway)
		}
	}
	for _, f := range register {
		if err := f(context.Background(), s.mux, s.conn); err != nil {
			return fmt.Errorf("register the gateway: %w", err)
		}
	}
	if err := s.serveFiles(); err != nil {
		return err
	}
	return errors.Join(s.routes.add("dark.resource.v1.ResourceService"), s.routes.add("dark.cluster.v1.ClusterService"))
}

// incoming lets through the headers that mean something to the API, and no others: a
// client must not be able to speak as the gateway.
func incoming(key string) (string, bool) {
	switch textproto.CanonicalMIMEHeaderKey(key) {
	case "X-Request-Id", "Dark-Organization":
		return strings.ToLower(key), true
	}
	return "", false
}

func outgoing(key string) (string, bool) { return "X-Request-Id", key == headerRequestID }

// httpError writes an error as google.rpc.Status in JSON.
func httpError(ctx context.Context, mux *runtime.ServeMux, m runtime.Marshaler, w http.ResponseWriter, r *http.Request,
	err error,
) {
	var routing *runtime.HTTPStatusError
	code := 0
	if errors.As(err, &routing) {
		code, err = routing.HTTPStatus, routing.Err
	}
	err = nameUnknownField(err)
	if code == 0 {
		code = httpOf(status.Code(err))
	}
	for _, d := range status.Convert(err).Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(retry.GetRetryDelay().AsDuration().Seconds())))
		}
	}
	runtime.DefaultHTTPErrorHandler(ctx, mux, m, w, r, &runtime.HTTPStatusError{HTTPStatus: code, Err: err})
}

func streamError(_ context.Context, err error) *status.Status {
	return status.Convert(nameUnknownField(err))
}

// localMetadata marks a request of the break-glass socket for the gRPC side.
func (s *Server) localMetadata(_ context.Context, r *http.Request) metadata.MD {
	if uid, ok := socketUID(r.Context()); ok {
		return metadata.Pairs(headerLocal, s.secret+" "+uid)
	}
	return nil
}

// Close ends the gateway's connection and every stream.
func (s *Server) Close() error {
	s.close()
	err := s.conn.Close()
	s.grpc.Stop()
	s.streams.Wait()
	if serr := <-s.looped; serr != nil && !errors.Is(serr, grpc.ErrServerStopped) {
		err = errors.Join(err, serr)
	}
	return errors.Join(err, s.loop.Close())
}

var _ net.Listener = (*bufconn.Listener)(nil)
