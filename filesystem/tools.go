package filesystem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/command"
	"github.com/tokenring-ai/tokenring-go/utility/text"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tools returns the actions that a model may call: read, write, edit, patch,
// search, glob, tree and run. Names that they take are confined to the root. They ask
// nobody: what a call would write or run is in its Effects, and what an edit
// would change in its Preview.
func (s *Service) Tools() []tool.Tool {
	tools := []tool.Tool{s.readTool(), s.writeTool(), s.editTool(), s.patchTool(), s.searchTool(), s.globTool(), s.treeTool()}
	if _, ok := s.Provider().(Executor); ok && !s.opts.Run.Disabled {
		tools = append(tools, s.runTool())
	}
	return tools
}

// effect makes the Effects function of a tool that touches one path.
func effect(kind tool.EffectKind) func(json.RawMessage) []tool.Effect {
	return func(args json.RawMessage) []tool.Effect {
		var in struct {
			Path string `json:"path"`
		}
		if json.Unmarshal(args, &in) != nil || in.Path == "" {
			return []tool.Effect{{Kind: kind}}
		}
		return []tool.Effect{{Kind: kind, Target: in.Path}}
	}
}

type readArgs struct {
	Path   string `json:"path" jsonschema:"file to read, relative to the root"`
	Offset int    `json:"offset,omitempty" jsonschema:"first line to read, from 1"`
	Limit  int    `json:"limit,omitempty" jsonschema:"number of lines to read; default 1000"`
}

// readLimit is the number of lines that the read tool returns by default.
const readLimit = 1000

func (s *Service) readTool() tool.Tool {
	return tool.New("read", "Reads a text file and returns its lines with their numbers. Use offset and limit for a part of a long file.",
		func(ctx context.Context, in readArgs) (string, error) {
			limit := in.Limit
			if limit <= 0 {
				limit = readLimit
			}
			// The content that counts as known is the one from before: a change
			// in between is noticed by the next edit.
			var before []byte
			clean, unreadable := s.clean(in.Path)
			if unreadable == nil {
				before, unreadable = s.readClean(ctx, s.tree(), clean)
			}
			w, err := s.ReadLines(ctx, in.Path, in.Offset, limit)
			if err != nil {
				return "", s.suggest(ctx, in.Path, err)
			}
			if unreadable == nil {
				s.know(clean, before)
			}
			out := w.String()
			switch {
			case len(w.Lines) == 0 && w.Total == 0:
				return "(the file is empty)", nil
			case len(w.Lines) == 0:
				return "", fmt.Errorf("read %s: line %d is behind the end, the file has %d lines", w.Path, w.First, w.Total)
			case w.More:
				out += fmt.Sprintf("(more lines follow; continue with offset %d)\n", w.First+len(w.Lines))
			}
			return out, nil
		},
		tool.Options{Annotations: tool.Annotations{Title: "Read file", ReadOnly: true}, Effects: effect(tool.Read), Logger: s.opts.Logger})
}

// suggest adds files of a similar name to the error about a missing one.
func (s *Service) suggest(ctx context.Context, name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		name = missing.Path // of several
	}
	base := strings.ToLower(name[strings.LastIndexByte(name, '/')+1:])
	var near []string
	seen := 0
	for e, werr := range s.Walk(ctx, WalkOptions{}) {
		if seen++; seen > 20_000 || len(near) == 5 {
			break
		}
		if werr == nil && e.IsRegular() && strings.ToLower(e.Name()) == base {
			near = append(near, e.Path)
		}
	}
	if len(near) == 0 {
		return fmt.Errorf("%w; use glob or tree to see what is there", err)
	}
	return fmt.Errorf("%w; files of that name are: %s", err, strings.Join(near, ", "))
}

type writeArgs struct {
	Path    string `json:"path" jsonschema:"file to write, relative to the root"`
	Content string `json:"content" jsonschema:"the whole new content"`
}

func (s *Service) writeTool() tool.Tool {
	return tool.New("write", "Creates a file or replaces its whole content. Read an existing file first; to change a part of it, use edit.",
		func(ctx context.Context, in writeArgs) (string, error) {
			return s.replace(ctx, in.Path, []byte(in.Content), true)
		},
		tool.Options{
			Annotations: tool.Annotations{Title: "Write file", Destructive: true, Idempotent: true},
			Effects:     effect(tool.Write),
			Logger:      s.opts.Logger,
			Preview: func(ctx context.Context, args json.RawMessage) (string, error) {
				var in writeArgs
				if err := json.Unmarshal(args, &in); err != nil {
					return "", fmt.Errorf("preview of write: %w", err)
				}
				return s.replace(ctx, in.Path, []byte(in.Content), false)
			},
		})
}

