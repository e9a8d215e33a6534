package git

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LogOptions select commits for [Service.Log].
type LogOptions struct {
	From  string    // revision to start at; default HEAD
	Until string    // leave out what this revision reaches
	Limit int       // default 50; negative means all
	Skip  int       // leave out this many first
	Paths []string  // only commits that touch these files or directories
	Grep  string    // only commits whose message holds this text, case ignored
	Since time.Time // only commits that are not older
	Stat  bool      // fill in Files, Added and Removed
}

// logFormat is a byte 1, then NUL-terminated fields. No message holds a NUL.
const logFormat = "--format=tformat:%x01%H%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%ct%x00%B%x00"

// Log lists commits, the newest first. Before the first commit the list is
// empty.
func (s *Service) Log(ctx context.Context, opts LogOptions) ([]Commit, error) {
	args := []string{"log", "-z", logFormat}
	switch {
	case opts.Limit == 0:
		args = append(args, "--max-count=50")
	case opts.Limit > 0:
		args = append(args, "--max-count="+strconv.Itoa(opts.Limit))
	}
	if opts.Skip > 0 {
		args = append(args, "--skip="+strconv.Itoa(opts.Skip))
	}
	if opts.Grep != "" {
		args = append(args, "--regexp-ignore-case", "--fixed-strings", "--grep="+opts.Grep)
	}
	if !opts.Since.IsZero() {
		args = append(args, "--since="+opts.Since.Format(time.RFC3339))
	}
	if opts.Stat {
		args = append(args, statFlags...)
	}
	if opts.From == "" {
		head, err := s.head(ctx)
		if err != nil || head == "" {
			return nil, err
		}
		opts.From = head
	}
	for _, rev := range []string{opts.From, opts.Until} {
		if rev == "" {
			continue
		}
		if err := checkRevision(rev); err != nil {
			return nil, fmt.Errorf("git: log: %w", err)
		}
	}
	paths, err := s.checkPaths(opts.Paths)
	if err != nil {
		return nil, fmt.Errorf("git: log: %w", err)
	}
	args = append(args, opts.From)
	if opts.Until != "" {
		args = append(args, "^"+opts.Until)
	}
	out, err := s.git(ctx, call{args: append(append(args, "--"), paths...)})
	if err != nil {
		rev := opts.From
		if opts.Until != "" && strings.Contains(stderrOf(err), "'^"+opts.Until+"'") {
			rev = opts.Until
		}
		return nil, fmt.Errorf("git: log: %w", s.unknownRevision(rev, err))
	}
	commits, err := parseLog(out)
	if err != nil {
		return nil, fmt.Errorf("git: log: %w", err)
	}
	return commits, nil
}

// statFlags compare with the first parent, the root with nothing.
var statFlags = []string{"--raw", "--numstat", "--find-renames", "--no-abbrev", "-m", "--first-parent", "--root", "--no-ext-diff", "--no-textconv"}

// Show returns one commit with its files.
func (s *Service) Show(ctx context.Context, rev string) (Commit, error) {
	if err := checkRevision(rev); err != nil {
		return Commit{}, fmt.Errorf("git: show: %w", err)
	}
	c, err := s.show(ctx, rev)
	if err != nil {
		return Commit{}, fmt.Errorf("git: show: %w", err)
	}
	return c, nil
}

func (s *Service) show(ctx context.Context, rev string) (Commit, error) {
	args := append([]string{"log", "-1", "-z", logFormat}, statFlags...)
	out, err := s.git(ctx, call{args: append(args, rev, "--"), config: []string{"log.showRoot=true"}})
	if err != nil {
		return Commit{}, s.unknownRevision(rev, err)
	}
	commits, err := parseLog(out)
	if err == nil && len(commits) != 1 {
		err = fmt.Errorf("revision %q: %w", rev, ErrNotFound)
	}
	if err != nil {
		return Commit{}, err
	}
	return commits[0], nil
}

func (s *Service) unknownRevision(rev string, err error) error {
	said := stderrOf(err)
	if strings.Contains(said, "bad revision") || strings.Contains(said, "unknown revision") || strings.Contains(said, "bad object") {
		return fmt.Errorf("revision %q: %w", rev, ErrNotFound)
	}
	return err
}

