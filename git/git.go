package git

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultLockWait is how long a call waits for another git process to release
// the index or a reference.
const DefaultLockWait = 10 * time.Second

// Options configure a [Service].
type Options struct {
	// Program is the git to run. Default "git", found in PATH.
	Program string

	// Message writes the message of a commit that was given none, usually by
	// asking a model. It gets the diff as [Service.CommitDiff] bounds it. When
	// it is nil, fails, or returns nothing, the message is a summary of the
	// changed paths. Equal changes are asked about once.
	Message func(ctx context.Context, diff string) (string, error)

	// MaxDiff bounds the diff that Message gets, in bytes. Default 24 KiB,
	// about 6,000 tokens.
	MaxDiff int

	// Conventional makes Commit refuse messages that are not Conventional
	// Commits (conventionalcommits.org, 1.0.0), after one more question to
	// Message.
	Conventional bool

	// Identity is used for commits when git is configured with none. Without
	// either, Commit fails with ErrNoIdentity. git's own guess from the machine's
	// name is never used.
	Identity Identity

	// InheritEnv names the variables of this process, as names or path.Match
	// patterns, that git and its hooks see. Default [DefaultInheritEnv]. "*" lets
	// all but git's own variables pass.
	InheritEnv []string

	// Env adds variables, as "NAME=value", that win over inherited ones.
	Env []string

	// LockWait is how long to wait for another git process that holds a lock.
	// Default [DefaultLockWait]; negative means not at all.
	LockWait time.Duration

	// Untrusted hardens every call for a repository whose configuration may be
	// hostile: no hooks, file system monitor, filter, merge driver, external
	// diff, signing program, credential helper, maintenance or network, no submodule
	// that is checked out, and no working tree that is not the repository's own.
	// Files that a filter converts, such as those of LFS, then look changed, and a
	// partial clone lacks what it has not fetched.
	Untrusted bool

	Trace  Trace
	Logger *slog.Logger // nil means slog.Default()
}

// Identity names who commits.
type Identity struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

func (i Identity) String() string { return fmt.Sprintf("%s <%s>", i.Name, i.Email) }

// Trace observes a service. Nil functions cost nothing. They are called from
// the goroutine of the call, concurrently when calls are.
type Trace struct {
	Command  func(ctx context.Context, info CommandInfo)    // a git process ended
	LockWait func(ctx context.Context, pause time.Duration) // another process holds a lock
	Commit   func(ctx context.Context, c Commit)            // a commit was made
	Message  func(ctx context.Context, source MessageSource, err error)
	Snapshot func(ctx context.Context, s Snapshot) // a working state was saved

	// StartCommit is for a span: a commit begins. It returns a context derived
	// from ctx, in which the commit's processes and question for a message run,
	// and a function that is called with the outcome. Either may be nil.
	StartCommit func(ctx context.Context) (context.Context, func(c Commit, err error))
}

// startCommit calls StartCommit, which is not nil. It returns what the commit
// runs in and what to call with the outcome, or nil.
func (t *Trace) startCommit(ctx context.Context) (context.Context, func(Commit, error)) {
	inner, ended := t.StartCommit(ctx)
	if inner == nil {
		inner = ctx
	}
	return inner, ended
}

// CommandInfo describes one finished git process.
type CommandInfo struct {
	Args     []string
	Dir      string
	Duration time.Duration
	ExitCode int
	Err      error
}

// Service works on one repository. It is safe for concurrent use; calls that
// write wait for each other, and for other git processes.
type Service struct {
	opts      Options
	env       []string
	dir       string // what Open was given
	root      string // of the working tree, or the git directory of a bare one
	gitDir    string // of this working tree
	commonDir string // shared by all working trees
	version   Version
	bare      bool
	shallow   bool
	hashSize  int // of an object's name, in bytes

	guard     atomic.Pointer[AutoCommit] // knows what a person had changed
	anonymous atomic.Int64               // Unix second at which git was found to know nobody
	write     mutex                      // serialises calls that change the repository
	messages  messageCache
	branches  branchCache
	stats     counters
}

// Version is a version of the git program.
type Version struct{ Major, Minor, Patch int }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// oldest supported release, of December 2020: what the oldest supported
// distributions ship.
var oldest = Version{2, 30, 0}