// replace writes a whole file for the write tool, or returns the difference
// that this would make.
func (s *Service) replace(ctx context.Context, name string, data []byte, write bool) (_ string, err error) {
	if began := s.begin(); write {
		defer func() { s.done(ctx, began, "write", name, int64(len(data)), err) }()
	}
	clean, err := s.clean(name)
	if err != nil {
		return "", err
	}
	s.edits.Lock()
	defer s.edits.Unlock()
	t := s.tree()
	old, err := s.readClean(ctx, t, clean)
	before := clean
	switch {
	case errors.Is(err, fs.ErrNotExist):
		before = ""
	case err != nil:
		return "", err
	case len(old) > 0 && string(old) != string(data):
		if seen, same := s.known(clean, old); !seen {
			return "", fmt.Errorf("write %s: the file exists and has %d bytes; read it first, or use edit to change a part of it", clean, len(old))
		} else if !same {
			return "", fmt.Errorf("write %s: the file %w; read it again first", clean, ErrStale)
		}
	}
	if !write {
		if _, err := s.writable(t, clean); err != nil {
			return "", err
		}
		return UnifiedDiff(before, clean, string(old), string(data)), nil
	}
	if err := s.writeClean(ctx, t, clean, data); err != nil {
		return "", err
	}
	done := "replaced"
	if before == "" {
		done = "created"
	}
	return fmt.Sprintf("%s %s, %d lines", done, clean, len(splitLines(string(data)))), nil
}

type editArgs struct {
	Path  string     `json:"path" jsonschema:"file to change, relative to the root"`
	Edits []editItem `json:"edits" jsonschema:"changes, applied one after the other; all or none"`
}

type editItem struct {
	Old  string `json:"old,omitempty" jsonschema:"text to replace; it must occur exactly once, so give enough of its surroundings. Empty to insert or to create a file"`
	New  string `json:"new" jsonschema:"text to put there"`
	All  bool   `json:"all,omitempty" jsonschema:"replace every occurrence"`
	Line int    `json:"line,omitempty" jsonschema:"with an empty old text: insert before this line, from 1"`
}

func (in editArgs) list() []Edit {
	edits := make([]Edit, len(in.Edits))
	for i, e := range in.Edits {
		edits[i] = Edit(e)
	}
	return edits
}

func (s *Service) editTool() tool.Tool {
	return tool.New("edit", "Replaces text in a file, inserts lines, or creates a file, and returns the difference as a unified diff. All edits of a call apply or none.",
		func(ctx context.Context, in editArgs) (string, error) {
			r, err := s.Edit(ctx, in.Path, in.list()...)
			if err != nil {
				return "", s.suggest(ctx, in.Path, err)
			}
			return r.text(), nil
		},
		tool.Options{
			Annotations: tool.Annotations{Title: "Edit file", Destructive: true},
			Effects:     effect(tool.Write),
			Logger:      s.opts.Logger,
			Preview: func(ctx context.Context, args json.RawMessage) (string, error) {
				var in editArgs
				if err := json.Unmarshal(args, &in); err != nil {
					return "", fmt.Errorf("preview of edit: %w", err)
				}
				r, err := s.PreviewEdit(ctx, in.Path, in.list()...)
				return r.Diff, err
			},
		})
}

func (r EditResult) text() string {
	var b strings.Builder
	switch {
	case r.Created:
		fmt.Fprintf(&b, "created %s\n", r.Path)
	case r.Diff == "":
		fmt.Fprintf(&b, "%s already has this content; nothing was changed\n", r.Path)
	}
	for _, n := range r.Notes {
		b.WriteString("note: " + n + "\n")
	}
	b.WriteString(r.Diff)
	return b.String()
}

type searchArgs struct {
	Pattern    string   `json:"pattern" jsonschema:"text to search for, or a regular expression (RE2) with regexp"`
	Regexp     bool     `json:"regexp,omitempty" jsonschema:"the pattern is a regular expression"`
	Word       bool     `json:"word,omitempty" jsonschema:"match whole words only"`
	IgnoreCase bool     `json:"ignore_case,omitempty" jsonschema:"upper and lower case are the same"`
	Dir        string   `json:"dir,omitempty" jsonschema:"directory or file to search; default the root"`
	Globs      []string `json:"globs,omitempty" jsonschema:"search only files that match, such as *.go; with ! in front, leave them out"`
	Context    int      `json:"context,omitempty" jsonschema:"lines to show before and after each match"`
	Names      bool     `json:"names,omitempty" jsonschema:"give only the names of files"`
}

func (s *Service) searchTool() tool.Tool {
	return tool.New("search", "Searches the content of files and returns path:line:text, sorted. Ignored and binary files are left out. With too many matches it returns the names of files with their number of matches.",
		func(ctx context.Context, in searchArgs) (string, error) {
			q := Query{Patterns: []string{in.Pattern}, Regexp: in.Regexp, Word: in.Word, Dir: in.Dir, Globs: in.Globs, Before: in.Context, After: in.Context}
			if in.IgnoreCase {
				q.Case = CaseInsensitive
			}
			if in.Names {
				q.Detail = DetailNames
			}
			r, err := s.Search(ctx, q)
			if err != nil {
				return "", err
			}
			return r.String(), nil
		},
		tool.Options{Annotations: tool.Annotations{Title: "Search files", ReadOnly: true}, Logger: s.opts.Logger})
}

