//go:build !race

package store

const (
	usualSeeds = 200
	usualFlips = 40 // of each file
)
