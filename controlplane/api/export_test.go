package api

import "google.golang.org/grpc"

// GRPC is the server's own gRPC server.
func GRPC(s *Server) *grpc.Server { return s.grpc }

// PageToken makes a page token.
func PageToken(key []byte, list string, revision uint64, after string) string {
	return pager{key}.token(list, revision, after)
}

// ReadPageToken reads one.
func ReadPageToken(key []byte, list, token string) (uint64, string, error) {
	return pager{key}.read(list, token)
}

// Readers and writers of documents.
var (
	ReadDocument  = resource
	WriteDocument = document
)
