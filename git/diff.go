package git

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DiffOptions say what [Service.Diff] compares. The zero value compares the
// working tree with HEAD: all uncommitted changes of known files.
type DiffOptions struct {
	From string // revision; default HEAD
	To   string // revision; default the working tree

	// Staged compares From with the index instead of the working tree.
	Staged bool

	// Untracked shows files that git does not know as added.
	Untracked bool

	Paths    []string // limit to these files and directories; none means all
	StatOnly bool     // leave out the patches
	Context  int      // lines around a change; 0 means 3, negative means none

	// MaxBytes bounds the patches together; the largest files are cut first.
	// Default 256 KiB; negative means no bound.
	MaxBytes int
}

// Diff is a comparison of two states.
type Diff struct {
	Files   []FileDiff `json:"files,omitempty"` // sorted by path
	Added   int        `json:"added"`           // lines
	Removed int        `json:"removed"`
}

// FileDiff is how one file differs.
type FileDiff struct {
	Path    string `json:"path"`
	From    string `json:"from,omitempty"` // the old path of a renamed or copied file
	Status  Code   `json:"status"`
	Added   int    `json:"added"` // lines
	Removed int    `json:"removed"`
	Binary  bool   `json:"binary,omitempty"`
	OldHash string `json:"oldHash,omitempty"`
	NewHash string `json:"newHash,omitempty"` // "" when the file was not hashed yet
	OldMode uint32 `json:"oldMode,omitempty"`
	NewMode uint32 `json:"newMode,omitempty"`
	Patch   string `json:"patch,omitempty"` // unified diff with git's header
	Cut     int    `json:"cut,omitempty"`   // bytes missing at the end of Patch
}

// Patch returns the patches of all files in one text.
func (d *Diff) Patch() string {
	var b strings.Builder
	for _, f := range d.Files {
		b.WriteString(f.Patch)
		if f.Cut > 0 {
			fmt.Fprintf(&b, "[… %d bytes of the diff of %s cut …]\n", f.Cut, shown(f.Path))
		}
	}
	return b.String()
}

// Summary says how much changed, such as "2 files changed, 10 lines added, 3
// removed".
func (d *Diff) Summary() string {
	files := "files"
	if len(d.Files) == 1 {
		files = "file"
	}
	return fmt.Sprintf("%d %s changed, %d lines added, %d removed", len(d.Files), files, d.Added, d.Removed)
}

const defaultMaxDiff = 256 << 10

// Diff compares two states of the repository.
func (s *Service) Diff(ctx context.Context, opts DiffOptions) (*Diff, error) {
	if opts.To == "" {
		if err := s.needWorktree("diff"); err != nil {
			return nil, err
		}
	}
	if opts.To != "" && opts.Staged {
		return nil, errors.New("git: diff: Staged compares with the index, so that To cannot be set")
	}
	for _, rev := range []string{opts.From, opts.To} {
		if rev != "" {
			if err := checkRevision(rev); err != nil {
				return nil, fmt.Errorf("git: diff: %w", err)
			}
		}
	}
	if opts.From == "" {
		opts.From = "HEAD"
		if head, err := s.head(ctx); err != nil {
			return nil, fmt.Errorf("git: diff: %w", err)
		} else if head == "" {
			if opts.From, err = s.emptyTree(ctx); err != nil {
				return nil, fmt.Errorf("git: diff: %w", err)
			}
		}
	}
	paths, err := s.checkPaths(opts.Paths)
	if err != nil {
		return nil, fmt.Errorf("git: diff: %w", err)
	}
	opts.Paths = paths
	index := ""
	if opts.Untracked && opts.To == "" && !opts.Staged {
		sc, err := s.newScratch()
		if err != nil {
			return nil, fmt.Errorf("git: diff: %w", err)
		}
		defer sc.remove()
		if err := s.addIntents(ctx, sc, opts.Paths); err != nil {
			return nil, fmt.Errorf("git: diff: list untracked files: %w", err)
		}
		index = sc.path
	}
	d, err := s.diff(ctx, diffCall{opts: opts, index: index})
	if err != nil {
		return nil, fmt.Errorf("git: diff: %w", err)
	}
	return d, nil
}

