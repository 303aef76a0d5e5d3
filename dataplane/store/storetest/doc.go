// Package storetest has the disk that the store's crash tests run on: a vfs.FS in memory
// that forgets, tears and fails as disks do.
//
// What was written and not synced survives [FS.CrashClone] by chance, in sectors of 512
// octets: a sector that does not survive has its former contents, as a recycled segment's
// has. Names that were made, renamed or removed survive by chance until their directory
// is synced; a rename in one directory is whole or not at all. A failed sync loses what it
// was to make durable, even when a later one succeeds, as Linux does.
//
// Switches make single syncs lie ([FS.Lie]), so that a test can show that it bites.
//
// It stands in for pebble's vfs.NewCrashableMem because that one copies a whole file at
// each sync, crashes in blocks of 4 KiB and in the order of a map, so that a seed does not
// repeat a crash. Two FS share nothing. One lock guards all of an FS; a test's hook is
// called without it.
package storetest
