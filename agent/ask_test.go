package agent

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFirstAnswerWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, Type{Name: "test"})
		a := spawn(t, m, SpawnOptions{})
		var got Response
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			got, err = a.Ask(t.Context(), Request{ID: "q", Kind: Choice, Options: []Option{{Value: "x"}, {Value: "y"}}})
			assert.NoError(t, err)
		})
		synctest.Wait()
		require.Len(t, a.Pending(), 1)
		assert.False(t, a.Idle())
		require.Error(t, a.Answer("q", Response{Choices: []string{"z"}}), "no such option")
		_, err := a.Ask(t.Context(), Request{ID: "q", Kind: Confirm})
		require.ErrorIs(t, err, ErrDuplicate)
		var won atomic.Int32
		for range 10 {
			wg.Go(func() {
				if m.Answer("q", Response{Choices: []string{"x"}, By: "someone"}) == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, won.Load())
		assert.Equal(t, Response{Choices: []string{"x"}, By: "someone"}, got)
		require.ErrorIs(t, a.Answer("q", Response{}), ErrNotFound)
		assert.True(t, a.Idle())
	})
}

func TestQuestionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{}, handle(func(ctx context.Context, a *Agent, in Input) error {
			// A context of its own: the abort reaches the question nevertheless.
			_, err := a.Ask(context.WithoutCancel(ctx), Request{Kind: Confirm, Text: "ok?"})
			return err
		}))
		a := spawn(t, m, SpawnOptions{})
		start := time.Now()
		got, err := a.Ask(t.Context(), Request{Kind: Text, Timeout: time.Minute, Default: &Response{Text: "d"}})
		require.NoError(t, err)
		assert.Equal(t, Response{Text: "d", TimedOut: true}, got)
		_, err = a.Ask(t.Context(), Request{Kind: Text, Timeout: time.Minute})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2*time.Minute, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = a.Ask(ctx, Request{Kind: Confirm})
		require.ErrorIs(t, err, context.DeadlineExceeded)

		r, err := a.Submit(t.Context(), Input{})
		require.NoError(t, err)
		synctest.Wait()
		a.Abort("changed my mind")
		require.ErrorIs(t, r.Wait(t.Context()), ErrAborted)
		synctest.Wait()
		assert.Empty(t, a.Pending())
		for _, ev := range bodiesOf[Answered](events(a))[1:] {
			assert.NotEmpty(t, ev.Error)
		}
	})
}

func TestQuestionsSurviveARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		var got []Response
		typ := handle(func(ctx context.Context, a *Agent, in Input) error {
			for _, id := range []string{"call-1", ""} {
				resp, err := a.Ask(ctx, Request{ID: id, Kind: Text, Text: "who?"})
				if err != nil {
					return err
				}
				got = append(got, resp)
			}
			return nil
		})
		m := newManager(t, ManagerOptions{Store: store}, typ)
		a := spawn(t, m, SpawnOptions{ID: "a"})
		_, err := a.Submit(t.Context(), Input{ID: "in"})
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, a.Stop(t.Context()))

		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Len(t, b.Pending(), 1)
		assert.Equal(t, "call-1", b.Pending()[0].ID)
		require.NoError(t, b.Answer("call-1", Response{Text: "me"}))
		assert.Empty(t, b.Pending())
		require.NoError(t, b.Stop(t.Context())) // the answer survives as well

		c, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		_, err = c.Resume(t.Context(), "in")
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, c.Pending(), 1, "the first is answered, the second asked")
		require.NoError(t, c.Stop(t.Context()))

		// A question without an ID is known again by what it asks.
		got = nil
		d, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, d.Answer(d.Pending()[0].ID, Response{Text: "you"}))
		r, err := d.Resume(t.Context(), "in")
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, d.Pending(), 1)
		require.NoError(t, d.Answer("call-1", Response{Text: "me again"}))
		require.NoError(t, r.Wait(t.Context()))
		assert.Equal(t, []Response{{Text: "me again"}, {Text: "you"}}, got)
	})
}

