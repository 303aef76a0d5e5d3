package command

import (
	"os"

	"golang.org/x/sys/windows"
)

// isTerminal tells whether w is a console that understands colours.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	var mode uint32
	if windows.GetConsoleMode(windows.Handle(f.Fd()), &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(windows.Handle(f.Fd()), mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// columns is how many characters a line of the terminal has; 0 where that is not known.
func columns(w any) int {
	f, ok := w.(*os.File)
	var info windows.ConsoleScreenBufferInfo
	if !ok || windows.GetConsoleScreenBufferInfo(windows.Handle(f.Fd()), &info) != nil {
		return 0
	}
	return int(info.Window.Right-info.Window.Left) + 1
}
