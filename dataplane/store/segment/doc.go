// Package segment keeps extents of sealed octets in segment files, and makes many of them
// durable with one sync.
//
// # The format
//
// A segment is a file NNNNNNNN.seg of a fixed size. Its first 4 KiB hold the file header
// twice, at 0 and at 2048 (little endian):
//
//	magic "DARKSEG1" | format u32 | number u32 | generation u64 | size u64 |
//	flags u32 | zero u32 | XXH64 of what stands before
//
// Extents follow, each from a multiple of 4 KiB on: a header of 96 octets, the sealed
// octets, zeros up to the next multiple.
//
//	magic "DARKEXT1" | format u32 | number u32 | generation u64 | id [16] |
//	writer u64 | sequence u64 | clear u64 | sealed u64 | hash u64 | zero u64 |
//	XXH64 of what stands before
//
// The generation rises, synced, before a segment is used again, so that an extent counts
// only where its header has the file's generation and its hash is right: what was there
// before is never taken for new, and a torn extent is none. A new file's first generation
// is random, so that a number may come back. Of two file headers the greater generation
// counts: a segment is given a new one only when nothing in it is needed.
//
// Overwriting blocks that were written once syncs about twice as fast as giving a file new
// ones, so segments are recycled, and new ones filled with zeros before their first use.
//
// # Who owns what
//
// Files.mu guards which segment is in which state and which room of it is taken. A
// Writer owns the room it reserved, and is used by one goroutine. A sync round belongs to
// its segment. Pins are counted without a lock; a segment with one is not recycled. One
// goroutine, which Close waits for, recycles and fills.
//
// Where an extent lies (its Ref) is for the caller to keep; Walk finds all of them again.
package segment
