package filesystem

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// dirWatch tells whether files of a directory were changed since somebody
// looked. Whoever looks gets an epoch; when the system reports a change, the
// directory gets another one. The system queues what changes, in order and
// before the program that made the change goes on, so reading the queue before
// a search is enough and no goroutine is needed.
type dirWatch struct {
	cleanup runtime.Cleanup

	mu     sync.Mutex
	fd     int // -1 when closed
	dirs   map[string]*watchedDir
	byWD   map[int32]string
	latest uint64 // epoch that was handed out last
	full   bool   // the system allows no more watches
	buf    []byte
}

type watchedDir struct {
	wd         int32
	dev, inode uint64
	epoch      uint64
}

const watchMask = unix.IN_MODIFY | unix.IN_ATTRIB | unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE |
	unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// newDirWatch returns nil when the system has no more room for watches.
func newDirWatch() *dirWatch {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	w := &dirWatch{fd: fd, dirs: make(map[string]*watchedDir), byWD: make(map[int32]string), buf: make([]byte, 64<<10)}
	// A tree that is not selected any more is closed by nobody.
	w.cleanup = runtime.AddCleanup(w, closeFD, fd)
	return w
}

func (w *dirWatch) close() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fd >= 0 {
		w.cleanup.Stop()
		unix.Close(w.fd)
		w.fd = -1
	}
}

func (w *dirWatch) count() int {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.dirs)
}

// update takes in what has changed.
func (w *dirWatch) update() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.fd >= 0 {
		n, err := retry(func() (int, error) { return unix.Read(w.fd, w.buf) })
		if err != nil || n <= 0 {
			return
		}
		for data := w.buf[:n]; len(data) >= unix.SizeofInotifyEvent; {
			wd, mask := int32(binary.NativeEndian.Uint32(data)), binary.NativeEndian.Uint32(data[4:])
			data = data[min(len(data), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(data[12:]))):]
			w.see(wd, mask)
		}
	}
}

func (w *dirWatch) see(wd int32, mask uint32) {
	if mask&unix.IN_Q_OVERFLOW != 0 { // nobody knows what was missed
		for _, d := range w.dirs {
			d.epoch = w.next()
		}
		return
	}
	dir, ok := w.byWD[wd]
	if !ok {
		return
	}
	if mask&(unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 {
		delete(w.byWD, wd)
		delete(w.dirs, dir)
		return
	}
	w.dirs[dir].epoch = w.next()
}

func (w *dirWatch) next() uint64 {
	w.latest++
	return w.latest
}

// enter returns the epoch of an open directory, or 0 when it is not watched.
func (w *dirWatch) enter(dir string, fd int, dev, inode uint64) uint64 {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if d := w.dirs[dir]; d != nil && d.dev == dev && d.inode == inode {
		return d.epoch
	}
	if w.fd < 0 || w.full {
		return 0
	}
	// This names the directory that is open, whatever its path leads to by now.
	wd, err := unix.InotifyAddWatch(w.fd, fmt.Sprintf("/proc/self/fd/%d", fd), watchMask)
	if err != nil {
		w.full = err == unix.ENOSPC || err == unix.ENOMEM
		return 0
	}
	w.forget(dir)
	if old, ok := w.byWD[int32(wd)]; ok { // the directory was moved
		delete(w.dirs, old)
	}
	d := &watchedDir{wd: int32(wd), dev: dev, inode: inode, epoch: w.next()}
	w.dirs[dir], w.byWD[d.wd] = d, dir
	return d.epoch
}

// forget ends the watch of a directory.
func (w *dirWatch) forget(dir string) {
	if d := w.dirs[dir]; d != nil {
		_, _ = unix.InotifyRmWatch(w.fd, uint32(d.wd)) // it may be gone
		delete(w.byWD, d.wd)
		delete(w.dirs, dir)
		w.full = false
	}
}

// drop ends the watch of a directory that is not looked at any more.
func (w *dirWatch) drop(dir string) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(dir)
}

// watch implements watchedNode. self must have been called.
func (n *fdNode) watch(w *dirWatch, dir string) {
	n.seen = w.enter(dir, n.fd, n.dev, n.inode)
}

func (n *fdNode) epoch() uint64 { return n.seen }
