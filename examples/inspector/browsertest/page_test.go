package browsertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/examples/inspector/inspect"
)

// list is a state slice.
type list struct{ lines []string }

func (l *list) MarshalJSON() ([]byte, error)    { return json.Marshal(l.lines) }
func (l *list) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &l.lines) }
func (l *list) Reset(string)                    { l.lines = nil }

// hostile is text that must stay text.
const hostile = `<img src=x onerror="document.title='taken over'"><script>document.title='taken over'</script>`

// host is a manager with two agents: "asker" asks a form and a choice, then
// works until it is aborted; "writer" writes hostile text and calls a tool.
func host(t *testing.T) *agent.Manager {
	t.Helper()
	m := agent.NewManager(agent.ManagerOptions{Store: &agent.MemoryStore{}})
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	require.NoError(t, m.RegisterType(agent.Type{
		Name:           "tester",
		AutoCheckpoint: agent.AutoCheckpoint{AfterInput: true},
		Setup:          func(_ context.Context, a *agent.Agent) error { return a.Attach("list", &list{}) },
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			l := a.Slice("list").(*list)
			l.lines = append(l.lines, in.Text)
			switch in.Text {
			case "write":
				for range 3 {
					a.Emit(agent.Output{Text: hostile + " "})
				}
				call := agent.ToolCall{ID: "1", Name: "look", Args: json.RawMessage(`{"at":"this"}`)}
				a.Emit(agent.ToolStarted{Call: call})
				a.Emit(agent.ToolFinished{Call: call, Result: hostile, Duration: time.Second})
			case "ask":
				answer, err := a.Ask(ctx, agent.Request{Kind: agent.Form, Title: "About you", Fields: []agent.Field{
					{Name: "name", Label: "Your name", Kind: agent.Text},
					{Name: "colour", Label: "Colour", Kind: agent.Choice, Options: []agent.Option{{Value: "red"}, {Value: "blue"}}},
					{Name: "secret", Label: "Secret", Kind: agent.Password},
				}})
				if err != nil {
					return err
				}
				a.Emit(agent.Output{Text: fmt.Sprintf("%s likes %s, %d", answer.Fields["name"].Text, answer.Fields["colour"].Choices[0], len(answer.Fields["secret"].Text))})
				sure, err := a.Ask(ctx, agent.Request{Kind: agent.Confirm, Text: "Sure?"})
				if err != nil {
					return err
				}
				a.Emit(agent.Output{Text: fmt.Sprintf("sure: %t", sure.Confirmed)})
			case "wait":
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		},
	}))
	for _, id := range []string{"writer", "asker/ä"} {
		_, err := m.Spawn(t.Context(), "tester", agent.SpawnOptions{ID: id})
		require.NoError(t, err)
	}
	return m
}

// submit gives an agent an input; an empty wait is for one that ends by itself.
func submit(t *testing.T, m *agent.Manager, id, text string) *agent.Run {
	t.Helper()
	a, ok := m.Get(id)
	require.True(t, ok)
	run, err := a.Submit(t.Context(), agent.Input{Text: text})
	require.NoError(t, err)
	return run
}

// browser starts a headless browser for one test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" && os.Getenv("TOKENRING_BROWSER") == "" {
		t.Skip("there is no Chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1400, 900), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx)) // starts it, without the limit that follows
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until waits until an expression of JavaScript is true.
func until(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](expression)
}

// shows waits until an element's text holds a string.
func shows(selector, text string) chromedp.Action[chromedp.Void] {
	quoted, _ := json.Marshal(text) // of strings
	of, _ := json.Marshal(selector)
	return until(fmt.Sprintf("document.querySelector(%s)?.textContent.includes(%s)", of, quoted))
}

// press clicks the button with that text inside an element.
func press(selector, label string) chromedp.Action[chromedp.Void] {
	quoted, _ := json.Marshal(label)
	of, _ := json.Marshal(selector)
	return chromedp.Evaluate[chromedp.Void](fmt.Sprintf(
		"{ const b = [...document.querySelector(%s).querySelectorAll('button')].find((b) => b.textContent.includes(%s)); if (!b || b.disabled) throw new Error('no such button'); b.click(); }",
		of, quoted))
}

// screenshot writes a picture of the page where the person who runs the tests
// wants one.
func screenshot(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		dir := os.Getenv("TOKENRING_SCREENSHOTS")
		if dir == "" {
			return nil
		}
		picture, err := chromedp.CaptureScreenshot()(ctx, tab)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644)
	})
}

