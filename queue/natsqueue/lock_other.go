//go:build !unix

package natsqueue

import "os"

// lockFile opens the file; here, the caller must see to it that one process at a
// time uses the folder.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}
