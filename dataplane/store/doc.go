// Package store is what an edge keeps for its users: sealed bodies in recycled segments,
// ordered rows in Pebble that name them, and one log of commands that makes both change
// together. S3, mail and the rest are services on it.
//
// # The way of a body
//
//	Space.Write → seal chunks → segment (or, small, the command) → shared sync
//	            → Space.Commit → log → Apply (judge, then change rows) → acknowledged
//
// A body becomes visible with the row that names it and in no other way: there is no
// rename and no half-written object. Nothing is acknowledged before it is synced.
//
// # Who owns what
//
// Apply runs one command at a time under the store's lock and is the only writer of
// replicated rows; it reads no clock, no randomness, no key and no segment, so that three
// stores that apply the same commands hold the same rows. Where extents lie is the
// member's own and can be rebuilt from their headers. Readers see a Pebble snapshot and
// pin the segments that they read.
//
// A service needs seven methods, all of them of Space: Write, Adopt, Commit, Get, Scan,
// Read and Usage.
package store