// An answer that was given between two lives is one to the question that was
// asked, whatever else has its ID now.
func TestAnAnswerIsBoundToItsQuestion(t *testing.T) {
	call := func(args string) Request {
		return Request{ID: "call-1", Kind: Confirm, Text: "Run it?", Data: json.RawMessage(args)}
	}
	for name, c := range map[string]struct {
		asked Request
		given bool
	}{
		"the same":            {call(`{"cmd": "ls"}`), true},
		"another call":        {call(`{"cmd":"rm"}`), false},
		"another text":        {Request{ID: "call-1", Kind: Confirm, Text: "Delete it?", Data: json.RawMessage(`{"cmd":"ls"}`)}, false},
		"another kind":        {Request{ID: "call-1", Kind: Text, Text: "Run it?", Data: json.RawMessage(`{"cmd":"ls"}`)}, false},
		"without an ID":       {Request{Kind: Confirm, Text: "Run it?", Data: json.RawMessage(`{"cmd":"ls"}`)}, true},
		"no ID, another call": {Request{Kind: Confirm, Text: "Run it?", Data: json.RawMessage(`{"cmd":"rm"}`)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, Type{Name: "test"})
				a := spawn(t, m, SpawnOptions{ID: "a"})
				go func() { _, _ = a.Ask(t.Context(), call(`{"cmd":"ls"}`)) }()
				synctest.Wait()
				require.NoError(t, a.Stop(t.Context()))
				b, err := m.Restore(t.Context(), "a")
				require.NoError(t, err)
				require.NoError(t, b.Answer("call-1", Response{Confirmed: true}))
				c.asked.Timeout = time.Second
				got, err := b.Ask(t.Context(), c.asked)
				if c.given {
					require.NoError(t, err)
					assert.True(t, got.Confirmed)
				} else {
					require.ErrorIs(t, err, context.DeadlineExceeded, "it was asked anew")
				}
			})
		})
	}
}

// What a checkpoint does not hold is taken from the question that is asked again.
func TestASecretDefaultSurvivesARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, Type{Name: "test"})
		req := Request{ID: "p", Kind: Password, Timeout: time.Minute, Default: &Response{Text: "hunter2"}}
		a := spawn(t, m, SpawnOptions{ID: "a"})
		go func() { _, _ = a.Ask(t.Context(), req) }()
		synctest.Wait()
		require.NoError(t, a.Stop(t.Context()))
		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Len(t, b.Pending(), 1)
		got, err := b.Ask(t.Context(), req)
		require.NoError(t, err)
		assert.Equal(t, Response{Text: "hunter2", TimedOut: true}, got)
	})
}

func TestSecretsAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		m := newManager(t, ManagerOptions{Store: store}, handle(func(ctx context.Context, a *Agent, in Input) error {
			return errors.New("x")
		}))
		a := spawn(t, m, SpawnOptions{ID: "a"})
		secret := Response{Text: "hunter2"}
		form := Request{ID: "f", Kind: Form, Fields: []Field{{Name: "user", Kind: Text}, {Name: "pass", Kind: Password}}}
		var wg sync.WaitGroup
		wg.Go(func() {
			got, err := a.Ask(t.Context(), Request{ID: "p", Kind: Password, Default: &secret})
			assert.NoError(t, err)
			assert.Equal(t, "hunter2", got.Text)
			got, err = a.Ask(t.Context(), form)
			assert.NoError(t, err)
			assert.Equal(t, "hunter2", got.Fields["pass"].Text)
		})
		synctest.Wait()
		_, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		require.NoError(t, a.Answer("p", secret))
		synctest.Wait()
		require.Error(t, a.Answer("f", Response{Fields: map[string]Response{"user": {Text: "u"}}}), "a field is missing")
		require.NoError(t, a.Answer("f", Response{Fields: map[string]Response{"user": {Text: "u"}, "pass": secret}}))
		wg.Wait()
		require.NoError(t, a.Stop(t.Context()))
		log, err := json.Marshal(events(a))
		require.NoError(t, err)
		assert.NotContains(t, string(log), "hunter2")
		for rec, err := range store.Records(t.Context(), "a") {
			require.NoError(t, err)
			assert.NotContains(t, string(rec.Data), "hunter2")
		}
	})
}

