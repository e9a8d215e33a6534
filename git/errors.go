package git

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// What can be wrong with a repository or a request. Errors of this package wrap
// them and say which repository, path or revision it was.
var (
	// ErrNotRepository: no git repository at the directory or above it.
	ErrNotRepository = errors.New("not a git repository")

	// ErrNoGit: the git program is missing or too old.
	ErrNoGit = errors.New("no usable git program")

	// ErrBare: the repository has no working tree, and the call needs one.
	ErrBare = errors.New("repository is bare")

	// ErrUnborn: the current branch has no commit yet, and the call needs one.
	ErrUnborn = errors.New("no commit yet")

	// ErrNothingToCommit: nothing differs from HEAD in what was asked for.
	ErrNothingToCommit = errors.New("nothing to commit")

	// ErrNoIdentity: git does not know who commits, and Options.Identity is not
	// set.
	ErrNoIdentity = errors.New("no committer identity")

	// ErrHook: a hook of the repository refused. The error text holds what it
	// said.
	ErrHook = errors.New("refused by a hook")

	// ErrSigning: the commit could not be signed. The error text holds the
	// output of the signing program.
	ErrSigning = errors.New("signing failed")

	// ErrConflict: conflicts are not resolved, or a merge, rebase or the like is
	// not concluded.
	ErrConflict = errors.New("unresolved conflicts")

	// ErrLocalChanges: uncommitted work is in the way and was not touched.
	ErrLocalChanges = errors.New("local changes are in the way")

	// ErrNotFound: a branch, snapshot, backup or worktree does not exist.
	ErrNotFound = errors.New("not found")

	// ErrInvalidName: a name or revision that git would not take, or that could
	// be taken for an option.
	ErrInvalidName = errors.New("invalid name")

	// ErrRefused: the call is possible but not safe, and was not told to go
	// ahead. The text says which option tells it.
	ErrRefused = errors.New("refused")
)

// CommandError reports that the git program failed.
type CommandError struct {
	Args     []string // the arguments, from the subcommand on
	Dir      string   // where it ran
	ExitCode int      // -1 when it was ended by a signal or never started
	Stderr   string   // the beginning and end of what it said
	Err      error    // the cause; unwraps to context errors
}

func (e *CommandError) Error() string {
	var b strings.Builder
	const shown = 1 << 10 // of arguments that may be thousands of paths
	args := text.Quote(e.Args...)
	if len(args) > shown {
		args = strings.ToValidUTF8(args[:shown], "") + "…"
	}
	fmt.Fprintf(&b, "git %s in %s", args, e.Dir)
	if said := strings.TrimSpace(e.Stderr); said != "" {
		fmt.Fprintf(&b, ": %s", said)
		if e.ExitCode > 0 {
			fmt.Fprintf(&b, " (exit code %d)", e.ExitCode)
			return b.String()
		}
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *CommandError) Unwrap() error { return e.Err }
