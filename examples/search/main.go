// Command search searches file contents as ripgrep does, on package filesystem.
//
//	search [flags] PATTERN [DIR]
//	search --files [flags] [DIR]
//
// It prints path:line:text and exits with status 0 when something was found, 1
// when nothing was, and 2 on an error, even when something was found. Ignored,
// hidden and binary files are left out.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tokenring-ai/tokenring-go/filesystem"
)

func main() {
	// A program that ends soon need not tidy up often.
	debug.SetGCPercent(800)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// settings are what the command line says.
type settings struct {
	query    filesystem.Query
	root     string
	dir      string // below root
	prefix   string // put before the paths that are printed
	file     string // the only one to search, as the user named it
	files    bool
	names    bool
	json     bool
	colour   bool
	limited  bool
	index    bool
	noIgnore bool
	hidden   bool
	repeat   int
}

// list collects a flag that may be given several times.
type list []string

func (l *list) String() string     { return fmt.Sprint(*l) }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func parse(args []string, stderr io.Writer) (*settings, error) {
	var s settings
	var expressions, texts, globs, types list
	var around, before, after int
	var ignoreCase, smartCase, noLimit, limit bool
	var colour string
	fs := flag.NewFlagSet("search", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // of all but help the error tells
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: search [flags] PATTERN [DIR]\n       search --files [flags] [DIR]")
		fs.PrintDefaults()
	}
	fs.Var(&expressions, "e", "search for this regular expression (may be repeated)")
	fs.Var(&texts, "F", "search for this text (may be repeated)")
	fs.Var(&globs, "g", "search files that match this glob, or with ! do not (may be repeated)")
	fs.Var(&types, "t", "search files of this type, such as go (may be repeated)")
	fs.BoolVar(&s.query.Word, "w", false, "match whole words")
	fs.BoolVar(&ignoreCase, "i", false, "ignore case")
	fs.BoolVar(&smartCase, "S", false, "ignore case unless the pattern has an upper-case letter")
	fs.BoolVar(&s.query.Multiline, "U", false, "let a match span lines")
	fs.IntVar(&around, "C", 0, "lines to show around each match")
	fs.IntVar(&before, "B", 0, "lines to show before each match")
	fs.IntVar(&after, "A", 0, "lines to show after each match")
	fs.BoolVar(&s.names, "l", false, "print only the names of files")
	fs.BoolVar(&s.files, "files", false, "print the names of the files that would be searched")
	fs.BoolVar(&s.json, "json", false, "print JSON, one object per file")
	fs.BoolVar(&noLimit, "no-limit", false, "print everything (the default; --limit bounds it as for a model)")
	fs.BoolVar(&limit, "limit", false, "bound the output as for a model")
	fs.BoolVar(&s.index, "index", false, "keep an index in memory, for --repeat")
	fs.IntVar(&s.repeat, "repeat", 1, "search this often and print the time of each round to stderr")
	fs.BoolVar(&s.hidden, "hidden", false, "search hidden files too")
	fs.BoolVar(&s.noIgnore, "no-ignore", false, "search ignored files too")
	fs.IntVar(&s.query.Workers, "j", 0, "number of workers")
	fs.StringVar(&colour, "color", "auto", "auto, always or never")
	rest, err := parseAnywhere(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		fs.SetOutput(stderr)
		fs.Usage()
	}
	if err != nil {
		return nil, err
	}
	switch {
	case min(around, before, after, s.query.Workers) < 0:
		return nil, errors.New("-A, -B, -C and -j: want 0 or more")
	case !slices.Contains([]string{"auto", "always", "never"}, colour):
		return nil, fmt.Errorf("-color %s: want auto, always or never", colour)
	case s.files:
	case len(expressions) > 0 && len(texts) > 0:
		return nil, errors.New("give either -e or -F")
	case len(expressions) > 0:
		s.query.Patterns, s.query.Regexp = expressions, true
	case len(texts) > 0:
		s.query.Patterns = texts
	case len(rest) == 0:
		return nil, errors.New("no pattern; see search -h")
	default:
		s.query.Patterns, s.query.Regexp = rest[:1], true
		rest = rest[1:]
	}
	if len(rest) > 1 {
		return nil, fmt.Errorf("more than one directory: %q", rest)
	}
	s.root, s.dir = ".", "."
	if len(rest) == 1 {
		s.prefix = filepath.ToSlash(rest[0])
		info, err := os.Stat(rest[0])
		if err != nil {
			return nil, err
		}
		s.root = rest[0]
		if !info.IsDir() {
			// A symlink that the user names may lead anywhere.
			real, err := filepath.EvalSymlinks(rest[0])
			if err != nil {
				return nil, err
			}
			s.file = rest[0]
			s.root, s.dir = filepath.Split(real)
			s.root = cmp.Or(s.root, ".")
		}
	}
	s.query.Globs, s.query.Types = globs, types
	s.query.NoHidden, s.query.NoIgnore = !s.hidden, s.noIgnore
	s.query.Before, s.query.After = max(around, before), max(around, after)
	switch {
	case ignoreCase:
		s.query.Case = filesystem.CaseInsensitive
	case smartCase:
		s.query.Case = filesystem.CaseSmart
	}
	if s.names {
		s.query.Detail = filesystem.DetailNames
	}
	if s.limited = limit && !noLimit; !s.limited {
		s.query.MaxFiles, s.query.MaxMatches, s.query.MaxBytes = -1, -1, -1
	}
	s.colour = colour == "always" || colour == "auto" && !s.json && isTerminal(os.Stdout)
	s.query.Spans = s.colour || s.json
	s.query.Dir = s.dir
	return &s, nil
}

// parseAnywhere parses flags before, between and behind the other arguments,
// which it returns. Everything behind "--" is one of them.
func parseAnywhere(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		left := fs.Args()
		if ended := len(args) - len(left); len(left) == 0 || ended > 0 && args[ended-1] == "--" {
			return append(rest, left...), nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	found := false
	if err == nil {
		found, err = s.run(ctx, stdout, stderr)
	}
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "search:", err)
		return 2
	case found:
		return 0
	}
	return 1
}

