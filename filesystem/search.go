package filesystem

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of a [Query]'s limits.
const (
	DefaultMaxFiles   = 50
	DefaultMaxMatches = 50
	DefaultMaxBytes   = 48 << 10
)

// Case says how letters are compared.
type Case int

const (
	CaseSensitive   Case = iota
	CaseInsensitive      // by Unicode's simple folding
	CaseSmart            // insensitive unless a pattern contains an upper-case letter
)

// Query says what to search for. A line matches when any of the patterns
// matches within it.
type Query struct {
	// Patterns are texts, or regular expressions in the syntax of package
	// regexp when Regexp is set. There must be at least one.
	Patterns []string
	Regexp   bool

	// Word matches whole words only: no letter, digit or underscore stands
	// before or behind the match.
	Word bool

	// Case says how letters are compared.
	Case Case

	// Multiline lets a regular expression match across lines; '.' still does
	// not match a line's end unless the expression says so. Files over 256 MiB
	// are passed over then.
	Multiline bool

	// Dir is where to search. Empty means the root. A file is searched alone,
	// ignored or not.
	Dir string

	// Globs narrow the files, in the syntax of .gitignore turned around: a file
	// must match one of those that do not begin with '!', if there are any, and
	// the last one that matches decides.
	Globs []string

	// Types narrow the files by kind, such as "go" or "py"; see FileTypes.
	Types []string

	// NoIgnore and NoHidden are as in WalkOptions.
	NoIgnore, NoHidden bool

	// Before and After are the numbers of lines to show around a match.
	Before, After int

	// Detail is the most that the result shows of each file. The limits may
	// make it less.
	Detail Detail

	// Spans finds out what matches in each line that is shown.
	Spans bool

	// MaxFiles, MaxMatches (matching lines) and MaxBytes (of lines shown) bound
	// the result. 0 means the default, negative no bound. Over a limit the
	// result degrades: see SearchResult.
	MaxFiles, MaxMatches, MaxBytes int

	// MaxFileSize skips files over this size in bytes. 0 means no bound.
	MaxFileSize int64

	// Workers bounds the files that are searched at once. 0 means one per
	// processor.
	Workers int

	// NoIndex does not use the service's index.
	NoIndex bool
}

// Detail says how much a [SearchResult] shows.
type Detail int

const (
	DetailContent Detail = iota // matching lines and those around them
	DetailMatches               // matching lines
	DetailNames                 // names of files and how many lines match in each
)

func (d Detail) String() string {
	return [...]string{"content", "matches", "names"}[d]
}

// SearchResult holds what was found, sorted by path.
//
// Totals are always complete. The lines shown are all there are, or none: when
// there are more than MaxMatches matching lines or the text is longer than
// MaxBytes, the result goes from DetailContent to DetailMatches, which drops
// the lines around and allows four times as many matching ones, and from there,
// or over MaxFiles files, to DetailNames, of which the first MaxFiles are
// given. Degraded says so in words.
type SearchResult struct {
	Detail   Detail
	Files    []FileMatch
	Degraded string // why less is shown than was asked for; "" when all is

	TotalFiles   int // files that match
	TotalMatches int // lines that match
	Searched     int // files that were searched
	Bytes        int64
	Binary       int     // files passed over because they are not text
	TooLarge     int     // files passed over because of MaxFileSize, or from a line of 256 MiB on
	Errors       []error // files that could not be read, at most 20
	ErrorCount   int
}

// FileMatch is one file in which something was found.
type FileMatch struct {
	Path  string
	Count int    // lines that match
	Lines []Line // by number; lines of context in between
}

// Line is one line of a match or around it.
type Line struct {
	Number  int    // from 1
	Text    string // without its ending; over 4096 bytes it is cut
	Context bool   // the line itself does not match
	Spans   []Span // what matches in the line, with Query.Spans
	Cut     int    // bytes missing at the end of Text
}

// Span is a range of bytes in a line.
type Span struct{ Start, End int }

// Search searches file contents.
func (s *Service) Search(ctx context.Context, q Query) (found *SearchResult, err error) {
	began := s.begin()
	defer func() {
		size := int64(0)
		if found != nil {
			size = found.Bytes
		}
		s.done(ctx, began, "search", q.Dir, size, err)
	}()
	r, err := s.prepare(q)
	if err != nil {
		return nil, err
	}
	r.collect = true
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	s.searches.Add(1)
	result := r.result()
	if s.opts.Trace.Searched != nil {
		s.opts.Trace.Searched(ctx, q, result)
	}
	return result, nil
}

