package api

import (
	"time"

	"google.golang.org/grpc"
)

// Hasten makes what a server waits for short.
func Hasten(s *Server, body, recheck time.Duration) { s.bodyTime, s.recheck = body, recheck }

// Bound sets what lists may have at a time, by key, organization and in all, and waiting.
func Bound(s *Server, key, organization, all, waiting int) {
	s.lanes.lists = newLane("lists", bounds{key, organization, all}, bounds{waiting, waiting, waiting})
}

// Held is how many octets of requests are held.
func Held(s *Server) int {
	s.lanes.requests.mu.Lock()
	defer s.lanes.requests.mu.Unlock()
	return s.lanes.requests.mu.held.all
}

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