func (s *settings) run(ctx context.Context, stdout, stderr io.Writer) (found bool, err error) {
	files, err := filesystem.New(filesystem.Options{
		Root:       s.root,
		Index:      s.index,
		IndexWatch: s.index,
		Ignore:     filesystem.IgnoreOptions{NoDefaults: true},
	})
	if err != nil {
		return false, err
	}
	defer files.Close()
	out := newPrinter(stdout, s)
	defer func() { err = errors.Join(err, out.flush()) }()
	if s.files {
		return s.list(ctx, files, out, stderr)
	}
	for round := range max(s.repeat, 1) {
		began := time.Now()
		result, err := files.Search(ctx, s.query)
		if err != nil {
			return false, err
		}
		s.tell(stderr, round, began, "%d lines in %d files, %d files searched", result.TotalMatches, result.TotalFiles, result.Searched)
		if round > 0 {
			continue
		}
		for _, f := range result.Files {
			out.file(f)
		}
		if result.Degraded != "" {
			fmt.Fprintln(stderr, "search:", result.Degraded)
		}
		for _, e := range result.Errors {
			fmt.Fprintln(stderr, "search:", e)
		}
		found = result.TotalFiles > 0
		if result.ErrorCount > 0 {
			return found, fmt.Errorf("%d files could not be read", result.ErrorCount)
		}
	}
	return found, nil
}

// tell prints the time of a round when there are several.
func (s *settings) tell(stderr io.Writer, round int, began time.Time, format string, args ...any) {
	if s.repeat > 1 {
		fmt.Fprintf(stderr, "round %d: %s, %s\n", round+1, time.Since(began), fmt.Sprintf(format, args...))
	}
}
