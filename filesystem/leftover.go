package filesystem

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A file is written beside its target and then renamed. When the process dies in
// between, the half-written file stays behind; its name says which process it
// belonged to, so that a later one can tell that nobody needs it.
const (
	tempPrefix = ".tokenring-"
	tempSuffix = ".tmp"
)

// lifeToken tells this process from an earlier one with the same process ID, as
// is common in containers.
var lifeToken = sync.OnceValue(func() string { return rand.Text()[:8] })

// tempName returns a name for a file that is being written to dir.
func tempName(dir string) string {
	return join(dir, tempPrefix+strconv.Itoa(os.Getpid())+"-"+lifeToken()+"-"+rand.Text()+tempSuffix)
}

// abandoned reports whether name is that of a half-written file whose process
// has ended.
func abandoned(name string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	if !ok {
		return false
	}
	if rest, ok = strings.CutSuffix(rest, tempSuffix); !ok {
		return false
	}
	parts := strings.Split(rest, "-")
	if len(parts) != 3 {
		return false
	}
	pid, err := strconv.Atoi(parts[0])
	if err != nil || pid <= 0 {
		return false
	}
	if pid == os.Getpid() {
		return parts[1] != lifeToken()
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return true // Windows: there is no such process
	}
	defer process.Release()
	return errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}

// maxWriting is for how long a file of another process may be in the making: that
// there is no such process proves nothing where containers share a directory.
const maxWriting = 5 * time.Minute

// maxCleared bounds the directories that are remembered.
const maxCleared = 1 << 12

// leftovers remembers the directories that were cleared of half-written files.
type leftovers struct {
	mu      sync.Mutex
	cleared map[string]bool
}

// clear removes the abandoned files of a directory, the first time that this
// process writes there, as far as it remembers. What cannot be removed stays: it is nobody's loss.
func (c *leftovers) clear(root *os.Root, dir string) {
	c.mu.Lock()
	done := c.cleared[dir]
	if !done {
		if c.cleared == nil || len(c.cleared) == maxCleared {
			c.cleared = map[string]bool{}
		}
		c.cleared[dir] = true
	}
	c.mu.Unlock()
	if done {
		return
	}
	entries, err := fs.ReadDir(root.FS(), path.Clean(dir))
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !abandoned(entry.Name()) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > maxWriting {
			_ = root.Remove(join(dir, entry.Name()))
		}
	}
}
