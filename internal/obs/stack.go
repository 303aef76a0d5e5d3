package obs

import (
	"fmt"
	"runtime"
	"strings"
)

const (
	module  = "github.com/dark-ecosystem/dark/"
	maxOwn  = 6  // frames that Stack names
	maxDeep = 64 // frames that it looks at
)

// Stack names the innermost frames of this program's own code, the innermost first: where a panic
// came from, in one short line. It is called by the function that recovers.
func Stack() string {
	var pcs [maxDeep]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	var own []string
	for len(own) < maxOwn {
		f, more := frames.Next()
		if name, ok := strings.CutPrefix(f.Function, module); ok {
			own = append(own, fmt.Sprintf("%s:%d", name, f.Line))
		}
		if !more {
			break
		}
	}
	return strings.Join(own, " < ")
}
