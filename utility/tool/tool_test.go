package tool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type inner struct {
	Old string `json:"old"`
	New string `json:"new,omitempty"`
}

type arguments struct {
	Path  string            `json:"path" jsonschema:"the file to edit"`
	Line  int               `json:"line,omitempty"`
	ID    int64             `json:"id,omitempty"`
	Small int8              `json:"small,omitempty"`
	Count uint              `json:"count,omitempty"`
	Ratio float64           `json:"ratio,omitempty"`
	Force bool              `json:"force,omitempty"`
	Limit *int              `json:"limit,omitempty"`
	Edits []inner           `json:"edits,omitempty"`
	Pair  *[2]int           `json:"pair,omitempty"`
	Env   map[string]string `json:"env,omitempty"`
	Data  []byte            `json:"data,omitempty"`
	Raw   json.RawMessage   `json:"raw,omitempty"`
	Any   any               `json:"any,omitempty"`
}

func five() *int { n := 5; return &n }

// capture returns a tool that keeps what it was called with.
func capture[In any](got *In) tool.Tool {
	return tool.New("capture", "Keeps its arguments.", func(_ context.Context, in In) (string, error) {
		*got = in
		return "ok", nil
	}, tool.Options{})
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		args string
		want arguments
		err  string // empty: want
	}{
		{args: `{"path":"a"}`, want: arguments{Path: "a"}},
		{args: ` {"path":"a","line":3,"ratio":1.5,"force":true,"limit":5} `, want: arguments{Path: "a", Line: 3, Ratio: 1.5, Force: true, Limit: five()}},
		{args: `{"path":"a","ratio":2}`, want: arguments{Path: "a", Ratio: 2}},
		{args: `{"path":"a","edits":[{"old":"x"},{"old":"y","new":"z"}]}`, want: arguments{Path: "a", Edits: []inner{{Old: "x"}, {"y", "z"}}}},
		{args: `{"path":"a","env":{"A":"1"},"data":"aGk=","raw":{"x":[1]}}`, want: arguments{Path: "a", Env: map[string]string{"A": "1"}, Data: []byte("hi"), Raw: json.RawMessage(`{"x":[1]}`)}},
		{args: `{"path":"a","line":null,"limit":null,"edits":null,"env":null}`, want: arguments{Path: "a"}},
		{args: `{"path":"a","id":9007199254740993}`, want: arguments{Path: "a", ID: 9007199254740993}},
		{args: fmt.Sprintf(`{"path":"a","id":%d}`, math.MaxInt64), want: arguments{Path: "a", ID: math.MaxInt64}},
		{args: `{"path":"first","path":"last"}`, want: arguments{Path: "last"}},

		{args: ``, err: `field "path" is required (string, the file to edit)`},
		{args: `null`, err: `field "path" is required`},
		{args: `{"path":null}`, err: `field "path": expected string, got null`},
		{args: `{"path":7}`, err: `field "path": expected string, got integer 7`},
		{args: `{"Path":"a"}`, err: `unknown field "Path": did you mean "path"?`},
		{args: `{"path":"a","PATH":"b"}`, err: `unknown field "PATH": did you mean "path"?`},
		{args: `{"path":"a","file":"b"}`, err: `unknown field "file": the fields are any, count, data, edits,`},
		{args: `{"path":"a","ignored":1}`, err: `unknown field "ignored"`},
		{args: `{"path":"a","line":"3"}`, err: `field "line": expected integer, got string "3"`},
		{args: `{"path":"a","line":3.5}`, err: `field "line": expected integer, got number 3.5`},
		{args: `{"path":"a","line":1e2}`, err: `field "line": expected integer, got number 1e2`},
		{args: `{"path":"a","line":99999999999999999999}`, err: `field "line": expected an integer of 64 bits, got number 99999999999999999999`},
		{args: `{"path":"a","small":300}`, err: `field "small": expected an integer of 8 bits, got number 300`},
		{args: `{"path":"a","count":-1}`, err: `field "count": expected an integer of 64 bits that is not negative, got number -1`},
		{args: `{"path":"a","ratio":1e999}`, err: `field "ratio": expected a number of 64 bits, got number 1e999`},
		{args: `{"path":"a","force":"yes"}`, err: `field "force": expected boolean, got string "yes"`},
		{args: `{"path":"a","edits":{"old":"x"}}`, err: `field "edits": expected array, got object`},
		{args: `{"path":"a","edits":[{"old":"x"},{"new":"z"}]}`, err: `field "edits[1].old" is required (string)`},
		{args: `{"path":"a","edits":[{"old":"x","Old":"y"}]}`, err: `unknown field "edits[0].Old": did you mean "edits[0].old"?`},
		{args: `{"path":"a","pair":[1]}`, err: `field "pair": expected at least 2 items, got 1`},
		{args: `{"path":"a","pair":[1,2,3]}`, err: `field "pair": expected at most 2 items, got 3`},
		{args: `{"path":"a","env":{"A":1}}`, err: `field "env.A": expected string, got integer 1`},
		{args: `{"path":"a","env":{"` + strings.Repeat("A", 1000) + `":1}}`, err: `…": expected string, got integer 1`},
		{args: `{"path":"a","data":"not base64!"}`, err: `illegal base64`},
		{args: `[1]`, err: `expected a JSON object, got array`},
		{args: `"{}"`, err: `expected a JSON object, got string`},
		{args: `{"path":"a"`, err: `the JSON object ends early after 11 bytes`},
		{args: `{"path":"a"} {}`, err: `expected one JSON object, got more after it`},
		{args: `{path:"a"}`, err: `malformed JSON at byte 2`},
		{args: `{"path":` + strings.Repeat("[", 20_000), err: `exceeded max depth`},
	} {
		t.Run(fmt.Sprintf("%.60s", c.args), func(t *testing.T) {
			var got arguments
			res, err := capture(&got).Call(t.Context(), json.RawMessage(c.args))
			if c.err == "" {
				require.NoError(t, err)
				assert.Equal(t, tool.Text("ok"), res)
				assert.Equal(t, c.want, got)
				return
			}
			var bad *tool.ArgumentError
			require.ErrorAs(t, err, &bad)
			assert.Equal(t, "capture", bad.Tool)
			assert.ErrorContains(t, err, "invalid arguments for tool capture: ")
			assert.ErrorContains(t, err, c.err)
			assert.Less(t, len(err.Error()), 500)
			assert.Zero(t, got, "the function must not run")
		})
	}
}

