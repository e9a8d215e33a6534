package filesystem

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watching runs a watch and returns the next event on request.
func watching(t *testing.T, s *Service) (next func() WatchEvent) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	events, ready := make(chan WatchEvent, 100), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for e, err := range s.Watch(ctx, WatchOptions{Ready: func() { close(ready) }}) {
			if err == nil {
				events <- e
			}
		}
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	<-ready
	return func() WatchEvent {
		select {
		case e := <-events:
			return e
		case <-time.After(20 * time.Second):
			t.Fatal("no event came")
			return WatchEvent{}
		}
	}
}

func TestWatch(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"a": "1", "dir/b": "2", ".gitignore": "*.log\nout/\n", "out/x": ""})
	root := rootOf(s)
	next := watching(t, s)
	// Each is one event to the system, so that none comes late on a busy machine.
	write := func(name, text string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(root, name), os.O_WRONLY|os.O_CREATE, 0o644)
		require.NoError(t, err)
		if text != "" {
			_, err = f.WriteString(text)
			require.NoError(t, err)
		}
		require.NoError(t, f.Close())
	}
	write("ignored.log", "")
	write("out/y", "")
	write("a", "changed")
	assert.Equal(t, WatchEvent{"a", Modified, false}, next())
	write("dir/new", "")
	assert.Equal(t, WatchEvent{"dir/new", Created, false}, next())
	require.NoError(t, os.Remove(filepath.Join(root, "dir/b")))
	assert.Equal(t, WatchEvent{"dir/b", Deleted, false}, next())

	require.NoError(t, os.MkdirAll(filepath.Join(root, "deep/er"), 0o755))
	assert.Equal(t, WatchEvent{"deep", Created, true}, next())
	assert.Equal(t, WatchEvent{"deep/er", Created, true}, next())
	write("deep/er/file", "")
	assert.Equal(t, WatchEvent{"deep/er/file", Created, false}, next())
	require.NoError(t, os.Rename(filepath.Join(root, "deep"), filepath.Join(root, "moved")))
	assert.Equal(t, WatchEvent{"deep", Deleted, false}, next())
	assert.Equal(t, WatchEvent{"moved", Created, true}, next())
	assert.Equal(t, WatchEvent{"moved/er", Created, true}, next())
	assert.Equal(t, WatchEvent{"moved/er/file", Created, false}, next())
	write("moved/er/file", "again")
	assert.Equal(t, WatchEvent{"moved/er/file", Modified, false}, next())

	require.NoError(t, s.WriteFile(t.Context(), "a", []byte("atomic")))
	assert.Equal(t, WatchEvent{"a", Created, false}, next(), "the file beside it is not told")

	write(".gitignore", "*.txt\n\n\n\n\n\n")
	assert.Equal(t, WatchEvent{".gitignore", Modified, false}, next())
	assert.Equal(t, WatchEvent{".", Rescan, false}, next())
	write("out/y", "now watched")
	assert.Equal(t, WatchEvent{"out/y", Modified, false}, next())

	away := root + "-renamed"
	require.NoError(t, os.Rename(root, away))
	t.Cleanup(func() { os.RemoveAll(away) })
	assert.Equal(t, WatchEvent{".", Rescan, false}, next())
	root = away
	write("a", "after")
	assert.Equal(t, WatchEvent{"a", Modified, false}, next())
	write("dir/new", "after")
	assert.Equal(t, WatchEvent{"dir/new", Modified, false}, next())
}

func TestWatchLeavesOutWhatWasIgnored(t *testing.T) {
	for _, c := range []struct {
		rules string
		want  []WatchEvent
	}{
		{"out/\n", []WatchEvent{{"dir", Deleted, false}, {"f", Deleted, false}}},
		{"*\n!*/\nout/\n", []WatchEvent{{"dir", Deleted, false}}},
	} {
		s := newTestService(t, Options{}, map[string]string{".gitignore": c.rules, "out/x": "", "f": "", "dir/": "", "z/": ""})
		next := watching(t, s)
		for _, name := range []string{"out", "f", "dir", "z"} {
			require.NoError(t, os.Rename(filepath.Join(rootOf(s), name), filepath.Join(t.TempDir(), "gone")))
		}
		var got []WatchEvent
		for e := next(); e.Path != "z"; e = next() {
			if !slices.Contains(got, e) { // the system tells of a moved directory twice
				got = append(got, e)
			}
		}
		assert.ElementsMatch(t, c.want, got)
	}
}

