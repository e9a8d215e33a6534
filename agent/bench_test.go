package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// follow starts n readers of a and returns a function that stops them.
func follow(a *Agent, n int, each func(i int, ev Event)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			for ev, err := range a.Events(ctx, a.LastSeq()) {
				if err == nil && each != nil {
					each(i, ev)
				}
			}
		})
	}
	for a.Stats().Subscribers < n {
		runtime.Gosched()
	}
	return func() { cancel(); wg.Wait() }
}

func BenchmarkEmit(b *testing.B) {
	for _, subscribers := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			m := newManager(b, ManagerOptions{}, Type{Name: "test"})
			a := spawn(b, m, SpawnOptions{})
			stop := follow(a, subscribers, nil)
			defer stop()
			b.ReportAllocs()
			for b.Loop() {
				a.Emit(Output{Text: "token "})
			}
		})
	}
}

// BenchmarkEmitStalled shows that a reader that has stopped reading costs the
// producer nothing.
func BenchmarkEmitStalled(b *testing.B) {
	for _, stalled := range []int{0, 1} {
		b.Run(fmt.Sprintf("live=8/stalled=%d", stalled), func(b *testing.B) {
			m := newManager(b, ManagerOptions{}, Type{Name: "test"})
			a := spawn(b, m, SpawnOptions{})
			stop := follow(a, 8, nil)
			defer stop()
			block := make(chan struct{})
			var in atomic.Int32
			var wg sync.WaitGroup
			for range stalled {
				wg.Go(func() {
					for range a.Events(context.Background(), a.LastSeq()) {
						in.Store(1)
						<-block
						return
					}
				})
			}
			for int(in.Load()) < stalled {
				a.Emit(Output{Text: "token "})
				runtime.Gosched()
			}
			for b.Loop() {
				a.Emit(Output{Text: "token "})
			}
			b.StopTimer()
			close(block)
			wg.Wait()
		})
	}
}

func BenchmarkSpawn(b *testing.B) {
	m := newManager(b, ManagerOptions{}, Type{Name: "test", IdleTimeout: time.Hour})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Spawn(context.Background(), "test", SpawnOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestIdleAgentsAreSmall measures what an idle agent costs.
func TestIdleAgentsAreSmall(t *testing.T) {
	n := 10_000
	if long() {
		n = 100_000
	}
	m := newManager(t, ManagerOptions{}, Type{Name: "test", IdleTimeout: time.Hour})
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	goroutines := runtime.NumGoroutine()
	before := memory()
	start := time.Now()
	for range n {
		a := spawn(t, m, SpawnOptions{})
		a.Emit(Idle{})
	}
	took := time.Since(start)
	perAgent := (memory() - before) / uint64(n)
	t.Logf("%d agents in %s, %d bytes each", n, took, perAgent)
	assert.LessOrEqual(t, perAgent, uint64(2048))
	assert.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
}

// BenchmarkSweep stops the few that expire among many that do not.
func BenchmarkSweep(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("agents=%d/expire=100", n), func(b *testing.B) {
			m := newManager(b, ManagerOptions{Sweep: 1 << 62}, Type{Name: "test", IdleTimeout: time.Hour})
			for range n {
				spawn(b, m, SpawnOptions{})
			}
			for b.Loop() {
				b.StopTimer()
				for range 100 {
					spawn(b, m, SpawnOptions{IdleTimeout: 1})
				}
				m.mu.Lock()
				if t := m.sweeps.timer; t != nil && t.Stop() {
					m.sweeps.wg.Done()
				}
				m.sweeps.timer = nil
				m.mu.Unlock()
				b.StartTimer()
				m.sweepNow()
				b.StopTimer()
				if m.Len() != n {
					b.Fatal(m.Len())
				}
				b.StartTimer()
			}
		})
	}
}

// page is a slice of 10 KiB.
type page struct {
	counter
	text string
}

