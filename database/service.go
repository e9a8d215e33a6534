package database

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
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
	// MaxRows and MaxBytes bound one result; beyond them it is cut after a row and
	// says so. Bytes are those of the values; drivers hold each value whole before
	// it is counted. 0 means the defaults; negative means no bound.
	MaxRows, MaxBytes int

	// Timeout bounds one call, without the approval of a write. 0 or less means
	// [DefaultTimeout]. See [SQLite] and [MySQL] for statements that go on after it.
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

// Service gives access to named databases. It is safe for concurrent use.
type Service struct {
	opts      Options
	providers *registry.Keyed[*Provider]
	cache     *resultCache
	checks    checks
	readers   readers // of SQLite

	counters
}

// New returns a service without providers.
func New(opts Options) *Service {
	opts.MaxRows = orDefault(opts.MaxRows, DefaultMaxRows)
	opts.MaxBytes = orDefault(opts.MaxBytes, DefaultMaxBytes)
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	s := &Service{opts: opts, providers: registry.NewKeyed[*Provider]("database"), checks: newChecks(), readers: make(readers)}
	if opts.CacheTTL > 0 {
		s.cache = newResultCache(orDefault(opts.CacheSize, 128), opts.CacheTTL)
	}
	return s
}

// Providers is the registry of the providers, to list, watch and remove them.
// Add one with [Service.Register].
func (s *Service) Providers() *registry.Keyed[*Provider] { return s.providers }

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
