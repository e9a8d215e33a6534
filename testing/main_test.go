package testing

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	stdtesting "testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *stdtesting.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newService(t stdtesting.TB, opts Options, resources map[string]Resource) *Service {
	t.Helper()
	opts.Logger = quiet
	s := New(opts)
	for name, r := range resources {
		require.NoError(t, s.Register(name, r))
	}
	return s
}

// switchable is a resource whose outcome a test sets.
type switchable struct {
	mu   sync.Mutex
	err  error
	runs int
	seen []Request
}

func (r *switchable) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *switchable) Test(_ context.Context, req Request) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	r.seen = append(r.seen, req)
	if r.err != nil {
		return Result{Status: Failed, Output: r.err.Error(), Command: "check"}
	}
	return Result{Status: Passed}
}

// tree is a workspace with generations.
type tree struct {
	mu           sync.Mutex
	gen, cleaned uint64
	changed      []string
}

func (w *tree) write(paths ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen++
	w.changed = append(w.changed, paths...)
}

func (w *tree) Dirty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gen > w.cleaned
}

func (w *tree) WriteGeneration() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gen
}

func (w *tree) MarkClean(gen uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cleaned = max(w.cleaned, gen); w.cleaned == w.gen {
		w.changed = nil
	}
}

func (w *tree) Changed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.changed...)
}

var errRed = errors.New("want 5, got 7")
