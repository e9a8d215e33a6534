package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// CommitOptions say what [Service.Commit] commits and how. The zero value
// commits everything that differs, untracked files included.
type CommitOptions struct {
	// Message is the commit message. Empty asks Options.Message, or keeps the
	// message of an amended commit.
	Message string

	// Paths limits the commit to these files and directories, relative to Root
	// or absolute. Whatever else is staged stays staged and is not committed.
	Paths []string

	// Staged commits the index as it is. It excludes Paths.
	Staged bool

	// Amend replaces the last commit. A commit that a remote-tracking branch
	// holds is not amended unless Force is set.
	Amend bool
	Force bool

	Author    Identity   // default: the committer
	CoAuthors []Identity // as Co-authored-by trailers
	Trailers  []string   // more trailers, as "Key: value"
	SignOff   bool       // adds Signed-off-by of the committer

	// NoVerify skips the pre-commit and commit-msg hooks.
	NoVerify bool
}

// Commit is a commit that exists.
type Commit struct {
	Hash      string        `json:"hash"`
	Parents   []string      `json:"parents,omitempty"`
	Author    Identity      `json:"author"`
	Committer Identity      `json:"committer"`
	Time      time.Time     `json:"time"`    // when it was committed
	Subject   string        `json:"subject"` // first paragraph of Message, in one line
	Message   string        `json:"message"`
	Files     []FileDiff    `json:"files,omitempty"` // changed against the first parent, without hashes and patches
	Added     int           `json:"added"`
	Removed   int           `json:"removed"`
	Source    MessageSource `json:"source,omitempty"` // of Message, when this service made the commit
}

// Short returns the first ten digits of the hash.
func (c Commit) Short() string { return c.Hash[:min(10, len(c.Hash))] }

func (c Commit) String() string { return c.Short() + " " + c.Subject }

// Commit makes a commit. Hooks and signing that the repository asks for are
// done; when they refuse, the error ([ErrHook], [ErrSigning]) holds what they
// said. On any error the index and HEAD are as they were.
//
// It returns [ErrNothingToCommit] when nothing differs, [ErrConflict] during a
// merge with unresolved paths, [ErrNoIdentity] when nobody is configured as the
// committer.
func (s *Service) Commit(ctx context.Context, opts CommitOptions) (Commit, error) {
	inner := ctx
	var ended func(Commit, error)
	if s.opts.Trace.StartCommit != nil {
		inner, ended = s.opts.Trace.startCommit(ctx)
	}
	began := time.Now()
	c, err := s.commit(inner, opts)
	if !errors.Is(err, ErrNothingToCommit) {
		s.stats.commits.add(time.Since(began), err != nil)
	}
	if err != nil {
		c, err = Commit{}, fmt.Errorf("git: commit: %w", err)
	}
	if ended != nil {
		ended(c, err)
	}
	if err != nil {
		return c, err
	}
	if s.opts.Trace.Commit != nil {
		s.opts.Trace.Commit(ctx, c)
	}
	return c, nil
}