func (p *page) MarshalJSON() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return json.Marshal(struct {
		N    int
		Text string
	}{p.n, p.text})
}

func pages(n int) Type {
	return Type{Name: "test", Setup: func(_ context.Context, a *Agent) error {
		for i := range n {
			if err := a.Attach(fmt.Sprint("page", i), &page{text: strings.Repeat("0123456789", 1024)}); err != nil {
				return err
			}
		}
		return nil
	}}
}

// BenchmarkCheckpoint compares a checkpoint of everything with one of a single
// changed slice among a hundred of 10 KiB.
func BenchmarkCheckpoint(b *testing.B) {
	for _, changed := range []int{100, 1} {
		b.Run(fmt.Sprintf("changed=%d", changed), func(b *testing.B) {
			m := newManager(b, ManagerOptions{Store: &nowhere{}, Retention: Retention{Last: -1}}, pages(100))
			a := spawn(b, m, SpawnOptions{})
			_, err := a.Checkpoint(b.Context())
			require.NoError(b, err)
			var written int64
			n := 0
			for b.Loop() {
				for i := range changed {
					a.sliceList()[i].slice.(*page).add()
				}
				info, err := a.Checkpoint(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				written += info.Bytes
				n++
			}
			b.ReportMetric(float64(written)/float64(n), "B/checkpoint")
		})
	}
}

// nowhere drops what it is given, to time the agent's own part.
type nowhere struct{ MemoryStore }

func (*nowhere) Append(context.Context, string, Record) error { return nil }

// TestStepCheckpointsCostTheTranscript is the bound on what checkpoints of a
// growing conversation write.
func TestStepCheckpointsCostTheTranscript(t *testing.T) {
	for _, size := range []int{600, 2000} {
		store := &counting{}
		m := newManager(t, ManagerOptions{Store: store}, stateful())
		a := spawn(t, m, SpawnOptions{})
		for i := range 1000 {
			diaryOf(a).add(fmt.Sprint(i, strings.Repeat("m", size)))
			_, err := a.Checkpoint(t.Context())
			require.NoError(t, err)
		}
		transcript, err := diaryOf(a).MarshalJSON()
		require.NoError(t, err)
		ratio := float64(store.written) / float64(len(transcript))
		t.Logf("%d-byte messages: wrote %.3f times the transcript", size, ratio)
		assert.LessOrEqual(t, ratio, 1.2)
	}
}

type counting struct {
	MemoryStore
	written int
}

func (c *counting) Append(ctx context.Context, id string, rec Record) error {
	c.written += len(rec.Data) + frameHead
	return c.MemoryStore.Append(ctx, id, rec)
}

func (c *counting) Replace(ctx context.Context, id string, upTo uint64, recs []Record) error {
	for _, rec := range recs {
		c.written += len(rec.Data) + frameHead
	}
	return c.MemoryStore.Replace(ctx, id, upTo, recs)
}

// BenchmarkRestore restores 10 MiB, beside what encoding/json alone takes.
func BenchmarkRestore(b *testing.B) {
	var lines []string
	for i := range 10 << 20 / 1000 {
		lines = append(lines, fmt.Sprint(i, strings.Repeat(" some words", 90)))
	}
	data, err := json.Marshal(lines)
	require.NoError(b, err)
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			var back []string
			if err := json.Unmarshal(bytes.Clone(data), &back); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("agent", func(b *testing.B) {
		dir := b.TempDir()
		store, err := NewFileStore(dir, FileStoreOptions{NoSync: true})
		require.NoError(b, err)
		m := newManager(b, ManagerOptions{Store: store}, stateful())
		a := spawn(b, m, SpawnOptions{ID: "a"})
		notesOf(a).add(lines...)
		require.NoError(b, a.Stop(b.Context()))
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r, err := m.RestoreCheckpoint(context.Background(), "a@1", SpawnOptions{ID: "b"})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			m.withdraw(r)
			b.StartTimer()
		}
	})
}
