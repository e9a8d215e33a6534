//go:build darwin || freebsd || linux

package natsqueue

import (
	"math"
	"syscall"
)

// diskFree returns the bytes that are free where a folder is.
func diskFree(dir string) int64 {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return math.MaxInt64 // writing will tell
	}
	return int64(uint64(fs.Bavail) * uint64(fs.Bsize))
}

// storeLimit is what an embedded server may store. It keeps to no more than what
// was free when it started otherwise, also when there is more later.
const storeLimit = 1 << 60
