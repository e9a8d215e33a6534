//go:build !unix

package agent

import (
	"os"
)

// Without advisory locks one directory belongs to one process.

func openLocked(path string) (f *os.File, fresh bool, err error) {
	_, statErr := os.Stat(path)
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	return f, os.IsNotExist(statErr), err
}

func readShared(path string) ([]byte, error) { return os.ReadFile(path) }

// replaceFile moves a written file to path.
func replaceFile(f *os.File, path string) error { return os.Rename(f.Name(), path) }

// syncDirectory does nothing: only Unix has it.
func syncDirectory(string) error { return nil }
