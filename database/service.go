package database

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// Defaults of [Options].
const (
	DefaultMaxRows  = 1000
	DefaultMaxBytes = 1 << 20
	DefaultTimeout  = 30 * time.Second
)

// Options configure a [Service].
type Options struct {
	// MaxRows and MaxBytes bound one result; beyond them it is cut and says
	// so. Bytes are those of the values. 0 means the defaults; negative means no
	// bound.
	MaxRows, MaxBytes int

	// Timeout bounds one call. 0 means [DefaultTimeout].
	Timeout time.Duration

	// Approve is asked before every write. Nil refuses them all. It runs
	// outside of any transaction and may take its time; an error refuses too.
	Approve func(ctx context.Context, w Write) (bool, error)

	// CacheTTL is how long a query's result may be given again, until a write
	// to the same provider. 0 means that nothing is cached.
	CacheTTL time.Duration

	// CacheSize is how many results are cached. 0 means 128.
	CacheSize int

	// Trace observes the service. The zero value costs nothing.
	Trace Trace
}

// Write is a statement that wants to change data.
type Write struct {
	Provider string
	SQL      string
	Args     []any
}

// Trace is a set of functions that a service calls after each statement. Any may
// be nil. They must be safe for concurrent use.
type Trace struct {
	Query   func(Call)
	Execute func(Call)
	Refused func(Call) // by a check or an approval, before the database saw it
}

// Call is what became of one statement.
type Call struct {
	Provider string
	SQL      string
	Took     time.Duration
	Rows     int
	Cached   bool
	Err      error
}

// Stats are counters since the service was made.
type Stats struct {
	Queries   int64 `json:"queries"`
	CacheHits int64 `json:"cacheHits"`
	Writes    int64 `json:"writes"`
	Refused   int64 `json:"refused"`
	Failed    int64 `json:"failed"`
	Truncated int64 `json:"truncated"`
}

// Service gives access to named databases. It is safe for concurrent use.
type Service struct {
	opts      Options
	providers *registry.Keyed[*Provider]
	cache     *resultCache
	checks    checks

	queries, hits, writes, refused, failed, truncated atomic.Int64
}

// New returns a service without providers.
func New(opts Options) *Service {
	opts.MaxRows = orDefault(opts.MaxRows, DefaultMaxRows)
	opts.MaxBytes = orDefault(opts.MaxBytes, DefaultMaxBytes)
	opts.Timeout = orDefault(opts.Timeout, DefaultTimeout)
	s := &Service{opts: opts, providers: registry.NewKeyed[*Provider]("database"), checks: newChecks()}
	if opts.CacheTTL > 0 {
		s.cache = newResultCache(orDefault(opts.CacheSize, 128), opts.CacheTTL)
	}
	return s
}

// Providers is the registry of the providers, to list, watch and remove them.
// Add one with [Service.Register].
func (s *Service) Providers() *registry.Keyed[*Provider] { return s.providers }

// Stats returns the counters.
func (s *Service) Stats() Stats {
	return Stats{
		Queries: s.queries.Load(), CacheHits: s.hits.Load(), Writes: s.writes.Load(),
		Refused: s.refused.Load(), Failed: s.failed.Load(), Truncated: s.truncated.Load(),
	}
}

// Context yields one text that lists the databases, to be put in front of a
// model; nothing if there are none.
func (s *Service) Context(context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		if s.providers.Len() > 0 {
			yield("Databases that can be queried:\n" + s.list())
		}
	}
}

func (s *Service) list() string {
	var b strings.Builder
	for name, p := range s.providers.All() {
		access := "read only"
		if p.AllowWrites && s.opts.Approve != nil {
			access = "writes on approval"
		}
		fmt.Fprintf(&b, "- %s (%s, %s)", name, p.Dialect, access)
		if p.Description != "" {
			b.WriteString(": " + p.Description)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (s *Service) names() string {
	names := slices.Collect(s.providers.Names())
	if len(names) == 0 {
		return "none is registered"
	}
	return strings.Join(names, ", ")
}

// refuse notes a statement that a check stopped.
func (s *Service) refuse(p *Provider, query string, err error) error {
	s.refused.Add(1)
	if s.opts.Trace.Refused != nil {
		s.opts.Trace.Refused(Call{Provider: p.Name, SQL: query, Err: err})
	}
	return err
}

// done notes a statement that the database saw.
func (s *Service) done(trace func(Call), p *Provider, query string, start time.Time, r *Result, err error) {
	if err != nil {
		s.failed.Add(1)
	}
	if trace != nil {
		c := Call{Provider: p.Name, SQL: query, Took: time.Since(start), Err: err}
		if r != nil {
			c.Rows = len(r.Rows)
		}
		trace(c)
	}
}
