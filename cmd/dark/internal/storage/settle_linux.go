package storage

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// together is from how many files of a file system on they are synced by one call.
const together = 4

// syncable are the file systems whose syncfs is known to do what fsync does. Others, such as NFS
// and FUSE, may do nothing at all.
var syncable = []int64{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
	unix.TMPFS_MAGIC,
}

// syncFiles syncs files that were written, and gives each one's error. syncfs writes a whole file
// system, and costs the disk what one fsync does; since Linux 5.8 it tells of errors, and in
// older ones the files are synced one by one.
func syncFiles(files []*os.File) []error {
	errs := make([]error, len(files))
	on := map[uint64][]int{}
	for i, f := range files {
		st, err := f.Stat()
		if err != nil {
			errs[i] = err
			continue
		}
		dev := uint64(st.Sys().(*syscall.Stat_t).Dev) //nolint:unconvert // 32 bits on some platforms
		on[dev] = append(on[dev], i)
	}
	for _, same := range on {
		if len(same) < together || !tellsOfErrors() || !hasSyncfs(files[same[0]]) {
			syncEach(files, same, errs)
			continue
		}
		if err := unix.Syncfs(int(files[same[0]].Fd())); err != nil {
			for _, i := range same {
				errs[i] = &os.PathError{Op: "syncfs", Path: files[i].Name(), Err: err}
			}
		}
	}
	return errs
}

func hasSyncfs(f *os.File) bool {
	var st unix.Statfs_t
	//nolint:unconvert // 32 bits on some platforms
	return unix.Fstatfs(int(f.Fd()), &st) == nil && slices.Contains(syncable, int64(st.Type))
}

// tellsOfErrors: the kernel is of 5.8 or later, see syncfs(2).
func tellsOfErrors() bool {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return false
	}
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 5 || major == 5 && minor >= 8)
}
