package git

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Untracked says how files that git does not know are listed.
type Untracked string

const (
	UntrackedDirs  Untracked = "normal" // a directory without known files as one entry that ends in "/"
	UntrackedFiles Untracked = "all"    // every file
	UntrackedNone  Untracked = "no"     // not at all, which is fastest
)

// StatusOptions configure [Service.Status].
type StatusOptions struct {
	Untracked Untracked // default UntrackedDirs
	Ignored   bool      // list ignored files too
	NoRenames bool      // show a rename as a removal and an addition
	Paths     []string  // limit to these files and directories; none means all
}

// Status is the state of a working tree.
type Status struct {
	Branch   string  `json:"branch"`             // current branch; "" when HEAD is detached
	Head     string  `json:"head"`               // hash of the current commit; "" before the first
	Upstream string  `json:"upstream,omitempty"` // branch that Branch follows
	Ahead    int     `json:"ahead,omitempty"`    // commits that Upstream lacks
	Behind   int     `json:"behind,omitempty"`   // commits that Branch lacks
	Gone     bool    `json:"gone,omitempty"`     // Upstream is configured but does not exist
	Stashes  int     `json:"stashes,omitempty"`
	Entries  []Entry `json:"entries,omitempty"` // sorted by git: changed, then unmerged, untracked, ignored
}

// Detached reports whether HEAD is not on a branch.
func (s *Status) Detached() bool { return s.Branch == "" }

// Unborn reports whether there is no commit yet.
func (s *Status) Unborn() bool { return s.Head == "" }

// Clean reports whether nothing differs from HEAD and nothing is untracked.
// Ignored files do not count.
func (s *Status) Clean() bool {
	for _, e := range s.Entries {
		if e.Kind != KindIgnored {
			return false
		}
	}
	return true
}