func TestSchemaIsPlain(t *testing.T) {
	var got struct {
		Paths []string          `json:"paths"`
		Until *int              `json:"until"`
		Deep  [][]string        `json:"deep,omitempty"`
		Env   map[string]string `json:"env,omitempty"`
		Note  *string           `json:"note,omitempty" jsonschema:"why"`
		Lists map[string][]int  `json:"lists,omitempty"`
	}
	assert.JSONEq(t, `{
		"type": "object", "additionalProperties": false, "required": ["paths", "until"],
		"properties": {
			"paths": {"type": "array", "items": {"type": "string"}},
			"until": {"type": ["null", "integer"]},
			"deep": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
			"env": {"type": "object", "additionalProperties": {"type": "string"}},
			"lists": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}},
			"note": {"type": "string", "description": "why"}
		}}`, string(capture(&got).Schema))
	_, err := capture(&got).Call(t.Context(), json.RawMessage(`{"paths":[],"until":null}`))
	require.NoError(t, err)
	assert.Nil(t, got.Until)
}

func TestMapArguments(t *testing.T) {
	var got map[string]int
	_, err := capture(&got).Call(t.Context(), json.RawMessage(`{"a":1}`))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"a": 1}, got)
	_, err = capture(&got).Call(t.Context(), json.RawMessage(`{"a":"x"}`))
	require.ErrorContains(t, err, `field "a": expected integer, got string "x"`)
}

type stringer struct{ s string }

func (s stringer) String() string { return s.s }

func call[Out any](t *testing.T, out Out, opts tool.Options) (tool.Result, error) {
	t.Helper()
	return tool.New("t", "", func(context.Context, struct{}) (Out, error) { return out, nil }, opts).Call(t.Context(), nil)
}

func TestResults(t *testing.T) {
	check := func(want string) func(tool.Result, error) {
		return func(r tool.Result, err error) {
			t.Helper()
			require.NoError(t, err)
			assert.Equal(t, tool.Text(want), r)
		}
	}
	check("text")(call(t, "text", tool.Options{}))
	check("bytes")(call(t, []byte("bytes"), tool.Options{}))
	check("ok")(call(t, struct{}{}, tool.Options{}))
	check("ok")(call[any](t, nil, tool.Options{}))
	check("string")(call(t, stringer{"string"}, tool.Options{}))
	check(`{"a":"<b>"}`)(call(t, map[string]string{"a": "<b>"}, tool.Options{}))
	check("[1,2]")(call(t, []int{1, 2}, tool.Options{}))

	media := tool.Result{Text: "x", Media: []tool.Media{{MediaType: "image/png", Data: []byte{1}}}, IsError: true}
	r, err := call(t, media, tool.Options{})
	require.NoError(t, err)
	assert.Equal(t, media, r)

	_, err = call(t, math.NaN(), tool.Options{})
	require.ErrorContains(t, err, "tool t: result: json: unsupported value: NaN")
}

