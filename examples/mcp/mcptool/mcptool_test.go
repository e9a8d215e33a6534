package mcptool_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/examples/mcp/mcptool"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func newServer() *mcp.Server {
	return mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
}

// connect joins a client to server in memory.
func connect(t *testing.T, server *mcp.Server) (*mcp.ClientSession, *mcp.ServerSession) {
	t.Helper()
	ours, theirs := mcp.NewInMemoryTransports()
	serving, err := server.Connect(t.Context(), theirs, nil)
	require.NoError(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), ours, nil)
	require.NoError(t, err)
	t.Cleanup(func() { session.Close(); _ = serving.Wait() })
	return session, serving
}

// through returns tools as they look at the other end of a connection.
func through(t *testing.T, opts mcptool.Options, tools ...tool.Tool) map[string]tool.Tool {
	t.Helper()
	server := newServer()
	mcptool.AddTools(server, tools, quiet)
	session, _ := connect(t, server)
	return list(t, session, opts)
}

func list(t *testing.T, session *mcp.ClientSession, opts mcptool.Options) map[string]tool.Tool {
	t.Helper()
	tools, err := mcptool.Tools(t.Context(), session, opts)
	require.NoError(t, err)
	byName := map[string]tool.Tool{}
	for _, tl := range tools {
		require.NoError(t, tool.CheckName(tl.Name))
		byName[tl.Name] = tl
	}
	require.Len(t, byName, len(tools), "names are unique")
	return byName
}

func call(t *testing.T, tl tool.Tool, args string) tool.Result {
	t.Helper()
	require.NotNil(t, tl.Call)
	res, err := tl.Call(t.Context(), json.RawMessage(args))
	require.NoError(t, err)
	return res
}

func TestFilesystemToolsThroughAConnection(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.txt"), []byte("one\ntwo\n"), 0o644))
	files, err := filesystem.New(filesystem.Options{Root: dir})
	require.NoError(t, err)
	defer files.Close()

	got := through(t, mcptool.Options{Trusted: true}, files.Tools()...)
	require.Len(t, got, len(files.Tools()))
	for _, want := range files.Tools() {
		assert.Equal(t, want.Description, got[want.Name].Description)
		assert.JSONEq(t, string(want.Schema), string(got[want.Name].Schema))
		assert.Equal(t, want.Annotations, got[want.Name].Annotations)
	}
	assert.Contains(t, call(t, got["read"], `{"path":"a.txt"}`).Text, "two")
	assert.False(t, call(t, got["edit"], `{"path":"a.txt","edits":[{"old":"two","new":"three"}]}`).IsError)
	data, err := os.ReadFile(filepath.Join(dir, "a.txt"))
	require.NoError(t, err)
	assert.Equal(t, "one\nthree\n", string(data))
	for args, want := range map[string]string{
		`{"path":"../a.txt"}`: "outside the root",
		`{"path":"b.txt"}`:    "b.txt",
		`{"file":"a.txt"}`:    `unknown field "file"`,
		`null`:                `field "path" is required`,
		``:                    `field "path" is required`,
	} {
		res := call(t, got["read"], args)
		assert.True(t, res.IsError, args)
		assert.Contains(t, res.Text, want)
	}
	_, err = got["read"].Call(t.Context(), json.RawMessage(`{"path":`))
	var bad *tool.ArgumentError
	require.ErrorAs(t, err, &bad)
}