func TestAnswersMustFit(t *testing.T) {
	options := []Option{{Value: "a", Children: []Option{{Value: "b"}}}, {Value: "c"}}
	for _, c := range []struct {
		req  Request
		resp Response
		bad  string
	}{
		{Request{Kind: Tree, Options: options, Max: 2}, Response{Choices: []string{"b", "c"}}, ""},
		{Request{Kind: Tree, Options: options}, Response{Choices: []string{"d"}}, "not an option"},
		{Request{Kind: Tree, Options: options, Max: 1}, Response{Choices: []string{"b", "c"}}, "at most 1"},
		{Request{Kind: MultiChoice, Options: options[1:], Min: 1}, Response{}, "at least 1"},
		{Request{Kind: MultiChoice, Options: options[1:], Min: 1}, Response{Cancelled: true}, ""},
		{Request{Kind: MultiChoice, Options: options[1:]}, Response{Choices: []string{"c", "c"}}, "twice"},
		{Request{Kind: Confirm}, Response{}, ""},
	} {
		require.NoError(t, c.req.check())
		err := c.req.accept(c.resp)
		if c.bad == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.bad)
		}
	}
	for _, bad := range []Request{{}, {Kind: Choice}, {Kind: MultiChoice, Options: options[1:], Min: 2, Max: 1}, {Kind: Choice, Options: options}, {Kind: Form},
		{Kind: Tree, Options: []Option{{Value: "a"}, {Value: "a"}}}, {Kind: Form, Fields: []Field{{Name: "x", Kind: Form}}},
		{Kind: Form, Fields: []Field{{Name: "x", Kind: Text}, {Name: "x", Kind: Text}}}} {
		require.Error(t, bad.check())
	}
}

func TestCommands(t *testing.T) {
	m := newManager(t, ManagerOptions{}, Type{Name: "test"})
	a := spawn(t, m, SpawnOptions{})
	echo := CommandFunc(func(_ context.Context, args string) (string, error) { return args, nil }, "Says it.\n/echo text")
	require.NoError(t, a.Command("echo", echo, "say"))
	require.NoError(t, a.Command("fail", CommandFunc(func(context.Context, string) (string, error) { panic("p") }, "Fails.")))
	require.ErrorIs(t, a.Command("say", echo), ErrDuplicate)
	require.ErrorIs(t, a.Command("help", echo), ErrDuplicate)
	require.Error(t, a.Command("two words", echo))
	for line, want := range map[string]string{"/echo a  b ": "a  b", "say hi": "hi", "/ECHO\tx": "x"} {
		got, err := a.RunCommand(t.Context(), line)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	var unknown *UnknownCommandError
	for typo, want := range map[string]string{"/ehco": "echo", "/ec": "echo", "/sya": "echo", "/help fial": "fail"} {
		_, err := a.RunCommand(t.Context(), typo)
		require.ErrorAs(t, err, &unknown)
		require.ErrorIs(t, err, ErrNotFound)
		assert.Equal(t, []string{want}, unknown.Suggestions, typo)
	}
	_, err := a.RunCommand(t.Context(), "/fail")
	require.ErrorContains(t, err, "/fail: panic: p")
	help, err := a.RunCommand(t.Context(), "/help")
	require.NoError(t, err)
	assert.Equal(t, "/echo  Says it.\n/fail  Fails.\n/help  lists the commands; /help name explains one", help)
	help, err = a.RunCommand(t.Context(), "/help say")
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(help, "/echo (also /say)\nSays it."))
}

