// Package api is the door of the control plane: gRPC and REST/JSON for every kind on
// one port, written once over kind.Kind. It authenticates, asks in one place whether
// the caller may (need.go), validates, lets controlplane/admit make a transaction of
// the request, and maps errors to codes in one place (errors.go).
//
// Kinds come as a list of Registration; the standard methods of each are made by
// reflection from its service descriptor, so that a new kind needs no code here.
//
// A request is let in by its headers, before its body or message is read (door.go for
// gRPC, strict.go for REST), and takes its place in a lane (lane.go), which bounds what a
// key, an organization and all of them have at work at a time. REST ignores nothing: what a
// method does not take is refused. A stream ends within five seconds of what allowed it
// (stream.go).
//
// Errors follow AIP-193 (google.rpc.Status with ErrorInfo, BadRequest, RetryInfo),
// entity tags RFC 9110 13.1.1 in spirit, JSON the protobuf mapping.
//
// A Server is immutable after New but for its counters and lanes, each of which guards
// itself.
package api
