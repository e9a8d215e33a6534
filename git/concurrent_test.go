package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Several services and plain git work on one repository at once; every commit
// is there in the end, with the file it was for, and nothing else.
func TestConcurrentCommits(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	var wg sync.WaitGroup
	const each = 6
	for w := range 3 {
		s, err := Open(t.Context(), r.dir, testOptions())
		require.NoError(t, err)
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("w%d-%d.txt", w, i)
				assert.NoError(t, os.WriteFile(r.path(name), []byte(name), 0o666))
				c, err := s.Commit(t.Context(), CommitOptions{Message: name, Paths: []string{name}})
				if assert.NoError(t, err) {
					assert.Len(t, c.Files, 1)
				}
				_, err = s.Snapshot(t.Context(), name)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, fmt.Sprint(3*each+1), r.run("rev-list", "--count", "HEAD"))
	assert.Empty(t, r.status())
	r.run("fsck", "--strict")
	r.noScratchLeft()
}

func TestCancelStopsHooks(t *testing.T) {
	t.Parallel()
	r := withCommit(t)
	ready := r.path(".git/ready")
	r.hook("pre-commit", "touch "+ready+"; sleep 300")
	r.file("a.txt", "x\n")
	r.file("new.txt", "x\n")
	before := r.status()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the person left")
	go whenThere(ready, func() { cancel(why) })
	_, err := r.Commit(ctx, CommitOptions{Message: "m"})
	require.ErrorIs(t, err, why)
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, before, r.status())
	r.noScratchLeft()
}

// Who gives up when the commit exists has committed.
func TestCancelAfterTheCommit(t *testing.T) {
	t.Parallel()
	for _, opts := range []CommitOptions{{Message: "m"}, {Message: "m", Paths: []string{"a.txt"}}, {Message: "m", Amend: true}} {
		r := withCommit(t)
		ready := r.path(".git/ready")
		r.hook("post-commit", "touch "+ready+"; sleep 300")
		r.file("a.txt", "x\n")
		ctx, cancel := context.WithCancel(t.Context())
		go whenThere(ready, cancel)
		c, err := r.Commit(ctx, opts)
		require.NoError(t, err)
		assert.Equal(t, r.run("rev-parse", "HEAD"), c.Hash)
		assert.Equal(t, "m", c.Message)
		assert.Empty(t, r.status())
		r.noScratchLeft()
	}
}

// TestMain of a child: it commits and snapshots until it is killed, and says on
// stdout what is done.
func runVictim(dir string) {
	ctx := context.Background()
	s, err := Open(ctx, dir, testOptions())
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		name := fmt.Sprintf("agent-%d-%d.txt", os.Getpid(), i)
		if err := os.WriteFile(dir+"/"+name, []byte(name), 0o666); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		c, err := s.Commit(ctx, CommitOptions{Message: name, Paths: []string{name}})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("commit", c.Hash)
		snap, err := s.Snapshot(ctx, name)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("snapshot", snap.Commit)
	}
}

// A process that is killed in the middle of its work loses no commit and no
// snapshot that it has reported, and a person's staged, unstaged and untracked
// work is what it was.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	rounds := 6
	if os.Getenv("TOKENRING_LONG") != "" {
		rounds = 200
	}
	r := withCommit(t)
	r.file("a.txt", "staged\n")
	r.run("add", "a.txt")
	r.file("a.txt", "unstaged\n")
	r.file("untracked.txt", "untracked\n")
	staged := r.run("diff", "--cached")
	for round := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "TOKENRING_GIT_VICTIM="+r.dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		// Every process that the victim starts inherits the pipe: it ends when the
		// last of them has.
		alive, held, err := os.Pipe()
		require.NoError(t, err)
		cmd.ExtraFiles = []*os.File{held}
		require.NoError(t, cmd.Start())
		require.NoError(t, held.Close())
		lines := bufio.NewScanner(out)
		var reported []string
		kill := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
		for lines.Scan() {
			kind, hash, _ := strings.Cut(lines.Text(), " ")
			require.NotEqual(t, "error", kind, lines.Text())
			reported = append(reported, hash)
			if len(reported) == 1 {
				// From here on, at another moment in each round.
				kill.Reset(time.Duration(3+round*7%60) * time.Millisecond)
			}
		}
		_ = cmd.Wait()
		kill.Stop()
		require.NotEmpty(t, reported)
		_, _ = alive.Read(make([]byte, 1))
		require.NoError(t, alive.Close())
		// A dead process's lock stays, as git's own does.
		_ = os.Remove(r.path(".git/index.lock"))
		reachable := r.run("rev-list", "--all")
		for _, hash := range reported {
			require.Contains(t, reachable, hash)
		}
		require.Equal(t, "unstaged\n", r.read("a.txt"))
		require.Equal(t, "untracked\n", r.read("untracked.txt"))
		require.Equal(t, staged, r.run("diff", "--cached", "--", "a.txt"))
		// A commit may be there whose index was not installed yet: then its file
		// looks removed in the index and untracked. Its content is in both.
		for line := range strings.Lines(r.status()) {
			name := strings.TrimSpace(line[3:])
			if name != "a.txt" && name != "untracked.txt" {
				require.Contains(t, name, "agent-", line)
			}
		}
		r.run("reset", "-q", "--", ".")
		r.run("add", "a.txt")
		r.file("a.txt", "staged\n")
		r.run("add", "a.txt")
		r.file("a.txt", "unstaged\n")
		require.Equal(t, staged, r.run("diff", "--cached"))
	}
	r.run("fsck", "--strict")
}

// A call waits for another one that changes the repository, but not longer than
// its context lets it.
func TestWaitForAnotherCallIsCancellable(t *testing.T) {
	t.Parallel()
	r := busy(t)
	why := errors.New("the person left")
	require.NoError(t, r.write.lock(t.Context()))
	for _, name := range []string{"Commit", "Snapshot", "Prune", "Rollback", "Note", "CreateBranch", "SwitchBranch", "DeleteBranch", "Merge", "AddWorktree", "PruneWorktrees", "Auto-snapshot"} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, why)
		err := changes(r)[name](ctx)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.ErrorIs(t, err, why, name)
	}
	r.write.unlock()
	_, err := r.Snapshot(t.Context(), "")
	require.NoError(t, err)
	r.noScratchLeft()
}
