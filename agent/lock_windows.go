package agent

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile locks an open file until it is closed, waiting for others. Locks
// keep others from reading and writing here, so it is a byte far behind the
// data that is locked.
func lockFile(f *os.File, exclusive bool) error {
	var flags uint32
	if exclusive {
		flags = windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}

// syncDirectory does nothing: the file system keeps a journal of names.
func syncDirectory(*os.Root) error { return nil }
