package filesystem

import (
	"context"
	"time"
)

// Trace observes a [Service]. Each function may be nil, which costs next to
// nothing, and must be safe for concurrent use. They are called within the
// operation, so they should return soon.
type Trace struct {
	// Done is told how each operation went that Operation.Name lists; what is
	// looked up or iterated otherwise costs no call.
	Done func(ctx context.Context, op Operation)

	// Wrote is told each path that was changed, also by a program that was run
	// and by others while [Service.Track] watches.
	Wrote func(ctx context.Context, path string, generation uint64)

	// Searched is told what a search found.
	Searched func(ctx context.Context, q Query, r *SearchResult)
}

// Operation is something that a [Service] did.
type Operation struct {
	// Name is "read", "write", "append", "mkdir", "chmod", "remove", "rename",
	// "copy", "edit", "patch", "list", "search" or "run".
	Name string

	Path     string // as the caller gave it; the program of "run", "" of "patch"
	Bytes    int64  // read, written or searched; of "edit" and "patch" of the diff
	Duration time.Duration
	Err      error // nil when it succeeded
}

// begin returns when an operation began, if anybody wants to know.
func (s *Service) begin() (t time.Time) {
	if s.opts.Trace.Done != nil {
		t = time.Now()
	}
	return t
}

// done ends an operation that began at a time from begin.
func (s *Service) done(ctx context.Context, began time.Time, name, path string, bytes int64, err error) {
	if err != nil || s.opts.Trace.Done != nil {
		s.report(ctx, began, name, path, bytes, err)
	}
}

func (s *Service) report(ctx context.Context, began time.Time, name, path string, bytes int64, err error) {
	if err != nil {
		s.failed.Add(1)
	}
	if done := s.opts.Trace.Done; done != nil {
		done(ctx, Operation{name, path, bytes, time.Since(began), err})
	}
}
