//go:build unix

package filesystem

import "syscall"

// openNonblock keeps an open of a FIFO from waiting for its other end.
const openNonblock = syscall.O_NONBLOCK
