//go:build !race

package bounded

const race = false
