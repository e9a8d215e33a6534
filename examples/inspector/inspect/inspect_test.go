package inspect_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/examples/inspector/inspect"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
}

// notes is a state slice that saves what it is told as increments.
type notes struct{ lines []string }

func (n *notes) MarshalJSON() ([]byte, error)    { return json.Marshal(n.lines) }
func (n *notes) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &n.lines) }
func (n *notes) Reset(string)                    { n.lines = nil }

// host is a manager with one agent that writes down its inputs, asks about those
// that end with a question mark, and works on "wait" until it is aborted.
func host(t *testing.T) (*agent.Manager, *agent.Agent) {
	t.Helper()
	m := agent.NewManager(agent.ManagerOptions{Store: &agent.MemoryStore{}})
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	n := &notes{}
	require.NoError(t, m.RegisterType(agent.Type{
		Name:  "scribe",
		Setup: func(_ context.Context, a *agent.Agent) error { return a.Attach("notes", n) },
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			if in.Text == "wait" {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			if strings.HasSuffix(in.Text, "?") {
				answer, err := a.Ask(ctx, agent.Request{ID: "q1", Kind: agent.Confirm, Text: in.Text})
				if err != nil {
					return err
				}
				a.Emit(agent.Output{Text: fmt.Sprint(answer.Confirmed, " by ", answer.By)})
			}
			n.lines = append(n.lines, in.Text)
			return nil
		},
	}))
	a, err := m.Spawn(context.Background(), "scribe", agent.SpawnOptions{ID: "s/1 ä"})
	require.NoError(t, err)
	return m, a
}

const agentPath = "agents/s%2F1%20%C3%A4/"

func start(t *testing.T, opts inspect.Options) *inspect.Server {
	t.Helper()
	s, err := inspect.Start(opts)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close(context.Background())) })
	return s
}

