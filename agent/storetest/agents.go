package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// ledger is a slice that grows: the numbers 1 to n.
type ledger struct {
	mu sync.Mutex
	n  uint64
}

func (l *ledger) grow() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	return l.n
}

func (l *ledger) count() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func (l *ledger) lines(from, to uint64) []string {
	var list []string
	for i := from + 1; i <= to; i++ {
		list = append(list, fmt.Sprintf("line %d", i))
	}
	return list
}

func (l *ledger) MarshalJSON() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.Marshal(l.lines(0, l.n))
}

func (l *ledger) UnmarshalJSON(data []byte) error {
	l.Reset("all")
	return l.ApplyDelta(data)
}

func (l *ledger) Reset(string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n = 0
}

func (l *ledger) Delta(mark uint64) ([]byte, uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if mark > l.n {
		return nil, l.n, false
	}
	data, err := json.Marshal(l.lines(mark, l.n))
	return data, l.n, err == nil
}

func (l *ledger) ApplyDelta(delta []byte) error {
	var list []string
	if err := json.Unmarshal(delta, &list); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range list {
		l.n++
		if line != fmt.Sprintf("line %d", l.n) {
			return fmt.Errorf("found %q where line %d belongs", line, l.n)
		}
	}
	return nil
}

// blob is a slice that is rewritten: a text that follows from a number.
type blob struct {
	mu   sync.Mutex
	n    uint64
	size int
}

type blobForm struct {
	N    uint64 `json:"n"`
	Sum  uint32 `json:"sum"`
	Text string `json:"text"`
}

func (b *blob) set(n uint64, size int) {
	b.mu.Lock()
	b.n, b.size = n, size
	b.mu.Unlock()
}

func (b *blob) number() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (b *blob) MarshalJSON() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := strings.Repeat(fmt.Sprintf("%d ", b.n), b.size/8)
	return json.Marshal(blobForm{b.n, crc32.ChecksumIEEE([]byte(text)), text})
}

func (b *blob) UnmarshalJSON(data []byte) error {
	var form blobForm
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	if sum := crc32.ChecksumIEEE([]byte(form.Text)); sum != form.Sum {
		return fmt.Errorf("blob %d has sum %d, it says %d", form.N, sum, form.Sum)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n = form.N
	return nil
}

func (b *blob) Reset(string) { b.set(0, 0) }

const typeName = "storetest"

func newManager(s agent.Store, opts agent.ManagerOptions) (*agent.Manager, error) {
	opts.Store, opts.Logger = s, discard
	m := agent.NewManager(opts)
	return m, m.RegisterType(agent.Type{
		Name: typeName,
		Setup: func(_ context.Context, a *agent.Agent) error {
			if err := a.Attach("ledger", &ledger{}); err != nil {
				return err
			}
			return a.Attach("blob", &blob{})
		},
		AutoCheckpoint: agent.AutoCheckpoint{BeforeInput: true, AfterInput: true},
		Handle: func(_ context.Context, a *agent.Agent, in agent.Input) error {
			size, err := strconv.Atoi(in.Text)
			if err != nil {
				return err
			}
			if n := grow(a, size); in.ID != inputID(n) {
				return fmt.Errorf("%s brought the ledger to %d: an input ran twice, or one is lost", in.ID, n)
			}
			return nil
		},
	})
}

// inputID is the ID of the input that brings the ledger to n.
func inputID(n uint64) string { return fmt.Sprint("input", n) }

// check reports whether a is in a state that step left.
func check(a *agent.Agent) (uint64, error) {
	n := a.Slice("ledger").(*ledger).count()
	if b := a.Slice("blob").(*blob).number(); b != n {
		return n, fmt.Errorf("ledger is at %d and blob at %d: no checkpoint was taken in between", n, b)
	}
	return n, nil
}

// grow changes both slices.
func grow(a *agent.Agent, size int) uint64 {
	n := a.Slice("ledger").(*ledger).grow()
	a.Slice("blob").(*blob).set(n, size)
	return n
}

// step changes both slices and takes a checkpoint.
func step(ctx context.Context, a *agent.Agent, size int) (uint64, error) {
	n := grow(a, size)
	_, err := a.Checkpoint(ctx)
	return n, err
}

func testManager(t *testing.T, opts Options) {
	place := t.TempDir()
	s := opts.open(t, place)
	m, err := newManager(s, agent.ManagerOptions{Compress: true})
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Shutdown(context.Background())) }()
	a, err := m.Spawn(t.Context(), typeName, agent.SpawnOptions{ID: "a"})
	require.NoError(t, err)
	for range 25 {
		_, err := step(t.Context(), a, 2000)
		require.NoError(t, err)
	}
	require.NoError(t, a.Stop(t.Context()))
	list, err := m.Checkpoints(t.Context(), "a")
	require.NoError(t, err)
	for i, info := range list[:25] {
		f, err := m.RestoreCheckpoint(t.Context(), info.ID, agent.SpawnOptions{})
		require.NoError(t, err)
		n, err := check(f)
		require.NoError(t, err)
		assert.EqualValues(t, i+1, n)
		require.NoError(t, m.Delete(t.Context(), f.ID()))
	}
	b, err := m.Restore(t.Context(), "a")
	require.NoError(t, err)
	n, err := check(b)
	require.NoError(t, err)
	assert.EqualValues(t, 25, n)
}

func testRetention(t *testing.T, opts Options) {
	s := opts.open(t, t.TempDir())
	m, err := newManager(s, agent.ManagerOptions{Retention: agent.Retention{Last: 5}})
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Shutdown(context.Background())) }()
	a, err := m.Spawn(t.Context(), typeName, agent.SpawnOptions{ID: "a"})
	require.NoError(t, err)
	const steps, size = 40, 200_000
	for range steps {
		_, err := step(t.Context(), a, size)
		require.NoError(t, err)
	}
	var held int
	for r, err := range s.Records(t.Context(), "a") {
		require.NoError(t, err)
		held += len(r.Data)
	}
	assert.Less(t, held, 20*size, "old checkpoints are folded away by themselves")
	require.NoError(t, a.Prune(t.Context()))
	list, err := m.Checkpoints(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, list, 5)
	for i, info := range list {
		f, err := m.RestoreCheckpoint(t.Context(), info.ID, agent.SpawnOptions{})
		require.NoError(t, err)
		n, err := check(f)
		require.NoError(t, err)
		assert.EqualValues(t, steps-4+i, n)
		require.NoError(t, m.Delete(t.Context(), f.ID()))
	}
}
