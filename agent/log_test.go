package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// model checks that what a reader gets is the whole log in order, every gap
// reported exactly.
type model struct {
	t      require.TestingT
	texts  map[uint64]string // of emitted outputs
	ends   map[uint64]bool   // emitted terminal events
	cursor uint64
	missed map[uint64]bool // ends that fell into a reported gap
}

func (m *model) take(ev Event) {
	first := ev.Seq
	if ev.First != 0 {
		first = ev.First
	}
	require.Equal(m.t, m.cursor+1, first, "no hole and no overlap")
	require.LessOrEqual(m.t, first, ev.Seq)
	switch b := ev.Body.(type) {
	case Lagged:
		require.Equal(m.t, Lagged{From: first, To: ev.Seq}, b)
		for seq := first; seq <= ev.Seq; seq++ {
			if m.ends[seq] {
				m.missed[seq] = true
			}
		}
	case Output:
		var want strings.Builder
		for seq := first; seq <= ev.Seq; seq++ {
			text, ok := m.texts[seq]
			require.True(m.t, ok, "only text is joined")
			want.WriteString(text)
		}
		require.Equal(m.t, want.String(), b.Text)
	default:
		require.Equal(m.t, first, ev.Seq)
	}
	m.cursor = ev.Seq
}

// TestEventLogProperty runs random interleavings of emitting, subscribing,
// reading and leaving on logs of random bounds.
func TestEventLogProperty(t *testing.T) {
	rounds := 120
	if long() {
		rounds = 20000
	}
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		opts := LogOptions{Events: 1 + r.IntN(200), Bytes: 500 + r.IntN(40000), Finished: 1 + r.IntN(20)}
		l := &eventLog{opts: &opts}
		if r.IntN(3) == 0 {
			l.start(uint64(r.IntN(1000)))
		}
		texts, ends := map[uint64]string{}, map[uint64]bool{}
		ctx, cancel := context.WithCancel(t.Context())
		type follower struct {
			model
			next     func() (Event, error, bool)
			stop     func()
			faithful bool // has been there from the start
		}
		var readers []*follower
		join := func(after uint64) {
			f := &follower{model: model{t: t, texts: texts, ends: ends, cursor: after, missed: map[uint64]bool{}}}
			f.faithful = l.last.Load() == after+1 // the first read takes the newest event
			f.next, f.stop = iter.Pull2(func(yield func(Event, error) bool) { l.follow(ctx, after, yield) })
			readers = append(readers, f)
			if l.last.Load() > f.cursor { // a subscription begins with its first read
				ev, err, ok := f.next()
				require.True(t, ok)
				require.NoError(t, err)
				f.take(ev)
			}
		}
		for range 400 {
			switch r.IntN(10) {
			case 0, 1, 2, 3, 4:
				text := fmt.Sprint(r.IntN(1000), ";")
				if r.IntN(20) == 0 {
					text = strings.Repeat("x", r.IntN(5000))
				}
				texts[l.append(1, fmt.Sprint(r.IntN(2)), Output{Text: text})] = text
			case 5:
				l.append(1, "", Custom{Name: "n"})
			case 6:
				ends[l.append(1, "", InputFinished{ID: "i"})] = true
			case 7:
				if last := l.last.Load(); len(readers) < 5 && last > 0 && r.IntN(2) == 0 {
					join(last - 1)
				} else if len(readers) < 5 {
					join(uint64(r.IntN(int(l.last.Load()) + 1)))
				}
			case 8, 9:
				if len(readers) == 0 {
					continue
				}
				i := r.IntN(len(readers))
				f := readers[i]
				if r.IntN(30) == 0 {
					f.stop()
					readers = append(readers[:i], readers[i+1:]...)
					join(f.cursor)
					continue
				}
				for range r.IntN(8) {
					if f.cursor < l.last.Load() {
						ev, err, ok := f.next()
						require.True(t, ok)
						require.NoError(t, err)
						f.take(ev)
					}
				}
			}
			require.LessOrEqual(t, l.count, max(opts.Events, 1))
		}
		l.append(1, "", Exit{})
		for _, f := range readers {
			for {
				ev, err, ok := f.next()
				if !ok {
					break
				}
				require.NoError(t, err)
				f.take(ev)
			}
			require.Equal(t, l.last.Load(), f.cursor, "seed %d", seed)
			if f.faithful {
				require.Empty(t, f.missed, "a subscribed reader missed an end, seed %d", seed)
			}
			f.stop()
		}
		require.Empty(t, l.readers)
		cancel()
	}
}

