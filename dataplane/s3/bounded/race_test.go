//go:build race

package bounded

// race: memory is several times as much, so that the server is built without.
const race = true