// SearchStream yields files in which something was found, without limits and
// as they are found, so in no particular order. What cannot be read is yielded
// as an error and does not end the search. When ctx ends, its error comes last.
func (s *Service) SearchStream(ctx context.Context, q Query) iter.Seq2[FileMatch, error] {
	return func(yield func(FileMatch, error) bool) {
		q.MaxFiles, q.MaxMatches, q.MaxBytes = -1, -1, -1
		r, err := s.prepare(q)
		if err != nil {
			yield(FileMatch{}, err)
			return
		}
		type item struct {
			match FileMatch
			err   error
		}
		ctx, cancel := context.WithCancel(ctx)
		out := make(chan item, 64)
		send := func(i item) bool {
			select {
			case out <- i:
				return true
			case <-ctx.Done():
				return false
			}
		}
		r.emit = func(m FileMatch) bool { return send(item{match: m}) }
		r.fail = func(err error) bool { return send(item{err: err}) }
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		group.Go(func() {
			defer close(out)
			if err := r.run(ctx); err != nil && ctx.Err() == nil {
				send(item{err: err})
			}
		})
		for i := range out {
			if !yield(i.match, i.err) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(FileMatch{}, err)
		}
	}
}

// searchRun is one search on its way.
type searchRun struct {
	q       Query
	tree    *tree
	dir     string
	matcher *matcher
	filter  *fileFilter
	collect bool
	emit    func(FileMatch) bool
	fail    func(error) bool

	required [][]gram // for the index
	began    time.Time

	workers []searchWorker
	lines   atomic.Int64 // matching lines kept so far
	bytes   atomic.Int64 // their text, as the limit counts it
	around  atomic.Int64 // the text of lines around them
	noLines atomic.Bool  // the result will be names, so no lines are kept
}

// searchWorker is what one worker needs and gathers, so that workers do not
// meet.
type searchWorker struct {
	*searchMemory
	state   *matchState
	matches []FileMatch

	searched, binary, tooLarge, errorCount int
	bytes                                  int64
	errors                                 []error
	record                                 *indexedFile // of the file that is looked at, for the index
	epoch                                  uint64
	skipped                                int
	_                                      [64]byte
}

func (s *Service) prepare(q Query) (*searchRun, error) {
	r := &searchRun{tree: s.tree(), dir: "."}
	limit := func(n *int, fallback int) {
		if *n == 0 {
			*n = fallback
		}
	}
	limit(&q.MaxFiles, DefaultMaxFiles)
	limit(&q.MaxMatches, DefaultMaxMatches)
	limit(&q.MaxBytes, DefaultMaxBytes)
	q.Before, q.After = max(q.Before, 0), max(q.After, 0)
	if q.Detail != DetailContent {
		q.Before, q.After = 0, 0
	}
	var err error
	if q.Dir != "" {
		if r.dir, err = s.clean(q.Dir); err != nil {
			return nil, err
		}
	}
	if r.matcher, err = newMatcher(q); err != nil {
		return nil, err
	}
	if r.filter, err = newFileFilter(q.Globs, q.Types); err != nil {
		return nil, err
	}
	r.q = q
	r.noLines.Store(q.Detail == DetailNames)
	return r, nil
}

func (r *searchRun) run(ctx context.Context) error {
	n := workers(r.q.Workers)
	r.workers = make([]searchWorker, n)
	for i := range r.workers {
		r.workers[i].searchMemory = takeSearchMemory()
		defer r.workers[i].giveBack()
	}
	if info, err := r.tree.provider.Stat(ctx, r.dir); err != nil {
		return err
	} else if !info.IsDir() {
		return r.single(ctx)
	}
	s := &scan{tree: r.tree, opts: WalkOptions{NoIgnore: r.q.NoIgnore, NoHidden: r.q.NoHidden, Workers: n}}
	if r.filter != nil {
		s.want = func(e Entry) bool { return r.filter.wants(e, r.dir) }
	}
	s.visit = r.visitRegular
	s.fail = func(w int, _ Entry, err error) bool { return r.failed(w, err) }
	x := r.tree.index
	if x == nil || r.q.NoIndex || r.q.Multiline {
		return s.run(ctx, r.dir)
	}
	s.visit = r.visitIndexed
	r.beginIndexed(x)
	err := s.run(ctx, r.dir)
	r.endIndexed(x, err == nil && !s.stopped.Load())
	return err
}

// single searches one file that was named.
func (r *searchRun) single(ctx context.Context) error {
	f, err := r.tree.openFile(ctx, r.dir)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	node := nodeFile{file: f, info: stampOf(info)}
	defer node.Close()
	r.search(0, &node, r.dir)
	return ctx.Err()
}

func (r *searchRun) failed(worker int, err error) bool {
	if r.fail != nil {
		return r.fail(err)
	}
	w := &r.workers[worker]
	if w.errorCount++; len(w.errors) < 20 {
		w.errors = append(w.errors, err)
	}
	return true
}

func (r *searchRun) visitRegular(worker int, dir dirNode, e Entry) bool {
	return !e.IsRegular() || r.visit(worker, dir, e)
}

func (r *searchRun) visit(worker int, dir dirNode, e Entry) bool {
	f, err := dir.open(e.Name())
	if err != nil {
		return r.failed(worker, fmt.Errorf("search %s: %w", e.Path, err))
	}
	defer f.Close()
	return r.search(worker, &f, e.Path)
}