// addIntents marks untracked files in a scratch index as files to come. git would
// mark none when one of the paths does not exist.
func (s *Service) addIntents(ctx context.Context, sc *scratch, paths []string) error {
	exist := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return !s.exists(p) })
	if len(paths) > 0 && len(exist) == 0 {
		return nil
	}
	args := append([]string{"add", "--intent-to-add", "--all", "--"}, exist...)
	_, err := s.git(ctx, call{args: args, index: sc.path, writes: true, noHooks: true})
	if said := stderrOf(err); strings.Contains(said, "did not match any file") || strings.Contains(said, "ignored by one of your .gitignore") {
		return nil
	}
	return err
}

// diffCall is a comparison whose revisions are checked.
type diffCall struct {
	opts  DiffOptions
	index string
	skip  func(FileDiff) bool // files whose patch is not wanted
	only  func(string) bool   // nil, or files that are wanted at all; renames are not looked for then
}

func (c diffCall) args(format ...string) []string {
	context := 3
	if c.opts.Context != 0 {
		context = max(c.opts.Context, 0)
	}
	// Everything that a person's configuration could change is said.
	args := []string{"diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative", "--find-renames",
		"--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none", "-O/dev/null",
		"--no-abbrev"}
	for _, f := range format {
		if f == "--patch" {
			f = "--unified=" + strconv.Itoa(context)
		}
		args = append(args, f)
	}
	if c.only != nil {
		args = append(args, "--no-renames")
	}
	if c.opts.Staged {
		args = append(args, "--cached")
	}
	args = append(args, c.opts.From)
	if c.opts.To != "" {
		args = append(args, c.opts.To)
	}
	return append(append(args, "--"), c.opts.Paths...)
}

// hugeFiles makes git treat files of more than a MiB as binary: their patch is
// no use to a reader with a bound.
var hugeFiles = []string{"core.bigFileThreshold=1m"}

func (s *Service) diff(ctx context.Context, c diffCall) (*Diff, error) {
	limit := c.opts.MaxBytes
	if limit == 0 {
		limit = defaultMaxDiff
	}
	formats := []string{"--raw", "--numstat", "-z"}
	if !c.opts.StatOnly {
		formats = append(formats, "--patch")
	}
	out := diffOutput{patches: newPatchSplitter(limit)}
	if _, err := s.git(ctx, call{args: c.args(formats...), index: c.index, config: hugeFiles, onStdout: out.write}); err != nil {
		return nil, err
	}
	out.patches.end()
	files, _, err := parseRawNumstat(string(out.records))
	if err != nil {
		return nil, err
	}
	d := &Diff{Files: files[:0]}
	for _, f := range files {
		patch, cut := out.patches.next()
		if f.Status == 'T' { // as a removal and an addition
			added, more := out.patches.next()
			patch, cut = patch+added, cut+more
		}
		if c.only != nil && !c.only(f.Path) {
			continue
		}
		if c.skip == nil || !c.skip(f) {
			f.Patch, f.Cut = patch, cut
		}
		d.Files = append(d.Files, f)
		d.Added += f.Added
		d.Removed += f.Removed
	}
	cutLargest(d.Files, limit)
	return d, nil
}

// diffOutput takes the records of a diff, which end in NUL, and after an empty
// one its patches. Both come from one process, so that they tell of one state.
type diffOutput struct {
	records  []byte
	patching bool
	patches  *patchSplitter
}

func (o *diffOutput) write(data []byte) {
	if o.patching {
		o.patches.write(data)
		return
	}
	from := max(len(o.records)-1, 0)
	o.records = append(o.records, data...)
	if i := bytes.Index(o.records[from:], []byte{0, 0}); i >= 0 {
		o.patching = true
		o.patches.write(o.records[from+i+2:])
		o.records = o.records[:from+i+1]
	}
}

