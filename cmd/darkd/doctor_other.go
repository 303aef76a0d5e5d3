//go:build !linux

package main

import (
	"errors"
	"runtime"
)

func holder(string, string, string) (held, error) {
	return held{}, errors.New("not to be found out on " + runtime.GOOS)
}

func synchronised() finding {
	return warn("clock", "see that an NTP client runs", "whether the clock is synchronised is not looked at on %s",
		runtime.GOOS)
}

func kernel() []finding {
	return []finding{warn("kernel", "run nodes that others depend on under Linux", "%s is for development only",
		runtime.GOOS)}
}
