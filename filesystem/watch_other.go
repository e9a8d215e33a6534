//go:build !linux

package filesystem

func (l *Local) watchBase() (base string, release func(), err error) {
	return l.dir, func() {}, nil
}
