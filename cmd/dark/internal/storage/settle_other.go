//go:build !linux

package storage

import "os"

// syncFiles syncs files that were written, and gives each one's error.
func syncFiles(files []*os.File) []error {
	errs := make([]error, len(files))
	all := make([]int, len(files))
	for i := range all {
		all[i] = i
	}
	syncEach(files, all, errs)
	return errs
}