// A question that ended because its agent stops is open in the last checkpoint
// only: an answer to the agent that was would be lost.
func TestAnswersToAnAgentThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, ManagerOptions{Store: &MemoryStore{}}, Type{Name: "test"})
		a := spawn(t, m, SpawnOptions{ID: "a"})
		for _, id := range []string{"p", "q"} {
			go func() { _, _ = a.Ask(t.Context(), Request{ID: id, Kind: Confirm}) }()
		}
		require.NoError(t, a.Hook(OnStop, "slow", func(context.Context) error { time.Sleep(time.Second); return nil }))
		synctest.Wait()
		go func() { assert.NoError(t, a.Stop(t.Context())) }()
		synctest.Wait()
		require.ErrorIs(t, m.Answer("q", Response{Confirmed: true}), ErrStopped)
		time.Sleep(time.Minute)
		require.ErrorIs(t, a.Answer("q", Response{Confirmed: true}), ErrStopped)

		b, err := m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.Len(t, b.Pending(), 2)
		require.NoError(t, b.Stop(t.Context()))
		require.ErrorIs(t, b.Answer("q", Response{Confirmed: true}), ErrStopped, "it came back, and nobody asked for it")
		b, err = m.Restore(t.Context(), "a")
		require.NoError(t, err)
		require.NoError(t, b.Answer("q", Response{Confirmed: true}))
		got, err := b.Ask(t.Context(), Request{ID: "q", Kind: Confirm})
		require.NoError(t, err)
		assert.True(t, got.Confirmed)
	})
}

// A question is in every checkpoint that begins after it can be answered, and
// ends with its agent whenever it was asked.
func TestAsksThatRaceWithCheckpointsAndTheEnd(t *testing.T) {
	store := &MemoryStore{}
	m := newManager(t, ManagerOptions{Store: store}, Type{Name: "test"})
	for i := range 300 {
		a := spawn(t, m, SpawnOptions{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := a.Ask(context.Background(), Request{ID: "q", Kind: Confirm})
			assert.ErrorIs(t, err, ErrStopped)
		})
		if i%2 == 0 {
			for len(a.Pending()) == 0 {
				_, err := a.Checkpoint(t.Context())
				require.NoError(t, err)
			}
			info, err := a.Checkpoint(t.Context())
			require.NoError(t, err)
			saved, err := m.ReadCheckpoint(t.Context(), info.ID)
			require.NoError(t, err)
			require.Contains(t, string(saved.Slices[0].State), `"requests"`)
		}
		require.NoError(t, a.Stop(t.Context()))
		wg.Wait()
	}
}

// A question of an earlier life that its input did not ask again ends with it.
func TestQuestionsEndWithTheirInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &MemoryStore{}
		m := newManager(t, ManagerOptions{Store: store}, handle(func(ctx context.Context, a *Agent, in Input) error {
			if in.Resumed {
				return nil // on another way than before
			}
			_, err := a.Ask(ctx, Request{ID: "q" + in.ID, Kind: Confirm})
			return err
		}))
		for _, discard := range []bool{false, true} {
			for _, answered := range []bool{false, true} {
				a := spawn(t, m, SpawnOptions{})
				_, err := a.Submit(t.Context(), Input{ID: "i"})
				require.NoError(t, err)
				synctest.Wait()
				require.NoError(t, a.Stop(t.Context()))
				a, err = m.Restore(t.Context(), a.ID())
				require.NoError(t, err)
				require.Len(t, a.Pending(), 1)
				if answered {
					require.NoError(t, a.Answer("qi", Response{}))
				}
				if discard {
					require.NoError(t, a.Discard("i", "not needed"))
				} else {
					r, err := a.Resume(t.Context(), "i")
					require.NoError(t, err)
					require.NoError(t, r.Wait(t.Context()))
				}
				synctest.Wait()
				assert.Empty(t, a.Pending())
				assert.Len(t, bodiesOf[Answered](events(a)), 1)
				assert.True(t, a.Idle())
				require.NoError(t, a.Stop(t.Context()))
			}
		}
		for a := range m.RestoreUnfinished(t.Context()) {
			assert.Fail(t, "nothing is unfinished", a.ID())
		}
	})
}

func TestOneOfManyGetsTheCommandsName(t *testing.T) {
	m := newManager(t, ManagerOptions{}, Type{Name: "test"})
	for range 50 {
		a := spawn(t, m, SpawnOptions{})
		c := CommandFunc(func(context.Context, string) (string, error) { return "", nil }, "")
		var wg sync.WaitGroup
		var won atomic.Int32
		for range 8 {
			wg.Go(func() {
				if a.Command("c", c) == nil {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, won.Load())
		require.ErrorIs(t, a.Command("d", c, "e", "d"), ErrDuplicate)
	}
}
