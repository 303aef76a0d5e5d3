package api

import (
	"context"
	"crypto/subtle"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// Invoke calls a unary method by its full name with a marshalled request, as the end
// user of a credential: the way in which an edge's Submit reaches the API. It goes through
// the same door as any other request, which accepts proofs of S3 requests from here alone.
func (s *Server) Invoke(ctx context.Context, method, token, organization, from string, req []byte) ([]byte, error) {
	md := metadata.Pairs("authorization", "Bearer "+token, "x-forwarded-for", from, headerSubmit, s.secret)
	if organization != "" {
		md.Set(headerOrganization, organization)
	}
	var resp []byte
	err := s.conn.Invoke(metadata.NewOutgoingContext(ctx, md), method, req, &resp, grpc.ForceCodecV2(bytesCodec{}))
	if err != nil {
		return nil, fromStatus(err)
	}
	return resp, nil
}

// submitted reports whether a call came by Invoke.
func (s *Server) submitted(ctx context.Context, md metadata.MD) bool {
	p, ok := peer.FromContext(ctx)
	return ok && inProcess(p.Addr) && subtle.ConstantTimeCompare([]byte(first(md, headerSubmit)), []byte(s.secret)) == 1
}

// fromStatus is the reverse of toStatus, as far as a customer's text and kind go.
func fromStatus(err error) error {
	st := status.Convert(err)
	for k := errs.Internal; k <= errs.Expired; k++ {
		if e := errs.New(k, "%s", st.Message()); codeOf(e) == st.Code() {
			return e
		}
	}
	return errs.New(errs.Conflict, "%s", st.Message()) // AlreadyExists, FailedPrecondition
}

// bytesCodec passes messages that are marshalled already.
type bytesCodec struct{}

var _ encoding.CodecV2 = bytesCodec{}

func (bytesCodec) Name() string { return "proto" }

func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not marshalled", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T takes no bytes", v)
	}
	*b = data.Materialize()
	return nil
}
