//go:build !linux

package filesystem

// dirWatch is not used on this system: the index looks at every file.
type dirWatch struct{}

func newDirWatch() *dirWatch  { return nil }
func (*dirWatch) close()      {}
func (*dirWatch) count() int  { return 0 }
func (*dirWatch) update()     {}
func (*dirWatch) drop(string) {}