// Conflicts returns the paths with unresolved merges.
func (s *Status) Conflicts() []string {
	var paths []string
	for _, e := range s.Entries {
		if e.Kind == KindUnmerged {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

// Kind is what an [Entry] is.
type Kind byte

// The kinds of entries, with the letters of git's porcelain version 2.
const (
	KindChanged   Kind = '1'
	KindRenamed   Kind = '2' // or copied
	KindUnmerged  Kind = 'u'
	KindUntracked Kind = '?'
	KindIgnored   Kind = '!'
)

// Code says how a file differs, with git's letters: 'M' modified, 'T' type
// changed, 'A' added, 'D' deleted, 'R' renamed, 'C' copied, 'U' unmerged, '.'
// equal, '?' untracked, '!' ignored.
type Code byte

func (c Code) String() string { return string(rune(c)) }

// MarshalText writes the letter.
func (c Code) MarshalText() ([]byte, error) { return []byte{byte(c)}, nil }

// UnmarshalText reads the letter.
func (c *Code) UnmarshalText(text []byte) error {
	if len(text) != 1 {
		return fmt.Errorf("status code %q is not one letter", text)
	}
	*c = Code(text[0])
	return nil
}

// UnmarshalText reads the letter.
func (k *Kind) UnmarshalText(text []byte) error {
	if len(text) != 1 {
		return fmt.Errorf("entry kind %q is not one letter", text)
	}
	*k = Kind(text[0])
	return nil
}

// MarshalText writes the letter.
func (k Kind) MarshalText() ([]byte, error) { return []byte{byte(k)}, nil }

// Entry is one path that differs.
type Entry struct {
	Path      string `json:"path"` // relative to Root; ends in "/" for a whole directory
	Kind      Kind   `json:"kind"`
	Index     Code   `json:"index"`               // the index against HEAD: what is staged
	Worktree  Code   `json:"worktree"`            // the file against the index
	From      string `json:"from,omitempty"`      // where a renamed or copied file came from
	Score     int    `json:"score,omitempty"`     // similarity of From in percent
	Submodule string `json:"submodule,omitempty"` // "S<c><m><u>" for a submodule: commit changed, modified, untracked
	HeadMode  uint32 `json:"headMode,omitempty"`  // octal file modes as git keeps them
	IndexMode uint32 `json:"indexMode,omitempty"`
	FileMode  uint32 `json:"fileMode,omitempty"`
	HeadHash  string `json:"headHash,omitempty"`
	IndexHash string `json:"indexHash,omitempty"`
}

// Staged reports whether the index differs from HEAD.
func (e Entry) Staged() bool {
	return e.Index != '.' && e.Kind != KindUntracked && e.Kind != KindIgnored
}

func (e Entry) String() string {
	s := fmt.Sprintf("%s%s %s", e.Index, e.Worktree, shown(e.Path))
	if e.From != "" {
		s += " (from " + shown(e.From) + ")"
	}
	return s
}

// Status compares HEAD, the index and the working tree. It takes no locks and
// changes nothing.
func (s *Service) Status(ctx context.Context, opts StatusOptions) (*Status, error) {
	if err := s.needWorktree("status"); err != nil {
		return nil, err
	}
	if opts.Untracked == "" {
		opts.Untracked = UntrackedDirs
	}
	args := []string{"status", "--porcelain=v2", "--branch", "--show-stash", "-z", "--untracked-files=" + string(opts.Untracked)}
	if opts.Ignored {
		args = append(args, "--ignored")
	}
	if opts.NoRenames {
		args = append(args, "--no-renames")
	}
	args = append(append(args, "--"), opts.Paths...)
	out, err := s.git(ctx, call{args: args})
	if err != nil {
		return nil, fmt.Errorf("git: status: %w", err)
	}
	st, err := parseStatus(out)
	if err != nil {
		return nil, fmt.Errorf("git: status of %s: %w", s.root, err)
	}
	return st, nil
}

// parseStatus reads the output of git status --porcelain=v2 -z, as git-status(1)
// describes it. Header lines and entry kinds that it does not know are skipped,
// as that page asks for.
func parseStatus(out string) (*Status, error) {
	st := &Status{}
	for len(out) > 0 {
		var record string
		var ok bool
		if record, out, ok = strings.Cut(out, "\x00"); !ok {
			return nil, fmt.Errorf("record %.80q does not end in NUL", record)
		}
		if record == "" {
			continue
		}
		var e Entry
		var err error
		switch record[0] {
		case '#':
			err = st.header(record)
			if err != nil {
				return nil, err
			}
			continue
		case '1':
			e, err = parseChanged(record)
		case '2':
			if e, err = parseRenamed(record); err == nil {
				if e.From, out, ok = strings.Cut(out, "\x00"); !ok || e.From == "" {
					err = fmt.Errorf("entry %.80q lacks its original path", record)
				}
			}
		case 'u':
			e, err = parseUnmerged(record)
		case '?', '!':
			rest, found := strings.CutPrefix(record[1:], " ")
			if !found || rest == "" {
				err = fmt.Errorf("entry %.80q has no path", record)
			}
			e = Entry{Path: rest, Kind: Kind(record[0]), Index: Code(record[0]), Worktree: Code(record[0])}
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		st.Entries = append(st.Entries, e)
	}
	return st, nil
}

func (s *Status) header(record string) error {
	key, value, _ := strings.Cut(strings.TrimPrefix(record, "# "), " ")
	var err error
	switch key {
	case "branch.oid":
		if value != "(initial)" {
			s.Head = value
		}
	case "branch.head":
		if value != "(detached)" {
			s.Branch = value
		}
	case "branch.upstream":
		s.Upstream, s.Gone = value, true
	case "branch.ab":
		ahead, behind, _ := strings.Cut(value, " ")
		if s.Ahead, err = strconv.Atoi(strings.TrimPrefix(ahead, "+")); err == nil {
			s.Behind, err = strconv.Atoi(strings.TrimPrefix(behind, "-"))
		}
		s.Gone = false
	case "stash":
		s.Stashes, err = strconv.Atoi(value)
	}
	if err != nil {
		return fmt.Errorf("header %.80q: %w", record, err)
	}
	return nil
}

// parseChanged reads "1 XY sub mH mI mW hH hI path".
func parseChanged(record string) (Entry, error) {
	f := strings.SplitN(record, " ", 9)
	if len(f) != 9 || len(f[1]) != 2 || f[8] == "" {
		return Entry{}, fmt.Errorf("malformed entry %.120q", record)
	}
	e := Entry{Kind: KindChanged, Index: Code(f[1][0]), Worktree: Code(f[1][1]), Submodule: submodule(f[2]), HeadHash: hash(f[6]), IndexHash: hash(f[7]), Path: f[8]}
	return e, modes(record, f[3:6], &e.HeadMode, &e.IndexMode, &e.FileMode)
}

// parseRenamed reads "2 XY sub mH mI mW hH hI Xscore path"; the original path is
// the next record.
func parseRenamed(record string) (Entry, error) {
	f := strings.SplitN(record, " ", 10)
	if len(f) != 10 || len(f[1]) != 2 || len(f[8]) < 2 || f[9] == "" {
		return Entry{}, fmt.Errorf("malformed entry %.120q", record)
	}
	e := Entry{Kind: KindRenamed, Index: Code(f[1][0]), Worktree: Code(f[1][1]), Submodule: submodule(f[2]), HeadHash: hash(f[6]), IndexHash: hash(f[7]), Path: f[9]}
	var err error
	if e.Score, err = strconv.Atoi(f[8][1:]); err != nil {
		return Entry{}, fmt.Errorf("malformed score in %.120q", record)
	}
	return e, modes(record, f[3:6], &e.HeadMode, &e.IndexMode, &e.FileMode)
}

// parseUnmerged reads "u XY sub m1 m2 m3 mW h1 h2 h3 path".
func parseUnmerged(record string) (Entry, error) {
	f := strings.SplitN(record, " ", 11)
	if len(f) != 11 || len(f[1]) != 2 || f[10] == "" {
		return Entry{}, fmt.Errorf("malformed entry %.120q", record)
	}
	e := Entry{Kind: KindUnmerged, Index: Code(f[1][0]), Worktree: Code(f[1][1]), Submodule: submodule(f[2]), Path: f[10]}
	return e, modes(record, f[6:7], &e.FileMode)
}

func modes(record string, fields []string, into ...*uint32) error {
	for i, field := range fields {
		mode, err := strconv.ParseUint(field, 8, 32)
		if err != nil {
			return fmt.Errorf("malformed mode in %.120q", record)
		}
		*into[i] = uint32(mode)
	}
	return nil
}

// submodule returns "" for the "N..." of ordinary files.
func submodule(field string) string {
	if strings.HasPrefix(field, "S") {
		return field
	}
	return ""
}

// hash returns "" for git's all-zero hash, which stands for no object.
func hash(field string) string {
	if strings.Trim(field, "0") == "" {
		return ""
	}
	return field
}
