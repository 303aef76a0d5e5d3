//go:build race

package store

// Fewer, where everything takes five times as long.
const (
	usualSeeds  = 10
	usualStride = 151
)