func TestLongResultsAreCutInTheMiddle(t *testing.T) {
	long := strings.Repeat("é", 1000)
	r, err := call(t, long, tool.Options{MaxResult: 300})
	require.NoError(t, err)
	assert.True(t, utf8.ValidString(r.Text))
	head, tail, ok := strings.Cut(r.Text, fmt.Sprintf("\n[… %d bytes cut …]\n", r.Truncated))
	require.True(t, ok, r.Text)
	assert.Equal(t, len(long), len(head)+len(tail)+r.Truncated)
	assert.InDelta(t, 300, len(head)+len(tail), 4)

	r, err = call(t, long, tool.Options{MaxResult: -1})
	require.NoError(t, err)
	assert.Equal(t, tool.Text(long), r)
	r, err = call(t, strings.Repeat("x", tool.DefaultMaxResult+1), tool.Options{})
	require.NoError(t, err)
	assert.Positive(t, r.Truncated)
	binary := bytes.Repeat([]byte{0x80}, 1000)
	r, err = call(t, binary, tool.Options{MaxResult: 300})
	require.NoError(t, err)
	assert.True(t, utf8.ValidString(r.Text), "what is no text does not break the rest")
	r, err = call(t, strings.Repeat("a\x80", 1000), tool.Options{MaxResult: 300})
	require.NoError(t, err)
	assert.True(t, utf8.ValidString(r.Text))
	assert.Positive(t, r.Truncated)
	r, err = call(t, "éé", tool.Options{MaxResult: 1})
	require.NoError(t, err)
	assert.True(t, utf8.ValidString(r.Text))
}

func TestErrorsAndPanics(t *testing.T) {
	failure := errors.New("disk full")
	_, err := tool.New("t", "", func(context.Context, struct{}) (string, error) { return "x", failure }, tool.Options{}).Call(t.Context(), nil)
	require.Equal(t, failure, err)

	var log bytes.Buffer
	_, err = tool.New("t", "", func(context.Context, struct{}) (string, error) { panic("boom") },
		tool.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}).Call(t.Context(), nil)
	require.EqualError(t, err, "tool t failed internally: boom")
	assert.Contains(t, log.String(), "stack=")
}

func TestMistakesInTheProgramPanic(t *testing.T) {
	assert.Panics(t, func() {
		tool.New("bad name", "", func(context.Context, struct{}) (string, error) { return "", nil }, tool.Options{})
	})
	assert.Panics(t, func() {
		tool.New("t", "", func(context.Context, string) (string, error) { return "", nil }, tool.Options{})
	})
	assert.Panics(t, func() {
		tool.New("t", "", func(context.Context, struct{ F func() }) (string, error) { return "", nil }, tool.Options{})
	})
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"read_file": true, "A-1": true, strings.Repeat("x", 64): true,
		"": false, "a b": false, "a.b": false, "ä": false, strings.Repeat("x", 65): false,
	} {
		assert.Equal(t, ok, tool.CheckName(name) == nil, name)
	}
}

func TestEffects(t *testing.T) {
	assert.Equal(t, []tool.Effect{{Kind: tool.Unknown}}, tool.Tool{}.EffectsOf(nil))
	assert.Empty(t, tool.Tool{Annotations: tool.Annotations{ReadOnly: true}}.EffectsOf(nil))
	declared := tool.Tool{Effects: func(a json.RawMessage) []tool.Effect { return []tool.Effect{{Kind: tool.Write, Target: string(a)}} }}
	assert.Equal(t, []tool.Effect{{Kind: tool.Write, Target: "x"}}, declared.EffectsOf(json.RawMessage("x")))
	assert.True(t, tool.Annotations{Idempotent: true}.Repeatable())
	assert.False(t, tool.Annotations{Destructive: true}.Repeatable())
}

func FuzzArguments(f *testing.F) {
	for _, s := range []string{``, `null`, `{}`, `{"path":"a","edits":[{"old":"x"}],"pair":[1,2],"env":{"A":"b"}}`, `{"path":"a","line":1e2}`, `{"path":"a"}x`, `[`, `{"Path":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, args []byte) {
		var got arguments
		_, err := capture(&got).Call(t.Context(), args)
		if err == nil {
			var plain arguments
			require.NoError(t, json.Unmarshal(args, &plain))
			assert.Equal(t, plain, got)
			return
		}
		var bad *tool.ArgumentError
		require.ErrorAs(t, err, &bad, "bad arguments are never a panic or an internal error")
	})
}

func ExampleNew() {
	type add struct {
		A int `json:"a" jsonschema:"the first number"`
		B int `json:"b"`
	}
	t := tool.New("add", "Adds two numbers.", func(_ context.Context, in add) (int, error) {
		return in.A + in.B, nil
	}, tool.Options{Annotations: tool.Annotations{ReadOnly: true}})

	res, err := t.Call(context.Background(), json.RawMessage(`{"a": 2, "b": 3}`))
	fmt.Println(res.Text, err)
	_, err = t.Call(context.Background(), json.RawMessage(`{"a": 2, "b": "three"}`))
	fmt.Println(err)
	// Output:
	// 5 <nil>
	// invalid arguments for tool add: field "b": expected integer, got string "three"
}

func BenchmarkCall(b *testing.B) {
	var got arguments
	c, args := capture(&got), json.RawMessage(`{"path":"src/main.go","line":12,"edits":[{"old":"a","new":"b"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Call(b.Context(), args)
	}
}
