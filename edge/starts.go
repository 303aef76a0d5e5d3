package edge

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/internal/keyring"
)

// fileStarts counts the starts of the edge, for those who watch it: a number, in ASCII.
const fileStarts = "starts"

// countStart returns how often the edge was started, this time included. A file that cannot be
// read or written, as on a full disk, costs the count and nothing else.
func countStart(dir string) uint64 {
	path := filepath.Join(dir, fileStarts)
	b, _ := os.ReadFile(path)
	n, _ := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	n++
	_ = keyring.WriteFile(path, []byte(strconv.FormatUint(n, 10)+"\n"), 0o600)
	return n
}
