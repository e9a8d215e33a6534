package filesystem

import "fmt"

// watchBase returns a path that leads to the root even after it was renamed, for
// as long as release was not called.
func (l *Local) watchBase() (base string, release func(), err error) {
	f, err := l.root.Open(".")
	if err != nil {
		return "", nil, l.explain("open", ".", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd()), func() { f.Close() }, nil
}