// parseRawNumstat reads the output of git diff --raw --numstat -z: first a
// record per file with modes, hashes and status, then one with line counts. It
// stops before a record that starts with the byte 1, which is where the next
// commit of a log begins, and returns what is left.
func parseRawNumstat(out string) ([]FileDiff, string, error) {
	var files []FileDiff
	byPath := map[string]int{}
	next := func() (string, error) {
		record, rest, ok := strings.Cut(out, "\x00")
		if !ok {
			return "", fmt.Errorf("diff record %.80q does not end in NUL", out)
		}
		out = rest
		return record, nil
	}
	for out != "" && out[0] != '\x01' {
		if out[0] == '\n' || out[0] == 0 { // between a commit and its files
			out = out[1:]
			continue
		}
		record, err := next()
		if err != nil {
			return nil, "", err
		}
		if meta, ok := strings.CutPrefix(record, ":"); ok {
			f, err := parseRaw(meta, next)
			if err != nil {
				return nil, "", err
			}
			if f.Status == 'U' {
				continue // an unmerged path has a second record that counts
			}
			byPath[f.Path] = len(files)
			files = append(files, f)
			continue
		}
		fields := strings.SplitN(record, "\t", 3)
		if len(fields) != 3 {
			return nil, "", fmt.Errorf("malformed line counts %.80q", record)
		}
		name := fields[2]
		if name == "" { // a rename: both paths follow
			if _, err = next(); err == nil {
				name, err = next()
			}
			if err != nil {
				return nil, "", err
			}
		}
		i, known := byPath[name]
		if !known {
			continue
		}
		if fields[0] == "-" {
			files[i].Binary = true
			continue
		}
		var errA, errR error
		files[i].Added, errA = strconv.Atoi(fields[0])
		files[i].Removed, errR = strconv.Atoi(fields[1])
		if err := errors.Join(errA, errR); err != nil {
			return nil, "", fmt.Errorf("malformed line counts %.80q: %w", record, err)
		}
	}
	return files, out, nil
}

// parseRaw reads "oldmode newmode oldhash newhash status", then the paths.
func parseRaw(meta string, next func() (string, error)) (FileDiff, error) {
	fields := strings.Fields(meta)
	if len(fields) != 5 || fields[4] == "" {
		return FileDiff{}, fmt.Errorf("malformed diff record %.120q", meta)
	}
	f := FileDiff{Status: Code(fields[4][0]), OldHash: hash(fields[2]), NewHash: hash(fields[3])}
	if err := modes(meta, fields[:2], &f.OldMode, &f.NewMode); err != nil {
		return FileDiff{}, err
	}
	var err error
	if f.Path, err = next(); err == nil && (f.Status == 'R' || f.Status == 'C') {
		f.From = f.Path
		f.Path, err = next()
	}
	return f, err
}

// head returns the hash of the current commit, or "" before the first.
func (s *Service) head(ctx context.Context) (string, error) {
	out, err := s.line(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if err != nil && exitCode(err) == 1 {
		return "", nil
	}
	return out, err
}

// headHash is head without a process, where HEAD and its branch are plain files.
func (s *Service) headHash(ctx context.Context) (string, error) {
	value, _ := os.ReadFile(filepath.Join(s.gitDir, "HEAD"))
	if ref, ok := strings.CutPrefix(strings.TrimSpace(string(value)), "ref: "); ok {
		value, _ = os.ReadFile(filepath.Join(s.commonDir, filepath.FromSlash(ref)))
	}
	name := strings.TrimSpace(string(value))
	if raw, err := hex.DecodeString(name); err == nil && len(raw) == s.hashSize {
		return name, nil
	}
	return s.head(ctx)
}

// emptyTree returns the hash of the tree without entries in the repository's
// object format.
func (s *Service) emptyTree(ctx context.Context) (string, error) {
	out, err := s.git(ctx, call{args: []string{"hash-object", "-t", "tree", "--stdin"}, stdin: []byte{}})
	return strings.TrimSuffix(out, "\n"), err
}
