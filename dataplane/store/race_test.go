//go:build race

package store

// usualSeeds is fewer where everything takes five times as long.
const usualSeeds = 40