func TestAnnotations(t *testing.T) {
	yes, no := new(true), new(false)
	for name, c := range map[string]struct {
		hints              *mcp.ToolAnnotations
		trusted, untrusted tool.Annotations
	}{
		"none":        {nil, tool.Annotations{Destructive: true, OpenWorld: true}, tool.Annotations{Destructive: true, OpenWorld: true}},
		"read-only":   {&mcp.ToolAnnotations{ReadOnlyHint: true, OpenWorldHint: no}, tool.Annotations{ReadOnly: true}, tool.Annotations{Destructive: true, OpenWorld: true}},
		"contradicts": {&mcp.ToolAnnotations{ReadOnlyHint: true, DestructiveHint: yes}, tool.Annotations{ReadOnly: true, OpenWorld: true}, tool.Annotations{Destructive: true, OpenWorld: true}},
		"adds":        {&mcp.ToolAnnotations{DestructiveHint: no, IdempotentHint: true, Title: "T"}, tool.Annotations{Idempotent: true, OpenWorld: true, Title: "T"}, tool.Annotations{Destructive: true, OpenWorld: true, Title: "T"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer()
			server.AddTool(&mcp.Tool{Name: "t", InputSchema: map[string]any{"type": "object"}, Annotations: c.hints}, nil)
			session, _ := connect(t, server)
			assert.Equal(t, c.trusted, list(t, session, mcptool.Options{Trusted: true})["t"].Annotations)
			untrusted := list(t, session, mcptool.Options{})["t"]
			assert.Equal(t, c.untrusted, untrusted.Annotations)
			assert.Equal(t, []tool.Effect{{Kind: tool.Unknown}}, untrusted.EffectsOf(nil), "so that a policy asks")
		})
	}
	for i := range 16 {
		a := tool.Annotations{ReadOnly: i&1 != 0, Destructive: i&1 == 0 && i&2 != 0, Idempotent: i&4 != 0, OpenWorld: i&8 != 0}
		got := through(t, mcptool.Options{Trusted: true}, tool.Tool{Name: "t", Annotations: a})
		assert.Equal(t, a, got["t"].Annotations)
		assert.JSONEq(t, `{"type":"object"}`, string(got["t"].Schema))
	}
}

func TestNames(t *testing.T) {
	server := newServer()
	long := strings.Repeat("x", 100)
	for _, name := range []string{"a.b", "a/b", "a_b", long, long + "y"} {
		server.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object"}},
			func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: name}}}, nil
			})
	}
	session, _ := connect(t, server)
	got := list(t, session, mcptool.Options{Prefix: "s-"})
	require.Len(t, got, 5)
	called := map[string]bool{}
	for name, tl := range got {
		assert.True(t, strings.HasPrefix(name, "s-"), name)
		called[call(t, tl, "{}").Text] = true
	}
	assert.Len(t, called, 5, "each calls its own")
}

func TestFailuresReachTheModel(t *testing.T) {
	server := newServer()
	mcptool.AddTools(server, []tool.Tool{
		{Name: "error", Call: func(context.Context, json.RawMessage) (tool.Result, error) {
			return tool.Result{}, errors.New("disk full")
		}},
		{Name: "marked", Call: func(context.Context, json.RawMessage) (tool.Result, error) {
			return tool.Result{Text: "no", IsError: true}, nil
		}},
		{Name: "panic", Call: func(context.Context, json.RawMessage) (tool.Result, error) { panic("boom") }},
		{Name: "gone"},
	}, quiet)
	server.AddTool(&mcp.Tool{Name: "refused", InputSchema: map[string]any{"type": "object"}},
		func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return nil, errors.New(strings.Repeat("no! ", 10_000))
		})
	session, _ := connect(t, server)
	got := list(t, session, mcptool.Options{})
	server.RemoveTools("gone")

	for name, want := range map[string]string{"error": "disk full", "marked": "no", "panic": "tool panic failed internally: boom"} {
		assert.Equal(t, tool.Result{Text: want, IsError: true}, call(t, got[name], "{}"))
	}
	for name, want := range map[string]string{"gone": `unknown tool "gone"`, "refused": "no! "} {
		_, err := got[name].Call(t.Context(), nil)
		require.ErrorContains(t, err, "the MCP server refuses")
		require.ErrorContains(t, err, want)
		assert.Less(t, len(err.Error()), 5000)
	}
	assert.Equal(t, "no", call(t, got["marked"], "").Text, "the connection goes on")
}