// TestEventLogConcurrently does the same with real goroutines.
func TestEventLogConcurrently(t *testing.T) {
	opts := LogOptions{Events: 256}.withDefaults()
	l := &eventLog{opts: &opts}
	const emitters, each = 3, 4000
	var mu sync.Mutex
	texts, ends := map[uint64]string{}, map[uint64]bool{}
	got := make([][]Event, 8)
	var readers, writers sync.WaitGroup
	for i := range got {
		readers.Go(func() {
			for ev, err := range l.follow2(context.Background(), 0) {
				if err == nil {
					got[i] = append(got[i], ev)
				}
			}
		})
	}
	for range 3 { // and some that come and go
		readers.Go(func() {
			cursor := uint64(0)
			for range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				n := 0
				for ev, err := range l.follow2(ctx, cursor) {
					if err != nil {
						break
					}
					cursor = ev.Seq
					if n++; n == 5 {
						cancel()
					} else if n > 10 {
						break
					}
				}
				cancel()
			}
		})
	}
	for e := range emitters {
		writers.Go(func() {
			for i := range each {
				if i%100 == 0 {
					seq := l.append(1, "", InputFinished{})
					mu.Lock()
					ends[seq] = true
					mu.Unlock()
					continue
				}
				text := fmt.Sprint(e, ".", i, " ")
				seq := l.append(1, "", Output{Text: text})
				mu.Lock()
				texts[seq] = text
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	l.append(1, "", Exit{})
	readers.Wait()
	for _, list := range got {
		m := model{t: t, texts: texts, ends: ends, missed: map[uint64]bool{}}
		for _, ev := range list {
			m.take(ev)
		}
		require.Equal(t, uint64(emitters*each+1), m.cursor)
	}
}

func (l *eventLog) follow2(ctx context.Context, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) { l.follow(ctx, after, yield) }
}

func TestFollowingEndsWithItsContextAndWithTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, Type{Name: "test"})
		a := spawn(t, m, SpawnOptions{})
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		var gotErr error
		for range 10 {
			wg.Go(func() {
				for _, err := range a.Events(t.Context(), a.LastSeq()) {
					assert.NoError(t, err)
				}
			})
		}
		wg.Go(func() {
			for _, err := range a.Events(ctx, a.LastSeq()) {
				gotErr = err
			}
		})
		synctest.Wait()
		assert.Zero(t, a.Stats().Lag)
		why := errors.New("the window was closed")
		cancel(why)
		synctest.Wait()
		assert.Equal(t, why, gotErr)
		require.NoError(t, a.Stop(t.Context()))
		wg.Wait()
		assert.Zero(t, a.Emit(Output{Text: "late"}))
	})
}

// Whoever comes late sees what was, and can ask what is.
func TestALateReaderSeesBusyAndIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		m := newManager(t, ManagerOptions{}, handle(func(context.Context, *Agent, Input) error { <-release; return nil }))
		a := spawn(t, m, SpawnOptions{})
		r, err := a.Submit(t.Context(), Input{})
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, bodiesOf[Busy](events(a)), 1)
		assert.Empty(t, bodiesOf[Idle](events(a)))
		assert.False(t, a.Idle())
		close(release)
		require.NoError(t, r.Wait(t.Context()))
		synctest.Wait()
		list := events(a)
		assert.Len(t, bodiesOf[Busy](list), 1)
		assert.Equal(t, Idle{}, list[len(list)-1].Body)
		assert.True(t, a.Idle())
	})
}

func TestEventsRoundTripAsJSON(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	yes := Response{Confirmed: true, By: "me"}
	for i, body := range []Body{
		Output{"x"}, Reasoning{"why"}, Message{slog.LevelWarn, "careful"}, Busy{}, Idle{}, Aborting{"i", "r", AbortNow},
		Exit{"bye"}, InputReceived{"i", "text", "user", true}, InputFinished{"i", Failed, "no", time.Second},
		ToolStarted{ToolCall{"1", "ls", json.RawMessage(`{"a":1}`)}},
		ToolFinished{ToolCall{"1", "ls", json.RawMessage(`{}`)}, "out", true, time.Minute},
		Asked{Request{ID: "q", Kind: Choice, Options: []Option{{Value: "a", Children: []Option{{Value: "b"}}}}, Default: &yes, Time: at}},
		Answered{"q", yes, ""}, HookRan{AfterChat, "h", "bad", 1}, Checkpointed{"a@1", 7}, WasReset{"chat"},
		SubAgent{"c", "t", "spawned"}, Custom{"mine", json.RawMessage(`[1,2]`)}, Lagged{3, 9},
		Unknown{"future", json.RawMessage(`{"x":[null]}`)}, nil,
	} {
		ev := Event{Seq: uint64(i + 1), First: uint64(i), Time: at, Input: "in", Body: body}
		data, err := json.Marshal(ev)
		require.NoError(t, err)
		var back Event
		require.NoError(t, json.Unmarshal(data, &back), string(data))
		assert.Equal(t, ev, back)
		again, err := json.Marshal(back)
		require.NoError(t, err)
		assert.JSONEq(t, string(data), string(again))
	}
	var ev Event
	require.Error(t, json.Unmarshal([]byte(`{"seq":1,"kind":"output","body":[]}`), &ev))
}

