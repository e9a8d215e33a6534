package agent

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet keeps expected errors out of the test output.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newManager(t testing.TB, opts ManagerOptions, types ...Type) *Manager {
	t.Helper()
	if opts.Logger == nil {
		opts.Logger = quiet
	}
	m := NewManager(opts)
	for _, typ := range types {
		require.NoError(t, m.RegisterType(typ))
	}
	t.Cleanup(func() { require.NoError(t, m.Shutdown(context.Background())) })
	return m
}

func spawn(t testing.TB, m *Manager, opts SpawnOptions) *Agent {
	t.Helper()
	a, err := m.Spawn(context.Background(), "test", opts)
	require.NoError(t, err)
	return a
}

// handle makes a type whose inputs run fn.
func handle(fn func(ctx context.Context, a *Agent, in Input) error) Type {
	return Type{Name: "test", Handle: fn}
}

// events returns what the log of a holds.
func events(a *Agent) []Event {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var list []Event
	last := a.LastSeq()
	if last == 0 {
		return nil
	}
	for ev, err := range a.Events(ctx, 0) {
		if err != nil {
			break
		}
		list = append(list, ev)
		if ev.Seq >= last {
			break
		}
	}
	return list
}

func bodiesOf[B Body](list []Event) []B {
	var out []B
	for _, ev := range list {
		if b, ok := ev.Body.(B); ok {
			out = append(out, b)
		}
	}
	return out
}

// notes is a slice in the simplest form.
type notes struct {
	mu         sync.Mutex
	Lines      []string
	marshalled int
	fail       error
}

func (n *notes) add(lines ...string) {
	n.mu.Lock()
	n.Lines = append(n.Lines, lines...)
	n.mu.Unlock()
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.Lines)
}

func (n *notes) MarshalJSON() ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.marshalled++
	if n.fail != nil {
		return nil, n.fail
	}
	return json.Marshal(n.Lines)
}

func (n *notes) UnmarshalJSON(data []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return json.Unmarshal(data, &n.Lines)
}

func (n *notes) Reset(scope string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if scope == "all" || scope == "memory" {
		n.Lines = nil
	}
}

// diary is a slice that can say what was appended.
type diary struct {
	notes
	epoch uint64
}

func (d *diary) Delta(mark uint64) ([]byte, uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.epoch<<32 | uint64(len(d.Lines))
	from := int(uint32(mark))
	if mark>>32 != d.epoch || from > len(d.Lines) {
		return nil, now, false
	}
	data, _ := json.Marshal(d.Lines[from:])
	return data, now, true
}

func (d *diary) ApplyDelta(delta []byte) error {
	var lines []string
	if err := json.Unmarshal(delta, &lines); err != nil {
		return err
	}
	d.add(lines...)
	return nil
}

// rewrite changes what was there, so that no delta describes it.
func (d *diary) rewrite(lines ...string) {
	d.mu.Lock()
	d.Lines = lines
	d.epoch++
	d.mu.Unlock()
}

// counter is a slice with a generation.
type counter struct {
	mu         sync.Mutex
	n          int
	gen        uint64
	marshalled int
}

func (c *counter) add() {
	c.mu.Lock()
	c.n++
	c.gen++
	c.mu.Unlock()
}

func (c *counter) value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *counter) Generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

func (c *counter) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.marshalled++
	return json.Marshal(c.n)
}

func (c *counter) UnmarshalJSON(data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	return json.Unmarshal(data, &c.n)
}

func (c *counter) Reset(string) {
	c.mu.Lock()
	c.n = 0
	c.gen++
	c.mu.Unlock()
}

// long says that proofs run in full.
func long() bool { return os.Getenv("TOKENRING_LONG") == "1" }