func TestCancellationReachesTheServer(t *testing.T) {
	started, ended := make(chan struct{}), make(chan error, 1)
	got := through(t, mcptool.Options{}, tool.Tool{Name: "wait", Call: func(ctx context.Context, _ json.RawMessage) (tool.Result, error) {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return tool.Result{}, ctx.Err()
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() { <-started; cancel(enough) }()
	_, err := got["wait"].Call(ctx, nil)
	require.ErrorIs(t, err, enough)
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestServerGoesAwayDuringACall(t *testing.T) {
	var theirs io.Closer
	server := newServer()
	started := make(chan struct{})
	mcptool.AddTools(server, []tool.Tool{{Name: "wait", Call: func(ctx context.Context, _ json.RawMessage) (tool.Result, error) {
		close(started)
		<-ctx.Done() // a client that is gone cancels too
		return tool.Result{}, ctx.Err()
	}}}, quiet)
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	theirs = outW
	serving, err := server.Connect(t.Context(), &mcp.IOTransport{Reader: inR, Writer: outW}, nil)
	require.NoError(t, err)
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
		Connect(t.Context(), &mcp.IOTransport{Reader: outR, Writer: inW}, nil)
	require.NoError(t, err)
	got := list(t, session, mcptool.Options{})
	go func() { <-started; theirs.Close() }()
	_, err = got["wait"].Call(t.Context(), nil)
	require.ErrorIs(t, err, mcptool.ErrServerGone)
	require.ErrorContains(t, err, "whether this call took effect is unknown")
	_, err = got["wait"].Call(t.Context(), nil)
	require.ErrorIs(t, err, mcptool.ErrServerGone, "also later")
	_, err = mcptool.Tools(t.Context(), session, mcptool.Options{})
	require.ErrorIs(t, err, mcptool.ErrServerGone)
	session.Close()
	inW.Close()
	_ = serving.Wait()
}

func TestExclusiveCallsRunAlone(t *testing.T) {
	var running, together atomic.Int32
	var aloneRuns atomic.Bool
	work := func(alone bool) func(context.Context, json.RawMessage) (tool.Result, error) {
		return func(context.Context, json.RawMessage) (tool.Result, error) {
			n := running.Add(1)
			defer running.Add(-1)
			if alone {
				aloneRuns.Store(true)
				defer aloneRuns.Store(false)
			}
			runtime.Gosched()
			if alone && n != 1 || !alone && aloneRuns.Load() {
				together.Add(1)
			}
			return tool.Text("ok"), nil
		}
	}
	got := through(t, mcptool.Options{},
		tool.Tool{Name: "alone", Annotations: tool.Annotations{Exclusive: true}, Call: work(true)}, tool.Tool{Name: "shared", Call: work(false)})
	var group sync.WaitGroup
	for i := range 200 {
		name := []string{"alone", "shared"}[i%2]
		group.Go(func() {
			res, err := got[name].Call(t.Context(), nil)
			assert.NoError(t, err)
			assert.Equal(t, "ok", res.Text)
		})
	}
	group.Wait()
	assert.Zero(t, together.Load())
}

func TestResultsAreBounded(t *testing.T) {
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))))
	image := &mcp.ImageContent{MIMEType: "image/jpeg", Data: picture.Bytes()} // wrongly named
	for name, c := range map[string]struct {
		result  mcp.CallToolResult
		text    []string
		media   int
		dropped bool
	}{
		"empty":      {},
		"texts":      {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "a"}, &mcp.TextContent{Text: "b"}}}, text: []string{"a\nb"}},
		"long":       {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "head" + strings.Repeat("é", 5000) + "tail"}}}, text: []string{"head", "tail", "bytes dropped"}, dropped: true},
		"structured": {result: mcp.CallToolResult{StructuredContent: map[string]any{"n": 1}}, text: []string{`{"n":1}`}},
		"link":       {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.ResourceLink{Name: "log", URI: "file:///log"}}}, text: []string{`[resource "log": file:///log]`}},
		"resource":   {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "a:b", Text: "inside"}}}}, text: []string{"inside"}},
		"blob":       {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "a:b", Blob: picture.Bytes()}}}}, media: 1},
		"images":     {result: mcp.CallToolResult{Content: []mcp.Content{image, image, image}}, text: []string{"an image of", "is left out"}, media: 2},
		"false":      {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.ImageContent{MIMEType: "image/png", Data: []byte("MZ")}}}, text: []string{`type "image/png", 2 B, is left out`}},
		"audio":      {result: mcp.CallToolResult{Content: []mcp.Content{&mcp.AudioContent{MIMEType: "audio/wav", Data: []byte("RIFF")}}}, text: []string{`type "audio/wav"`}},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer()
			server.AddTool(&mcp.Tool{Name: "t", InputSchema: map[string]any{"type": "object"}},
				func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return &c.result, nil })
			session, _ := connect(t, server)
			res := call(t, list(t, session, mcptool.Options{MaxResult: 1000, MaxMedia: 2 * picture.Len()})["t"], "{}")
			for _, want := range c.text {
				assert.Contains(t, res.Text, want)
			}
			assert.Less(t, len(res.Text), 1100)
			assert.Equal(t, c.dropped, res.Truncated > 0)
			require.Len(t, res.Media, c.media)
			for _, m := range res.Media {
				assert.Equal(t, tool.Media{MediaType: "image/png", Data: picture.Bytes()}, m)
			}
		})
	}
}