func (s *Service) commit(ctx context.Context, opts CommitOptions) (Commit, error) {
	if err := s.needWorktree("commit"); err != nil {
		return Commit{}, err
	}
	if opts.Staged && len(opts.Paths) > 0 {
		return Commit{}, errors.New("Staged commits the index as it is, so that Paths cannot be set")
	}
	paths, err := s.checkPaths(opts.Paths)
	if err != nil {
		return Commit{}, err
	}
	opts.Paths = paths
	trailers, err := opts.trailers()
	if err != nil {
		return Commit{}, err
	}
	if opts.Amend {
		if head, err := s.head(ctx); err != nil {
			return Commit{}, err
		} else if head == "" {
			return Commit{}, fmt.Errorf("%w: nothing to amend", ErrUnborn)
		}
	}
	if opts.Amend && !opts.Force {
		if err := s.refusePushed(ctx, "HEAD", "amend it (set Force to do so)"); err != nil {
			return Commit{}, err
		}
	}
	message, source := plainMessage(opts.Message), MessageGiven
	switch {
	case opts.Message != "" && message == "":
		return Commit{}, errors.New("the message has no text")
	case message == "" && opts.Amend:
		if message, err = s.line(ctx, "log", "-1", "--format=%B", "HEAD"); err != nil {
			return Commit{}, err
		}
		message, source = plainMessage(message), MessageKept
	}
	if message != "" {
		if s.opts.Conventional {
			if err := CheckConventional(message); err != nil {
				return Commit{}, fmt.Errorf("message: %w", err)
			}
		}
		return s.commitLocked(ctx, nil, opts, trailers, func(*scratch) (string, MessageSource, error) { return message, source, nil })
	}
	// Others may change the index while a message is written, which can take
	// long. Then the commit is prepared again; the message is written again only
	// when the change is another one.
	for range 5 {
		c, err := s.commitWritten(ctx, opts, trailers)
		if !errors.Is(err, errIndexMoved) {
			return c, err
		}
	}
	return Commit{}, fmt.Errorf("%w: others changed it five times while the message was written; try again", errIndexMoved)
}

var errIndexMoved = errors.New("the index changed meanwhile")

// commitWritten writes the message without holding a lock, then commits.
func (s *Service) commitWritten(ctx context.Context, opts CommitOptions, trailers []string) (Commit, error) {
	sc, err := s.newScratch()
	if err != nil {
		return Commit{}, err
	}
	defer sc.remove()
	if err := s.stage(ctx, sc, opts); err != nil {
		return Commit{}, err
	}
	d, err := s.stagedDiff(ctx, sc, opts, s.opts.Message == nil)
	if err != nil {
		return Commit{}, err
	}
	if len(d.Files) == 0 {
		return Commit{}, s.nothing(opts)
	}
	message, source := s.messageFor(ctx, d)
	if ctx.Err() != nil {
		return Commit{}, ended(ctx)
	}
	return s.commitLocked(ctx, sc, opts, trailers, func(restaged *scratch) (string, MessageSource, error) {
		if restaged != sc {
			now, err := s.stagedDiff(ctx, restaged, opts, true)
			if err != nil {
				return "", "", err
			}
			if keyOf(now.Files) != keyOf(d.Files) {
				return "", "", errIndexMoved
			}
		}
		return message, source, nil
	})
}

// commitLocked commits what sc holds, while it holds git's lock on the index. It
// prepares a scratch index itself when there is none or when the index is not
// the one any more that sc was copied from.
func (s *Service) commitLocked(ctx context.Context, sc *scratch, opts CommitOptions, trailers []string, write func(*scratch) (string, MessageSource, error)) (Commit, error) {
	if err := s.write.lock(ctx); err != nil {
		return Commit{}, err
	}
	defer s.write.unlock()
	lock, err := s.lockIndex(ctx)
	if err != nil {
		return Commit{}, err
	}
	defer lock.release()
	if sc == nil || !lock.unchanged(sc) {
		if sc, err = s.newScratch(); err != nil {
			return Commit{}, err
		}
		defer sc.remove()
		if err := s.stage(ctx, sc, opts); err != nil {
			return Commit{}, err
		}
	}
	message, source, err := write(sc)
	if err != nil {
		return Commit{}, err
	}
	before, err := s.headHash(ctx)
	if err != nil {
		return Commit{}, err
	}
	err = s.runCommit(ctx, sc, opts, addTrailers(message, trailers))
	if err != nil && !s.committed(ctx, before, opts.Amend) {
		return Commit{}, err
	}
	if err := lock.install(sc); err != nil {
		return Commit{}, err
	}
	s.branches.forget()
	c, err := s.show(context.WithoutCancel(ctx), "HEAD")
	if err != nil {
		return Commit{}, fmt.Errorf("the commit was made, but cannot be read back: %w", err)
	}
	c.Source = source
	return c, nil
}

