//go:build unix

package agent

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openLocked opens path for writing, makes it if need be, and locks it against
// other processes until it is closed. Whoever waited for the lock may hold a
// file that was replaced or removed meanwhile, and opens again.
func openLocked(path string) (f *os.File, fresh bool, err error) {
	for {
		f, err = os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			fresh = true
			if errors.Is(err, fs.ErrExist) {
				continue
			}
		}
		if err != nil {
			return nil, false, err
		}
		if err := lockFile(f, unix.LOCK_EX); err != nil {
			f.Close()
			return nil, false, err
		}
		if same(f, path) {
			return f, fresh, nil
		}
		f.Close()
	}
}

// readShared reads a file whole while nobody writes it.
func readShared(path string) ([]byte, error) {
	for {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f, unix.LOCK_SH); err != nil {
			f.Close()
			return nil, err
		}
		if !same(f, path) {
			f.Close()
			continue
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		data := make([]byte, info.Size())
		_, err = io.ReadFull(f, data)
		f.Close()
		return data, err
	}
}

func lockFile(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

func same(f *os.File, path string) bool {
	mine, err1 := f.Stat()
	now, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(mine, now)
}

// replaceFile moves an open, written file to path.
func replaceFile(f *os.File, path string) error { return os.Rename(f.Name(), path) }

func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
