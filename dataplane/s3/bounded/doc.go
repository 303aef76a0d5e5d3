// Package bounded holds no code, only the test that clients which stall, lie, or send too
// much cost the S3 endpoint no more memory than it was given, and leave nothing behind: the
// server is a process of its own, whose greatest resident size the kernel tells.
//
// The package holds no state.
package bounded