func TestServedResultsFitIntoAMessage(t *testing.T) {
	big := tool.Result{Text: strings.Repeat("\x01", 4<<20), Media: []tool.Media{
		{MediaType: "image/png", Data: make([]byte, 5<<20)},
		{MediaType: "image/png", Data: make([]byte, 5<<20)},
		{MediaType: "audio/wav", Data: []byte("sound")},
		{MediaType: "application/zip", Data: []byte("archive")},
	}}
	server := newServer()
	mcptool.AddTools(server, []tool.Tool{{Name: "t", Call: func(context.Context, json.RawMessage) (tool.Result, error) { return big, nil }}}, quiet)
	session, _ := connect(t, server)
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "t"})
	require.NoError(t, err)
	var kinds []string
	for _, c := range res.Content {
		kinds = append(kinds, fmt.Sprintf("%T", c))
	}
	assert.Equal(t, []string{"*mcp.TextContent", "*mcp.ImageContent", "*mcp.TextContent", "*mcp.AudioContent", "*mcp.EmbeddedResource"}, kinds)
	assert.Equal(t, big.Media[0].Data, res.Content[1].(*mcp.ImageContent).Data)
	assert.Equal(t, "archive", string(res.Content[4].(*mcp.EmbeddedResource).Resource.Blob))
}

// A server that speaks, but not what it should.
func TestUnusableAnswers(t *testing.T) {
	for name, c := range map[string]struct{ result, err string }{
		"no object":    {`7`, "cannot unmarshal"},
		"unknown kind": {`{"content":[{"type":"hologram"}]}`, `unrecognized content type "hologram"`},
		"no base64":    {`{"content":[{"type":"image","mimeType":"image/png","data":"!"}]}`, "illegal base64"},
		"null":         {`{"content":[null]}`, "nil content"},
		"null result":  {`null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inR, inW := io.Pipe()
			outR, outW := io.Pipe()
			done := make(chan struct{})
			go func() { defer close(done); speak(inR, outW, c.result) }()
			session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).
				Connect(t.Context(), &mcp.IOTransport{Reader: outR, Writer: inW}, nil)
			require.NoError(t, err)
			res, err := list(t, session, mcptool.Options{})["t"].Call(t.Context(), nil)
			assert.Empty(t, res)
			if c.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, "the MCP server's answer cannot be used: ")
				assert.ErrorContains(t, err, c.err)
			}
			session.Close()
			inW.Close()
			outW.Close()
			<-done
		})
	}
}

// speak answers requests as a server of one tool whose result is given.
func speak(in io.Reader, out io.Writer, result string) {
	for dec := json.NewDecoder(in); ; {
		var req struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
		}
		if dec.Decode(&req) != nil {
			return
		}
		answer := `"error":{"code":-32601,"message":"no such method"}`
		switch req.Method {
		case "initialize":
			answer = `"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}`
		case "tools/list":
			answer = `"result":{"tools":[{"name":"t","inputSchema":{"type":"object"}}]}`
		case "tools/call":
			answer = `"result":` + result
		}
		if req.ID != nil {
			fmt.Fprintf(out, `{"jsonrpc":"2.0","id":%s,%s}`+"\n", req.ID, answer)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{`{}`, `{"content":[{"type":"text","text":"a"}]}`, `{"content":[{"type":"resource","resource":null}]}`,
		`{"content":[{"type":"image","mimeType":"x","data":"` + base64.StdEncoding.EncodeToString([]byte("GIF89a")) + `"}]}`, `{"isError":true,"structuredContent":[1]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var result mcp.CallToolResult
		if json.Unmarshal(data, &result) != nil {
			return
		}
		server := newServer()
		server.AddTool(&mcp.Tool{Name: "t", InputSchema: map[string]any{"type": "object"}},
			func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return &result, nil })
		session, _ := connect(t, server)
		res, err := list(t, session, mcptool.Options{MaxResult: 100, MaxMedia: 100})["t"].Call(t.Context(), nil)
		if err == nil {
			assert.LessOrEqual(t, len(res.Text), 200)
		}
	})
}
