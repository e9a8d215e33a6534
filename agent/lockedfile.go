package agent

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// openLocked opens a file for writing, makes it if flag is os.O_CREATE, and
// locks it against other processes until it is closed. Whoever waited for the
// lock may hold a file that was replaced or removed meanwhile, and opens again.
//
// Files are opened through an [os.Root] because on Windows only that lets a file
// be replaced and removed while somebody has it open, as it is on Unix.
func openLocked(dir *os.Root, name string, flag int) (*os.File, error) {
	for {
		f, err := dir.OpenFile(name, os.O_RDWR|flag, 0o600)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f, true); err != nil {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		if same(dir, f, name) {
			return f, nil
		}
		f.Close()
	}
}

// readShared reads a file whole while nobody writes it.
func readShared(dir *os.Root, name string) ([]byte, error) {
	for {
		f, err := dir.Open(name)
		if err != nil {
			return nil, err
		}
		if err := lockFile(f, false); err != nil {
			f.Close()
			return nil, &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		if !same(dir, f, name) {
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
		return data, errors.Join(err, f.Close())
	}
}

func same(dir *os.Root, f *os.File, name string) bool {
	mine, err1 := f.Stat()
	now, err2 := dir.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(mine, now)
}