// A model may write arguments that are no JSON. The event is told all the same,
// and no checkpoint fails for it.
func TestMalformedJSONStopsNoEvent(t *testing.T) {
	bad := json.RawMessage(`{"path": "a`)
	text := json.RawMessage(`"{\"path\": \"a"`)
	call := ToolCall{ID: "1", Name: "read", Args: bad}
	told := ToolCall{ID: "1", Name: "read", Args: text}
	for _, c := range []struct{ body, want Body }{
		{ToolStarted{call}, ToolStarted{told}},
		{ToolFinished{Call: call, Result: "r"}, ToolFinished{Call: told, Result: "r"}},
		{Custom{"c", bad}, Custom{"c", text}},
		{Asked{Request{ID: "q", Data: bad}}, Asked{Request{ID: "q", Data: text}}},
		{Unknown{"u", bad}, Unknown{"u", text}},
	} {
		data, err := json.Marshal(Event{Seq: 1, Body: c.body})
		require.NoError(t, err)
		var back Event
		require.NoError(t, json.Unmarshal(data, &back))
		assert.Equal(t, c.want, back.Body)
	}

	typ := Type{Name: "test", KeepEvents: 5}
	m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, typ)
	a := spawn(t, m, SpawnOptions{})
	_, err := a.BeforeTool(t.Context(), call)
	require.NoError(t, err)
	_, err = a.Checkpoint(t.Context())
	require.NoError(t, err)

	// What a host hands in for the agent to keep is refused at once.
	_, err = a.Submit(t.Context(), Input{Data: bad})
	require.ErrorContains(t, err, "Data is not JSON")
	_, err = a.Ask(t.Context(), Request{Kind: Confirm, Data: bad})
	require.ErrorContains(t, err, "Data is not JSON")
	_, err = m.Spawn(t.Context(), "test", SpawnOptions{Config: Config(bad)})
	require.ErrorContains(t, err, "Config is not JSON")
	require.NoError(t, a.Stop(t.Context()))
}

// An agent that passes on what its sub-agents say does not end with them.
func TestForwardedEndsEndNothing(t *testing.T) {
	m := newManager(t, ManagerOptions{}, Type{Name: "test"})
	a := spawn(t, m, SpawnOptions{})
	child, err := a.Spawn(t.Context(), "test", SpawnOptions{})
	require.NoError(t, err)
	child.Emit(Message{Text: "hello"})
	require.NoError(t, child.Stop(t.Context()))
	for ev, err := range child.Events(t.Context(), 0) {
		require.NoError(t, err)
		a.Emit(ev.Body)
	}
	assert.Zero(t, a.Emit(Lagged{From: 1, To: 9}))
	assert.NotZero(t, a.Emit(Message{Text: "I go on"}))
	assert.Len(t, bodiesOf[Message](events(a)), 2)
	assert.Zero(t, a.Stats().Missed)
}

// What is nested weighs too, or a log of big questions would outgrow its bound.
func TestNestedPartsHaveWeight(t *testing.T) {
	text := strings.Repeat("x", 1000)
	for _, b := range []Body{
		Asked{Request{Options: []Option{{Children: []Option{{Value: text}}}}}},
		Asked{Request{Fields: []Field{{Options: []Option{{Label: text}}}}}},
		Asked{Request{Default: &Response{Text: text}}},
		Answered{Response: Response{Fields: map[string]Response{"a": {Choices: []string{text}}}}},
	} {
		assert.GreaterOrEqual(t, b.size(), 1000)
		assert.LessOrEqual(t, b.size(), 1500)
	}
}