func TestTrackMarksWhatOthersChange(t *testing.T) {
	marked := make(chan string, 10)
	s := newTestService(t, Options{Trace: Trace{Wrote: func(_ context.Context, path string, _ uint64) { marked <- path }}}, map[string]string{"a": "1", "b": "2"})
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		assert.ErrorIs(t, s.Track(ctx, WatchOptions{Debounce: 10 * time.Millisecond, Ready: func() { close(ready) }}), context.Canceled)
	})
	<-ready
	require.NoError(t, s.WriteFile(ctx, "a", []byte("own")))
	assert.Equal(t, "a", <-marked)
	s.MarkClean(s.WriteGeneration())
	require.NoError(t, os.WriteFile(filepath.Join(rootOf(s), "b"), []byte("other"), 0o644))
	assert.Equal(t, "b", <-marked, "the own write is not marked again")
	assert.Equal(t, []string{"b"}, s.Changed())
	cancel()
	group.Wait()
}

func TestTrackMarksAgainWhatChangesAgain(t *testing.T) {
	marked := make(chan string, 10)
	s := newTestService(t, Options{Trace: Trace{Wrote: func(_ context.Context, path string, _ uint64) { marked <- path }}}, map[string]string{"a": "1"})
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		assert.ErrorIs(t, s.Track(ctx, WatchOptions{Debounce: 10 * time.Millisecond, Ready: func() { close(ready) }}), context.Canceled)
	})
	defer func() { cancel(); group.Wait() }()
	<-ready
	dir, rules, elsewhere := filepath.Join(rootOf(s), "dir"), filepath.Join(rootOf(s), gitIgnoreName), filepath.Join(t.TempDir(), "new")
	for range 3 {
		require.NoError(t, os.Mkdir(dir, 0o755))
		assert.Equal(t, "dir", <-marked)
		require.NoError(t, os.Remove(dir))
		assert.Equal(t, "dir", <-marked)
		require.NoError(t, os.WriteFile(elsewhere, nil, 0o644))
		require.NoError(t, os.Rename(elsewhere, rules))
		assert.Equal(t, gitIgnoreName, <-marked)
		assert.Equal(t, ".", <-marked, "what the new rules concern")
	}
}

// A directory for which the system has no more room ends the watch, which else
// would miss what changes in there.
func TestWatchSaysWhenItCannotWatch(t *testing.T) {
	s := newTestService(t, Options{}, map[string]string{"a/b/f": ""})
	local := s.Provider().(*Local)
	for _, c := range []struct {
		err  error
		ends bool
	}{{syscall.ENOSPC, true}, {syscall.EACCES, false}, {syscall.ENOENT, false}} {
		w, err := newWatch(t.Context(), s.tree(), local, WatchOptions{})
		require.NoError(t, err)
		w.addPath = func(path string) error {
			if filepath.Base(path) == "b" {
				return &fs.PathError{Op: "add", Path: path, Err: c.err}
			}
			return nil
		}
		err = w.add(".")
		w.enter("a")
		if c.ends {
			assert.ErrorContains(t, err, "directory a/b: the system watches no more directories")
			assert.ErrorIs(t, w.failed, c.err)
		} else {
			assert.NoError(t, err)
			assert.NoError(t, w.failed)
		}
		w.close()
	}
}

// When more happens than the system remembers, the watch says so and goes on.
func TestWatchSaysWhenItMissedChanges(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Skip("the system does not say how many events it remembers")
	}
	queued, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	require.NoError(t, err)
	s := newTestService(t, Options{}, map[string]string{"a": "", "b": ""})
	root := rootOf(s)
	ctx, cancel := context.WithCancel(t.Context())
	events, ready, blocked, release := make(chan WatchEvent, 1000), make(chan struct{}), make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		first := true
		for e, err := range s.Watch(ctx, WatchOptions{Debounce: time.Millisecond, Ready: func() { close(ready) }}) {
			if err != nil {
				continue
			}
			if first { // whoever reads does not get to it for a while
				first = false
				close(blocked)
				<-release
			}
			events <- e
		}
	})
	defer func() { cancel(); group.Wait() }()
	<-ready
	require.NoError(t, os.WriteFile(filepath.Join(root, "a"), []byte("x"), 0o644))
	<-blocked
	// Events of two files in turn are not merged by the system.
	for range queued {
		for _, name := range []string{"a", "b"} {
			require.NoError(t, os.Chmod(filepath.Join(root, name), 0o600))
		}
	}
	close(release)
	for e := range events {
		if e.Kind == Rescan {
			assert.Equal(t, ".", e.Path)
			break
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(root, "later"), nil, 0o644))
	for e := range events {
		if e.Path == "later" {
			assert.Equal(t, Created, e.Kind)
			break
		}
	}
}

func TestWatchNeedsALocalTree(t *testing.T) {
	m, err := NewMemory(nil)
	require.NoError(t, err)
	s := newTestService(t, Options{Provider: m}, nil)
	for _, err := range s.Watch(t.Context(), WatchOptions{}) {
		assert.ErrorIs(t, err, ErrNoWatch)
	}
}
