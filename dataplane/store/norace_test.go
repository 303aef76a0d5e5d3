//go:build !race

package store

const usualSeeds = 200