// parseLog reads commits in logFormat, each followed by its files if asked for.
func parseLog(out string) ([]Commit, error) {
	var commits []Commit
	for {
		out = strings.TrimLeft(out, "\x00\n")
		if out == "" {
			return commits, nil
		}
		if out[0] != '\x01' {
			return nil, fmt.Errorf("malformed log record %.80q", out)
		}
		fields := strings.SplitN(out[1:], "\x00", 9)
		if len(fields) != 9 {
			return nil, fmt.Errorf("log record %.80q ends early", out)
		}
		seconds, err := strconv.ParseInt(fields[6], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("malformed time in log record %.80q", out)
		}
		c := Commit{
			Hash:      fields[0],
			Parents:   strings.Fields(fields[1]),
			Author:    Identity{fields[2], fields[3]},
			Committer: Identity{fields[4], fields[5]},
			Time:      time.Unix(seconds, 0),
			Message:   strings.TrimRight(fields[7], "\n"),
		}
		paragraph, _, _ := strings.Cut(c.Message, "\n\n")
		c.Subject = strings.Join(strings.Fields(paragraph), " ")
		if c.Files, out, err = parseRawNumstat(fields[8]); err != nil {
			return nil, err
		}
		for _, f := range c.Files {
			c.Added += f.Added
			c.Removed += f.Removed
		}
		commits = append(commits, c)
	}
}

// BlameLine is one line of a file and the commit that wrote it.
type BlameLine struct {
	Hash   string    `json:"hash"` // all zeros for a line that is not committed
	Author Identity  `json:"author"`
	Time   time.Time `json:"time"`
	Line   int       `json:"line"` // from 1
	Text   string    `json:"text"`
}

// Blame says which commit wrote the lines first to last of a file, counted from
// 1; last 0 means the end. rev "" means the working tree.
func (s *Service) Blame(ctx context.Context, rev, file string, first, last int) ([]BlameLine, error) {
	paths, err := s.checkPaths([]string{file})
	if err != nil {
		return nil, fmt.Errorf("git: blame: %w", err)
	}
	args := []string{"blame", "--line-porcelain", "--no-textconv"}
	if first > 0 || last > 0 {
		span := strconv.Itoa(max(first, 1)) + ","
		if last > 0 {
			span += strconv.Itoa(last)
		}
		args = append(args, "-L", span)
	}
	if rev != "" {
		if err := checkRevision(rev); err != nil {
			return nil, fmt.Errorf("git: blame: %w", err)
		}
		args = append(args, rev)
	} else if err := s.needWorktree("blame"); err != nil {
		return nil, err
	}
	out, err := s.git(ctx, call{args: append(args, "--", paths[0]), config: []string{"blame.ignoreRevsFile="}})
	if err != nil {
		switch said := stderrOf(err); {
		case strings.Contains(said, "no such ref: HEAD"):
			err = ErrUnborn
		case strings.Contains(said, "no such path"):
			err = fmt.Errorf("%w: no such file there: %w", ErrNotFound, err)
		default:
			err = s.unknownRevision(rev, err)
		}
		return nil, fmt.Errorf("git: blame %s: %w", file, err)
	}
	return parseBlame(out)
}

func parseBlame(out string) ([]BlameLine, error) {
	var lines []BlameLine
	var l BlameLine
	for record := range strings.Lines(out) {
		record = strings.TrimSuffix(record, "\n")
		if text, ok := strings.CutPrefix(record, "\t"); ok {
			if l.Hash == "" {
				return nil, errors.New("git: blame: a line without its commit")
			}
			l.Text = text
			lines = append(lines, l)
			l = BlameLine{}
			continue
		}
		key, value, _ := strings.Cut(record, " ")
		var err error
		switch key {
		case "author":
			l.Author.Name = value
		case "author-mail":
			l.Author.Email = strings.Trim(value, "<>")
		case "author-time":
			var seconds int64
			seconds, err = strconv.ParseInt(value, 10, 64)
			l.Time = time.Unix(seconds, 0)
		default:
			if f := strings.Fields(value); l.Hash == "" && len(key) >= 40 && len(f) >= 2 {
				l.Hash = key
				l.Line, err = strconv.Atoi(f[1])
			}
		}
		if err != nil {
			return nil, fmt.Errorf("git: blame: malformed record %.80q", record)
		}
	}
	return lines, nil
}