func TestPage(t *testing.T) {
	ctx := browser(t)
	m := host(t)
	orders := 0.0
	server, err := inspect.Start(inspect.Options{
		Manager: m,
		Sections: []inspect.Section{
			{Name: "Orders", Read: func(context.Context) (any, error) {
				return []map[string]any{{"article": "apples", "pieces": 3}, {"article": hostile, "pieces": 4}}, nil
			}},
			{Name: "Broken", Read: func(context.Context) (any, error) { return nil, fmt.Errorf("no such thing") }},
		},
		Series:   []inspect.Series{{Chart: "Orders", Name: "taken", Unit: "/s", Counter: true, Read: func() float64 { orders += 2; return orders }}},
		Interval: 100 * time.Millisecond,
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, server.Close(context.Background())) }()

	require.NoError(t, submit(t, m, "writer", "write").Wait(ctx))
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(server.URL),
		shows("#connection", "live"),
		shows("#agents", "asker/ä"),
		shows("#agent-name", "writer"), // the first one is chosen
		shows("#events", "look done in 1.00s"),
		shows("#events .output", hostile+" "+hostile), // pieces are joined
		shows("#sections", hostile),
		shows("#sections .error", "no such thing"),
		until("document.querySelectorAll('#charts svg path').length >= 7"),
		until("[...document.querySelectorAll('#charts figure')].some((f) => f.textContent.includes('taken') && f.textContent.includes('/s'))"),
		screenshot("writer"),
	))
	title, err := chromedp.Run(ctx, chromedp.Title())
	require.NoError(t, err)
	assert.Equal(t, "TokenRing inspector", title, "nothing that was shown became markup")

	t.Run("answer", func(t *testing.T) {
		run := submit(t, m, "asker/ä", "ask")
		require.NoError(t, chromedp.Do(ctx,
			shows("#agents", "asking"),
			press("#agents", "asker/ä"),
			shows("#requests", "About you"),
			chromedp.SendKeys("#requests input[type=text]", "Ada"),
			until("document.querySelector('#events .asked') !== null"), // later overviews leave the form alone
			chromedp.Click("#requests input[value=blue]"),
			chromedp.SendKeys("#requests input[type=password]", "hush"),
			screenshot("form"),
			press("#requests", "Answer"),
			shows("#events", "Ada likes blue, 4"),
			shows("#requests", "Sure?"),
			press("#requests", "Yes"),
			shows("#events", "sure: true"),
			until("document.querySelector('#requests').childElementCount === 0"),
		))
		require.NoError(t, run.Wait(ctx))
		page, err := chromedp.Run(ctx, chromedp.OuterHTML("html"))
		require.NoError(t, err)
		assert.NotContains(t, page, "hush", "a password is not shown")
	})

	t.Run("abort", func(t *testing.T) {
		run := submit(t, m, "asker/ä", "wait")
		require.NoError(t, chromedp.Do(ctx, until("!document.querySelector('#abort').disabled"), chromedp.Click("#abort"), shows("#events", "aborted in the inspector")))
		assert.ErrorIs(t, run.Wait(ctx), agent.ErrAborted)
	})

	t.Run("checkpoints", func(t *testing.T) {
		require.NoError(t, submit(t, m, "asker/ä", "nothing else").Wait(ctx))
		asker, _ := m.Get("asker/ä")
		saved, err := asker.Checkpoint(ctx)
		require.NoError(t, err)
		newest := fmt.Sprintf("%q", saved.ID)
		require.NoError(t, chromedp.Do(ctx,
			shows("#events", "nothing else"),
			chromedp.Click("#checkpoints summary"),
			until("document.querySelectorAll('#checkpoint-list tr').length >= 2"),
			until("document.querySelector('#checkpoint-list tr td:nth-child(2)').textContent === "+newest),
			press("#checkpoint-list", "Open"),
			shows("#checkpoint-view", "nothing else"),
			chromedp.Evaluate[chromedp.Void]("for (const row of [...document.querySelectorAll('#checkpoint-list tr')].slice(0, 2)) row.querySelector('input').click()"),
			chromedp.Click("#compare"),
			shows("#checkpoint-view .plus", "+"),
			shows("#checkpoint-view", `+  "nothing else"`),
			screenshot("compare"),
		))
	})

	t.Run("resume", func(t *testing.T) {
		// A stream that breaks goes on after the last event: nothing is missing
		// and nothing is there twice.
		require.NoError(t, chromedp.Do(ctx, press("#agents", "writer"), shows("#events", "look done")))
		count := chromedp.Evaluate[int]("document.querySelectorAll('#events .input-received').length")
		before, err := chromedp.Run(ctx, count)
		require.NoError(t, err)
		require.NoError(t, submit(t, m, "writer", "more").Wait(ctx))
		require.NoError(t, chromedp.Do(ctx, shows("#events", "more")))
		after, err := chromedp.Run(ctx, count)
		require.NoError(t, err)
		assert.Equal(t, before+1, after)
		require.NoError(t, m.Delete(ctx, "writer"))
		require.NoError(t, chromedp.Do(ctx, until("!document.querySelector('#agents').textContent.includes('writer')")))

		// An agent that comes back, as one that was idle does, is followed again.
		_, err = m.Spawn(ctx, "tester", agent.SpawnOptions{ID: "writer"})
		require.NoError(t, err)
		require.NoError(t, submit(t, m, "writer", "again").Wait(ctx))
		require.NoError(t, chromedp.Do(ctx, shows("#events", "again")))
	})

	t.Run("lost", func(t *testing.T) {
		require.NoError(t, server.Close(context.Background()))
		require.NoError(t, chromedp.Do(ctx, shows("#connection", "lost")))
	})
}
