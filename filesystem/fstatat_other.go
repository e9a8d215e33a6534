//go:build linux && !amd64 && !arm64

package filesystem

import "golang.org/x/sys/unix"

// fstatat describes an entry of an open directory without following a symlink.
func fstatat(dir int, name string, st *unix.Stat_t) error {
	return unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW)
}
