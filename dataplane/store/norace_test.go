//go:build !race

package store

const (
	usualSeeds  = 200
	usualStride = 3
)
