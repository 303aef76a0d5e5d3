//go:build race

package masterfile

const raceEnabled = true
