package api

import "google.golang.org/grpc"

// GRPC is the server's own gRPC server.
func GRPC(s *Server) *grpc.Server { return s.grpc }
