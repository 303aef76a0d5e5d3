//go:build race

package store

// Fewer, where everything takes five times as long.
const (
	usualSeeds = 10
	usualFlips = 4 // of each file
)