// Open finds the repository that dir lies in. Any kind will do: an ordinary
// one, a linked working tree, a submodule, a shallow clone, one without commits,
// or a bare one, for which calls that need a working tree return [ErrBare].
//
// Open fails with [ErrNotRepository] when there is none and with [ErrNoGit]
// when the git program is missing or older than 2.30.
func Open(ctx context.Context, dir string, opts Options) (*Service, error) {
	s, err := newService(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	out, err := s.git(ctx, call{args: []string{"rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--is-shallow-repository", "--show-object-format", "--absolute-git-dir"}})
	if err != nil {
		return nil, openError(s.dir, err)
	}
	fields := strings.SplitN(strings.TrimSuffix(out, "\n"), "\n", 5)
	if len(fields) != 5 {
		return nil, fmt.Errorf("git: open %s: unexpected answer of git rev-parse: %q", s.dir, out)
	}
	inside := fields[1] == "true"
	s.bare, s.shallow, s.gitDir = fields[0] == "true", fields[2] == "true", fields[4]
	if s.hashSize = sha1.Size; fields[3] == "sha256" {
		s.hashSize = sha256.Size
	}
	s.commonDir = commonDir(s.gitDir)
	switch {
	case inside:
		s.bare = false // core.bare may be set where linked working trees exist
		if s.root, err = s.line(ctx, "rev-parse", "--show-toplevel"); err != nil {
			return nil, openError(s.dir, err)
		}
		if err := s.checkRoot(); err != nil {
			return nil, err
		}
	case s.bare:
		s.root = s.gitDir
	default:
		return nil, fmt.Errorf("git: open %s: %w: this is inside the git directory %s; open the working tree it belongs to", s.dir, ErrNotRepository, s.gitDir)
	}
	s.removeStaleIndexes()
	return s, nil
}

// Init makes a repository in dir, which is created when it does not exist, with
// the initial branch called branch ("" means "main"), and opens it. In a
// directory that is the root of a repository already, Init opens that and
// changes nothing.
func Init(ctx context.Context, dir, branch string, opts Options) (*Service, error) {
	if branch == "" {
		branch = "main"
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("git: init %s: %w", dir, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
		return Open(ctx, dir, opts)
	}
	s, err := newService(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	if err := s.checkBranchName(ctx, branch); err != nil {
		return nil, fmt.Errorf("git: init %s: %w", dir, err)
	}
	if _, err := s.git(ctx, call{args: []string{"init", "-q", "--initial-branch=" + branch, "--", s.dir}, writes: true}); err != nil {
		return nil, fmt.Errorf("git: init %s: %w", dir, err)
	}
	return Open(ctx, dir, opts)
}

// newService checks the directory and the program.
func newService(ctx context.Context, dir string, opts Options) (*Service, error) {
	if opts.Program == "" {
		opts.Program = "git"
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	for _, pattern := range opts.InheritEnv {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("git: open %s: pattern %q of Options.InheritEnv: %w", dir, pattern, err)
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("git: open %s: %w", dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return nil, fmt.Errorf("git: open %s: %w", abs, err)
	case !info.IsDir():
		return nil, fmt.Errorf("git: open %s: not a directory", abs)
	}
	s := &Service{opts: opts, env: environment(opts), dir: abs, root: abs, write: newMutex()}
	out, err := s.line(ctx, "version")
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("git: open %s: %w: install git %s or newer, or set Options.Program (tried %q): %v", abs, ErrNoGit, oldest, opts.Program, err)
		}
		return nil, fmt.Errorf("git: open %s: %w", abs, err)
	}
	if s.version, err = parseVersion(out); err != nil {
		return nil, fmt.Errorf("git: open %s: %w: %v", abs, ErrNoGit, err)
	}
	if !s.version.AtLeast(oldest.Major, oldest.Minor) {
		return nil, fmt.Errorf("git: open %s: %w: %q is version %s, at least %s is needed", abs, ErrNoGit, opts.Program, s.version, oldest)
	}
	return s, nil
}

// openError turns what git says about a directory into advice.
func openError(dir string, err error) error {
	said := stderrOf(err)
	switch {
	case strings.Contains(said, "not a git repository"):
		return fmt.Errorf("git: open %s: %w, nor is any directory above it: run git init or use git.Init", dir, ErrNotRepository)
	case strings.Contains(said, "dubious ownership"):
		return fmt.Errorf("git: open %s: the repository belongs to another user, so git refuses it; if you trust it, run: git config --global --add safe.directory %s: %w", dir, dir, err)
	default:
		return fmt.Errorf("git: open %s: %w", dir, err)
	}
}

// parseVersion reads "git version 2.39.5 (Apple Git-154)" and the like.
func parseVersion(s string) (Version, error) {
	rest, ok := strings.CutPrefix(s, "git version ")
	if !ok {
		return Version{}, fmt.Errorf("%q is not an answer of git", s)
	}
	rest, _, _ = strings.Cut(rest, " ")
	var v Version
	for i, field := range strings.SplitN(rest, ".", 4) {
		digits := strings.IndexFunc(field, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 0 {
			digits = len(field)
		}
		n, err := strconv.Atoi(field[:digits])
		if err != nil {
			if i >= 2 {
				break
			}
			return Version{}, fmt.Errorf("cannot read the version in %q", s)
		}
		switch i {
		case 0:
			v.Major = n
		case 1:
			v.Minor = n
		case 2:
			v.Patch = n
		}
	}
	return v, nil
}

// commonDir is the directory that all working trees of a repository share.
func commonDir(gitDir string) string {
	data, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if err != nil {
		return gitDir
	}
	rel := strings.TrimSuffix(string(data), "\n")
	if filepath.IsAbs(rel) {
		return filepath.Clean(rel)
	}
	return filepath.Join(gitDir, rel)
}

// Root returns the top directory of the working tree, or the git directory of a
// bare repository. All paths of the package are relative to it and use slashes.
func (s *Service) Root() string { return s.root }

// GitDir returns the git directory of this working tree.
func (s *Service) GitDir() string { return s.gitDir }

// Bare reports whether the repository has no working tree.
func (s *Service) Bare() bool { return s.bare }

// Linked reports whether this is a linked working tree of another repository.
func (s *Service) Linked() bool { return s.commonDir != s.gitDir }

// Shallow reports whether the history was cut off when the repository was
// cloned.
func (s *Service) Shallow() bool { return s.shallow }

// GitVersion returns the version of the git program.
func (s *Service) GitVersion() Version { return s.version }

// needWorktree is the guard of calls that look at files.
func (s *Service) needWorktree(op string) error {
	if s.bare {
		return fmt.Errorf("git: %s in %s: %w: it has no working tree; open one of its worktrees or a clone", op, s.root, ErrBare)
	}
	return nil
}