type globArgs struct {
	Pattern string `json:"pattern" jsonschema:"such as **/*_test.go or cmd/{a,b}/*.go"`
}

// globLimit is the number of paths that the glob tool returns.
const globLimit = 500

func (s *Service) globTool() tool.Tool {
	return tool.New("glob", "Lists the files whose path matches a pattern, sorted. Ignored files are left out.",
		func(ctx context.Context, in globArgs) (string, error) { return s.globText(ctx, in.Pattern) },
		tool.Options{Annotations: tool.Annotations{Title: "Find files", ReadOnly: true}, Logger: s.opts.Logger})
}

// globText lists what a pattern matches, and says what is missing in the list.
func (s *Service) globText(ctx context.Context, pattern string) (string, error) {
	var b strings.Builder
	n, unread := 0, []error(nil)
	for name, err := range s.Glob(ctx, pattern, GlobOptions{}) {
		switch {
		case err != nil && name == "":
			return "", err
		case err != nil:
			unread = append(unread, err)
		default:
			if n++; n <= globLimit {
				b.WriteString(name + "\n")
			}
		}
	}
	if n == 0 {
		b.WriteString("no file matches\n")
	}
	if n > globLimit {
		fmt.Fprintf(&b, "(%d files match; the first %d are listed)\n", n, globLimit)
	}
	if len(unread) > 0 {
		fmt.Fprintf(&b, "(%d directories could not be read, such as: %v)\n", len(unread), unread[0])
	}
	return b.String(), nil
}

type treeArgs struct {
	Dir   string `json:"dir,omitempty" jsonschema:"directory to list; default the root"`
	Depth int    `json:"depth,omitempty" jsonschema:"levels to list; default 3"`
}

func (s *Service) treeTool() tool.Tool {
	return tool.New("tree", "Lists directories and files as an indented tree. Ignored files are left out.",
		func(ctx context.Context, in treeArgs) (string, error) {
			return s.Tree(ctx, in.Dir, TreeOptions{MaxDepth: max(in.Depth, 0)})
		},
		tool.Options{Annotations: tool.Annotations{Title: "List tree", ReadOnly: true}, Logger: s.opts.Logger})
}

type runArgs struct {
	Argv    []string `json:"argv,omitempty" jsonschema:"program and arguments, without a shell"`
	Shell   string   `json:"shell,omitempty" jsonschema:"command line for sh, instead of argv"`
	Dir     string   `json:"dir,omitempty" jsonschema:"directory to run in; default the root"`
	Timeout int      `json:"timeout,omitempty" jsonschema:"seconds until the command is stopped"`
}

func (in runArgs) argv() ([]string, error) {
	switch {
	case (len(in.Argv) > 0) == (in.Shell != ""):
		return nil, errors.New("run: give either argv or shell")
	case in.Shell != "":
		return command.Shell(in.Shell), nil
	}
	return in.Argv, nil
}

func (s *Service) runTool() tool.Tool {
	return tool.New("run", "Runs a program without input and returns its exit status and output. It is stopped with all it started when the time is over.",
		func(ctx context.Context, in runArgs) (tool.Result, error) {
			argv, err := in.argv()
			if err != nil {
				return tool.Result{}, err
			}
			r, err := s.Run(ctx, argv, in.Dir, time.Duration(in.Timeout)*time.Second)
			exit, failed := errors.AsType[*command.ExitError](err)
			failed = failed && exit.Err == nil // ended by itself
			if err != nil && !failed && !r.TimedOut {
				return tool.Result{}, err
			}
			out := r.Combined().String()
			if out != "" && !strings.HasSuffix(out, "\n") {
				out += "\n"
			}
			switch {
			case r.TimedOut:
				out += fmt.Sprintf("(stopped after %s: the time was over)", r.Duration.Round(time.Second))
			case failed:
				out += "(" + exit.Error() + ")"
			default:
				out += "(exit status 0)"
			}
			return tool.Result{Text: out, IsError: err != nil}, nil
		},
		tool.Options{
			Annotations: tool.Annotations{Title: "Run command", Destructive: true, OpenWorld: true},
			Logger:      s.opts.Logger,
			Effects: func(args json.RawMessage) []tool.Effect {
				var in runArgs
				if json.Unmarshal(args, &in) != nil {
					return []tool.Effect{{Kind: tool.Exec}}
				}
				if in.Shell != "" {
					return []tool.Effect{{Kind: tool.Exec, Target: in.Shell}}
				}
				return []tool.Effect{{Kind: tool.Exec, Target: text.Quote(in.Argv...)}}
			},
		})
}
