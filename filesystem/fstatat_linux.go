//go:build linux && (amd64 || arm64)

package filesystem

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// fstatat describes an entry of an open directory without following a symlink.
// It is unix.Fstatat without an allocation for each name, which an index saves
// once for every file of its tree in every search.
func fstatat(dir int, name string, st *unix.Stat_t) error {
	var path [256]byte // ends in a NUL byte
	if copy(path[:len(path)-1], name) < len(name) {
		return unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW)
	}
	_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, uintptr(dir), uintptr(unsafe.Pointer(&path[0])), uintptr(unsafe.Pointer(st)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