// do makes a request and returns status and body.
func do(t *testing.T, method, address, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestOnlyThePageItselfIsServed(t *testing.T) {
	m, _ := host(t)
	s := start(t, inspect.Options{Manager: m})
	root := s.URL[:strings.LastIndex(strings.TrimSuffix(s.URL, "/"), "/")+1]
	for _, c := range []struct {
		name, method, url string
		change            func(*http.Request)
		want              int
	}{
		{"page", "GET", s.URL, nil, 200},
		{"script", "GET", s.URL + "app.js", nil, 200},
		{"no such file", "GET", s.URL + "../inspect.go", nil, 404},
		{"page without the slash", "GET", strings.TrimSuffix(s.URL, "/"), nil, 200},
		{"no token", "GET", root, nil, 404},
		{"no token, API", "GET", root + "overview", nil, 404},
		{"wrong token", "GET", root + "abc/overview", nil, 404},
		{"another host name", "GET", s.URL, func(r *http.Request) { r.Host = "evil.example:80" }, 421},
		{"another page", "POST", s.URL + agentPath + "abort", func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403},
		{"a form of another page", "POST", s.URL + agentPath + "abort", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		{"abort by GET", "GET", s.URL + agentPath + "abort", nil, 404},
	} {
		status, _ := do(t, c.method, c.url, "{}", c.change)
		assert.Equal(t, c.want, status, c.name)
	}
	resp, err := http.Get(s.URL)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
}

func TestOnlyLoopback(t *testing.T) {
	m, _ := host(t)
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "nonsense", "127.0.0.1:99999"} {
		_, err := inspect.Start(inspect.Options{Manager: m, Addr: addr})
		assert.ErrorContains(t, err, "inspector: ", addr)
	}
	_, err := inspect.Start(inspect.Options{})
	assert.ErrorContains(t, err, "no manager")
}

// sse reads server-sent events.
type sse struct {
	body  io.ReadCloser
	lines *bufio.Scanner
}

func openStream(t *testing.T, address, lastID string) *sse {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", address, nil)
	require.NoError(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	s := &sse{body: resp.Body, lines: bufio.NewScanner(resp.Body)}
	s.lines.Buffer(nil, 1<<22)
	return s
}

// next returns the next event.
func (s *sse) next(t *testing.T) (name, id, data string) {
	t.Helper()
	for s.lines.Scan() {
		field, value, _ := strings.Cut(s.lines.Text(), ": ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			return name, id, data
		}
	}
	t.Fatal("the stream ended: ", s.lines.Err())
	return "", "", ""
}

// until reads events until one of that kind and returns it.
func (s *sse) until(t *testing.T, kind agent.Kind) (event agent.Event, id string) {
	t.Helper()
	for {
		_, id, data := s.next(t)
		require.NoError(t, json.Unmarshal([]byte(data), &event))
		if event.Body.Kind() == kind {
			return event, id
		}
	}
}

func TestEventsAreResumedByCursor(t *testing.T) {
	m, a := host(t)
	s := start(t, inspect.Options{Manager: m})
	run, err := a.Submit(t.Context(), agent.Input{Text: "first"})
	require.NoError(t, err)
	require.NoError(t, run.Wait(t.Context()))
	stream := openStream(t, s.URL+agentPath+"events", "")
	_, id := stream.until(t, "idle")
	stream.body.Close()

	run, err = a.Submit(t.Context(), agent.Input{Text: "second"})
	require.NoError(t, err)
	require.NoError(t, run.Wait(t.Context()))
	event, _ := openStream(t, s.URL+agentPath+"events", id).until(t, "input.received")
	assert.Equal(t, "second", event.Body.(agent.InputReceived).Text)
	event, _ = openStream(t, s.URL+agentPath+"events?after="+id, "").until(t, "input.received")
	assert.Equal(t, "second", event.Body.(agent.InputReceived).Text)

	status, text := do(t, "GET", s.URL+agentPath+"events?after=x", "", nil)
	assert.Equal(t, 400, status, text)
	status, text = do(t, "GET", s.URL+"agents/nobody/events", "", nil)
	assert.Equal(t, 404, status, text)

	live := openStream(t, s.URL+agentPath+"events", "")
	live.until(t, "idle")
	require.NoError(t, m.Delete(t.Context(), a.ID()))
	live.until(t, "exit")
	name, _, _ := live.next(t)
	assert.Equal(t, "end", name)
}

func TestAnswerAndAbort(t *testing.T) {
	m, a := host(t)
	s := start(t, inspect.Options{Manager: m})
	run, err := a.Submit(t.Context(), agent.Input{Text: "really?"})
	require.NoError(t, err)
	stream := openStream(t, s.URL+agentPath+"events", "")
	stream.until(t, "asked")

	for _, bad := range []string{``, `{`, `[]`, `{"nonsense":1}`, `{} {}`, `{"request":"q1","response":{"confirmed":"yes"}}`} {
		status, text := do(t, "POST", s.URL+agentPath+"answer", bad, nil)
		assert.Equal(t, 400, status, "%s: %s", bad, text)
	}
	status, _ := do(t, "POST", s.URL+agentPath+"answer", `{"request":"other","response":{}}`, nil)
	assert.Equal(t, 409, status)
	status, _ = do(t, "POST", s.URL+agentPath+"answer", `{"request":"`+strings.Repeat("x", 2<<20)+`"}`, nil)
	assert.Equal(t, 400, status)
	status, text := do(t, "POST", s.URL+agentPath+"answer", `{"request":"q1","response":{"confirmed":true}}`, nil)
	assert.Equal(t, 200, status, text)
	require.NoError(t, run.Wait(t.Context()))
	event, _ := stream.until(t, "output")
	assert.Equal(t, "true by inspector", event.Body.(agent.Output).Text)

	status, text = do(t, "POST", s.URL+agentPath+"abort", `{}`, nil)
	assert.Equal(t, 200, status)
	assert.JSONEq(t, `{"aborted":false}`, text)
	run, err = a.Submit(t.Context(), agent.Input{Text: "wait"})
	require.NoError(t, err)
	stream.until(t, "input.received")
	status, _ = do(t, "POST", s.URL+agentPath+"abort", `{"mode":"gently"}`, nil)
	assert.Equal(t, 400, status)
	status, text = do(t, "POST", s.URL+agentPath+"abort", `{"mode":"now","reason":"enough"}`, nil)
	assert.Equal(t, 200, status, text)
	require.JSONEq(t, `{"aborted":true}`, text)
	err = run.Wait(t.Context())
	assert.ErrorIs(t, err, agent.ErrAborted)
	assert.ErrorContains(t, err, "enough")
}

func TestCheckpointsAreOpenedAndCompared(t *testing.T) {
	m, a := host(t)
	s := start(t, inspect.Options{Manager: m})
	var ids []string
	for _, text := range []string{"one", "two"} {
		run, err := a.Submit(t.Context(), agent.Input{Text: text})
		require.NoError(t, err)
		require.NoError(t, run.Wait(t.Context()))
		info, err := a.Checkpoint(t.Context())
		require.NoError(t, err)
		ids = append(ids, url.PathEscape(info.ID))
	}
	status, text := do(t, "GET", s.URL+agentPath+"checkpoints", "", nil)
	require.Equal(t, 200, status, text)
	assert.Contains(t, text, a.ID()+"@")

	status, text = do(t, "GET", s.URL+"checkpoints/"+ids[1], "", nil)
	require.Equal(t, 200, status, text)
	assert.Contains(t, text, `"type":"scribe"`)
	assert.Contains(t, text, `\"two\"`)

	status, text = do(t, "GET", s.URL+"compare?from="+ids[0]+"&to="+ids[1], "", nil)
	require.Equal(t, 200, status, text)
	assert.Contains(t, text, `{"name":"notes","change":"changed","diff":`)
	assert.Contains(t, text, `+  \"two\"`)
	assert.Contains(t, text, `{"name":".agent","change":"same"}`)

	for _, path := range []string{"checkpoints/nobody@1", "checkpoints/x", "compare?from=" + ids[0], "compare"} {
		status, text = do(t, "GET", s.URL+path, "", nil)
		assert.Equal(t, 404, status, "%s: %s", path, text)
	}
	without := agent.NewManager(agent.ManagerOptions{})
	s = start(t, inspect.Options{Manager: without})
	status, _ = do(t, "GET", s.URL+"agents/a/checkpoints", "", nil)
	assert.Equal(t, 409, status)
	assert.NoError(t, without.Shutdown(t.Context()))
}

func TestOverviewShowsWhatTheHostAdds(t *testing.T) {
	m, a := host(t)
	calls := 0.0
	s := start(t, inspect.Options{
		Manager: m,
		Sections: []inspect.Section{
			{Name: "queue", Read: func(context.Context) (any, error) { return []map[string]int{{"ready": 3}}, nil }},
			{Name: "broken", Read: func(context.Context) (any, error) { return nil, errors.New("disk on fire") }},
			{Name: "worse", Read: func(context.Context) (any, error) { panic("no") }},
			{Name: "unwritable", Read: func(context.Context) (any, error) { return func() {}, nil }},
			{Name: "huge", Read: func(context.Context) (any, error) { return strings.Repeat("x", 1<<20), nil }},
		},
		Series:   []inspect.Series{{Chart: "Calls", Name: "calls", Unit: "/s", Counter: true, Read: func() float64 { calls++; return calls }}},
		Interval: 1, // a nanosecond: as often as it goes
	})
	_, err := a.Submit(t.Context(), agent.Input{Text: "sure?"})
	require.NoError(t, err)
	stream := openStream(t, s.URL+"overview", "")
	var o struct {
		Agents []struct {
			ID, State string
			Requests  []agent.Request
		}
		Sections []struct {
			Name  string
			Data  json.RawMessage
			Error string
		}
		Series []struct {
			Chart  string
			Values []*float64
		}
	}
	drawn := func() bool { // the counter has been read twice
		return len(o.Series) > 0 && len(o.Series[len(o.Series)-1].Values) > 1
	}
	for len(o.Agents) == 0 || o.Agents[0].State != "asking" || !drawn() {
		name, _, data := stream.next(t)
		require.Equal(t, "overview", name)
		o.Agents, o.Series = nil, nil
		require.NoError(t, json.NewDecoder(bytes.NewBufferString(data)).Decode(&o))
	}
	assert.Equal(t, a.ID(), o.Agents[0].ID)
	assert.Equal(t, "sure?", o.Agents[0].Requests[0].Text)
	require.Len(t, o.Sections, 5)
	assert.JSONEq(t, `[{"ready":3}]`, string(o.Sections[0].Data))
	assert.Equal(t, "disk on fire", o.Sections[1].Error)
	assert.Equal(t, "panic: no", o.Sections[2].Error)
	assert.Contains(t, o.Sections[3].Error, "unsupported type")
	assert.Contains(t, o.Sections[4].Error, "more than")
	last := o.Series[len(o.Series)-1]
	assert.Equal(t, "Calls", last.Chart)
	require.NoError(t, a.Answer("q1", agent.Response{Cancelled: true}))
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	m, _ := host(t)
	entered, release := make(chan struct{}), make(chan struct{})
	s, err := inspect.Start(inspect.Options{Manager: m, Interval: -1, Series: []inspect.Series{{Read: func() float64 {
		close(entered)
		<-release
		return 0
	}}}})
	require.NoError(t, err)
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Close(ctx), context.Canceled)
	close(release)
}