// CommitDiff returns the text about a commit with opts that Options.Message
// would be given: the list of files, and their patches within Options.MaxDiff,
// the largest cut first. Lock files and binary files are only named.
func (s *Service) CommitDiff(ctx context.Context, opts CommitOptions) (string, error) {
	if err := s.needWorktree("commit diff"); err != nil {
		return "", err
	}
	paths, err := s.checkPaths(opts.Paths)
	if err != nil {
		return "", fmt.Errorf("git: commit diff: %w", err)
	}
	opts.Paths = paths
	sc, err := s.newScratch()
	if err != nil {
		return "", fmt.Errorf("git: commit diff: %w", err)
	}
	defer sc.remove()
	if err := s.stage(ctx, sc, opts); err != nil {
		return "", fmt.Errorf("git: commit diff: %w", err)
	}
	d, err := s.stagedDiff(ctx, sc, opts, false)
	if err != nil {
		return "", fmt.Errorf("git: commit diff: %w", err)
	}
	return d.render(s.maxMessageDiff()), nil
}

func (s *Service) nothing(opts CommitOptions) error {
	switch {
	case opts.Staged:
		return fmt.Errorf("%w: nothing is staged", ErrNothingToCommit)
	case len(opts.Paths) > 0:
		return fmt.Errorf("%w: %s equal HEAD", ErrNothingToCommit, strings.Join(opts.Paths[:min(len(opts.Paths), 10)], ", "))
	default:
		return fmt.Errorf("%w: the working tree is clean", ErrNothingToCommit)
	}
}

func (s *Service) runCommit(ctx context.Context, sc *scratch, opts CommitOptions, message string) error {
	args := []string{"commit", "--quiet", "--no-edit", "--no-status", "--cleanup=whitespace", "--file=-"}
	if opts.Amend {
		args = append(args, "--amend")
	}
	if opts.SignOff {
		args = append(args, "--signoff")
	}
	if opts.NoVerify {
		args = append(args, "--no-verify")
	}
	if opts.Author.Name != "" || opts.Author.Email != "" {
		args = append(args, "--author="+opts.Author.String())
	}
	if len(opts.Paths) > 0 {
		args = append(args, "--only")
		if list := nulList(opts.Paths); len(list) > argvPaths {
			file := sc.path + ".paths"
			if err := os.WriteFile(file, list, 0o600); err != nil {
				return fmt.Errorf("list the paths: %w", err)
			}
			defer os.Remove(file)
			args = append(args, "--pathspec-from-file="+file, "--pathspec-file-nul")
		} else {
			args = append(append(args, "--"), opts.Paths...)
		}
	}
	err := s.gitAs(ctx, call{args: args, stdin: []byte(message + "\n"), index: sc.path, writes: true})
	if err != nil {
		return s.commitError(ctx, sc, opts, err)
	}
	return nil
}

// trailers checks and renders the trailers that the options ask for.
func (o CommitOptions) trailers() ([]string, error) {
	var trailers []string
	for _, t := range o.Trailers {
		if !trailerLine.MatchString(t) || strings.ContainsAny(t, "\n\r\x00") {
			return nil, fmt.Errorf("trailer %q: %w: want \"Key: value\" in one line", t, ErrInvalidName)
		}
		trailers = append(trailers, t)
	}
	for _, id := range append([]Identity{o.Author}, o.CoAuthors...) {
		if strings.ContainsAny(id.Name+id.Email, "<>\n\r\x00") {
			return nil, fmt.Errorf("identity %q: %w: it holds '<', '>' or a line break", id, ErrInvalidName)
		}
	}
	if (o.Author.Name == "") != (o.Author.Email == "") {
		return nil, fmt.Errorf("author %q: %w: name and email are both needed", o.Author, ErrInvalidName)
	}
	for _, id := range o.CoAuthors {
		if id.Name == "" || id.Email == "" {
			return nil, fmt.Errorf("co-author %q: %w: name and email are both needed", id, ErrInvalidName)
		}
		trailers = append(trailers, "Co-authored-by: "+id.String())
	}
	return trailers, nil
}
