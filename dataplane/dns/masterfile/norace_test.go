//go:build !race

package masterfile

const raceEnabled = false
