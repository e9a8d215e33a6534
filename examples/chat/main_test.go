package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
)

// The tests run the program as its users do: as a process of its own. It is
// this test binary, which turns into the program when the variable is set.
const asProgram = "CHAT_TEST_RUN_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// program is a run of the program without any key in its environment but those
// that env sets.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, args...)
	// The race detector would wait for a second at every end.
	cmd.Env = append([]string{asProgram + "=1", "GORACE=atexit_sleep_ms=0", "HOME=" + t.TempDir()}, env...)
	return cmd
}

// outcome is what a finished run left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

func finish(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// wires are the wire formats, with what asks for them.
var wires = []struct {
	name, path, model string
	format            aitest.Format
}{
	{"openai", "/v1", "gpt-4o", aitest.OpenAI},
	{"anthropic", "", "anthropic:claude-sonnet-4-6", aitest.Anthropic},
	{"google", "/v1beta", "google:gemini-2.5-flash", aitest.Gemini},
}

func eachWire(t *testing.T, test func(t *testing.T, wire aitest.Format, start func(aitest.Script) (*aitest.Server, []string))) {
	for _, w := range wires {
		t.Run(w.name, func(t *testing.T) {
			test(t, w.format, func(script aitest.Script) (*aitest.Server, []string) {
				server := aitest.NewServer(t, script)
				return server, []string{"-base-url", server.URL + w.path, "-model", w.model}
			})
		})
	}
}

func TestAnswer(t *testing.T) {
	eachWire(t, func(t *testing.T, format aitest.Format, start func(aitest.Script) (*aitest.Server, []string)) {
		server, flags := start(func(r aitest.Request) aitest.Reply {
			return aitest.Text("You said: " + r.LastUser() + "\x1b[2J")
		})
		for name, test := range map[string]struct {
			args  []string
			stdin string
			said  string
		}{
			"argument":             {[]string{"hello", "world"}, "", "hello world"},
			"standard input":       {nil, "from a\npipe\n", "from a\npipe"},
			"both":                 {[]string{"Shorten:", "-"}, "long text\n", "Shorten:\n\nlong text"},
			"whole":                {[]string{"-stream=false", "hello"}, "", "hello"},
			"system":               {[]string{"-system", "Be brief.", "hello"}, "", "hello"},
			"not UTF-8":            {nil, "a\xff", "a\uFFFD"},
			"input that is unread": {[]string{"hello"}, "ignored", "hello"},
		} {
			t.Run(name, func(t *testing.T) {
				cmd := program(t, nil, append(flags, test.args...)...)
				cmd.Stdin = strings.NewReader(test.stdin)
				out := finish(t, cmd)
				require.Zero(t, out.status, out.stderr)
				assert.Equal(t, "You said: "+test.said+"\x1b[2J\n", out.stdout, "a pipe gets what the model wrote, verbatim")
				assert.Empty(t, out.stderr)

				requests := server.Requests()
				last := requests[len(requests)-1]
				assert.Equal(t, format, last.Format)
				assert.Equal(t, name != "whole", last.Stream)
				if name == "system" {
					assert.Equal(t, "Be brief.", last.System())
				}
			})
		}
	})
}

func TestToolAndJSON(t *testing.T) {
	eachWire(t, func(t *testing.T, _ aitest.Format, start func(aitest.Script) (*aitest.Server, []string)) {
		server, flags := start(func(r aitest.Request) aitest.Reply {
			if results := r.ToolResults(); len(results) > 0 {
				return aitest.Reply{Text: "It is " + results[0].Text, Usage: aitest.Usage{Input: 30, Output: 7}}
			}
			reply := aitest.Call("time", `{"zone":"UTC"}`)
			reply.Usage = aitest.Usage{Input: 20, Output: 5}
			return reply
		})
		out := finish(t, program(t, nil, append(flags, "-tool", "time", "-json", "What time is it?")...))
		require.Zero(t, out.status, out.stderr)

		var said string
		var kinds []string
		var last result
		lines := strings.Split(strings.TrimSpace(out.stdout), "\n")
		for _, line := range lines {
			var part struct{ Kind, Text string }
			require.NoError(t, json.Unmarshal([]byte(line), &part), line)
			if part.Kind == "text" {
				said += part.Text
			}
			if len(kinds) == 0 || kinds[len(kinds)-1] != part.Kind {
				kinds = append(kinds, part.Kind)
			}
		}
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
		words := strings.Fields(said) // It is Monday, 2006-01-02T15:04:05Z UTC
		require.Len(t, words, 5, said)
		stated, err := time.Parse(time.RFC3339, words[3])
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now(), stated, time.Minute)
		assert.Contains(t, strings.Join(kinds, " "), "tool-call finish tool-result text finish result")
		assert.Equal(t, aiclient.StopEnd, last.Stop)
		assert.Equal(t, aiclient.Usage{Input: 50, Output: 12}, last.Usage)
		assert.Contains(t, flags[3], strings.TrimPrefix(last.Model, "custom:"))
		if !strings.HasPrefix(last.Model, "custom:") {
			assert.Positive(t, last.Cost, "the catalogue knows the price")
		}
		require.Len(t, server.Requests(), 2)
		assert.Len(t, server.Requests()[0].Tools, 1)

		people := finish(t, program(t, nil, append(flags, "-tool", "time", "What time is it?")...))
		assert.Contains(t, people.stdout, "It is ")
		assert.Contains(t, people.stderr, `[time {"zone":"UTC"}]`)
	})
}

func TestToolErrorsGoToTheModel(t *testing.T) {
	_, err := currentTime(t.Context(), timeArgs{Zone: "Mars/Olympus"})
	assert.ErrorContains(t, err, "IANA")
	local, err := currentTime(t.Context(), timeArgs{})
	require.NoError(t, err)
	assert.Contains(t, local, time.Now().Format("2006-01-02"))
}

// TestInterrupt interrupts a reply that hangs after its first words.
func TestInterrupt(t *testing.T) {
	eachWire(t, func(t *testing.T, _ aitest.Format, start func(aitest.Script) (*aitest.Server, []string)) {
		_, flags := start(func(aitest.Request) aitest.Reply {
			return aitest.Reply{Text: strings.Repeat("word ", 100), Fault: aitest.Fault{Kind: aitest.Hang, After: 8}}
		})
		for _, mode := range []string{"text", "json"} {
			cmd := program(t, nil, append(flags, "-json="+map[string]string{"text": "false", "json": "true"}[mode], "go on")...)
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			in := bufio.NewReader(stdout)
			var seen strings.Builder
			for !strings.Contains(seen.String(), "word") {
				b, err := in.ReadByte()
				require.NoError(t, err)
				seen.WriteByte(b)
			}
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			rest, err := io.ReadAll(in)
			require.NoError(t, err)
			require.Error(t, cmd.Wait())
			assert.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
			if mode == "json" {
				lines := strings.Split(strings.TrimSpace(string(rest)), "\n")
				var last result
				require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &last))
				assert.Equal(t, aiclient.StopAborted, last.Stop)
			}
		}
	})
}

func TestFailures(t *testing.T) {
	limited := aitest.NewServer(t, func(aitest.Request) aitest.Reply {
		return aitest.Fail(http.StatusUnauthorized, "the key sk-own is wrong")
	})
	silent := aitest.NewServer(t, nil)
	silent.SetModels("a", "b")
	ambiguous := []string{"-base-url", silent.URL + "/v1", "hi"}
	for name, test := range map[string]struct {
		env    []string
		args   []string
		status int
		says   []string
	}{
		"no such flag":       {nil, []string{"-nope"}, exitUsage, []string{"-nope", "chat -h"}},
		"bad value":          {nil, []string{"-stream=perhaps", "hi"}, exitUsage, []string{"perhaps"}},
		"no such tool":       {nil, []string{"-tool", "rm", "hi"}, exitUsage, []string{"rm", "want one of time"}},
		"no URL":             {nil, []string{"-base-url", "localhost", "hi"}, exitUsage, []string{"-base-url localhost"}},
		"no prompt":          {nil, nil, exitUsage, []string{"no prompt"}},
		"empty prompt":       {nil, []string{" "}, exitUsage, []string{"no prompt"}},
		"no key at all":      {nil, []string{"hi"}, exitFailed, []string{"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"}},
		"missing key":        {nil, []string{"-model", "groq:x", "hi"}, exitFailed, []string{"set GROQ_API_KEY"}},
		"no such provider":   {nil, []string{"-model", "nobody:x", "hi"}, exitFailed, []string{"nobody"}},
		"no such feature":    {[]string{"OPENAI_API_KEY=x"}, []string{"-model", "openai:gpt-4o?colour=red", "hi"}, exitFailed, []string{"colour", "temperature"}},
		"unreachable":        {nil, []string{"-base-url", "http://127.0.0.1:1/v1", "-model", "m", "hi"}, exitFailed, []string{"127.0.0.1:1", "trying again"}},
		"nobody lists":       {nil, []string{"-base-url", "http://127.0.0.1:1/v1", "hi"}, exitFailed, []string{"127.0.0.1:1"}},
		"several models":     {nil, ambiguous, exitFailed, []string{"a, b"}},
		"refused":            {[]string{keyVariable + "=sk-own"}, []string{"-base-url", limited.URL + "/v1", "-model", "m", "hi"}, exitFailed, []string{"auth", "401"}},
		"list without a key": {nil, []string{"-list", "openai"}, exitFailed, []string{"OPENAI_API_KEY"}},
		"list unreachable":   {nil, []string{"-list", "-base-url", "http://127.0.0.1:1/v1"}, exitFailed, []string{"127.0.0.1:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := finish(t, program(t, test.env, test.args...))
			assert.Equal(t, test.status, out.status)
			assert.Empty(t, out.stdout)
			for _, want := range test.says {
				assert.Contains(t, out.stderr, want)
			}
			assert.NotContains(t, out.stderr, "sk-own")
		})
	}
	out := finish(t, program(t, nil, "-json", "-model", "groq:x", "hi"))
	var last result
	require.NoError(t, json.Unmarshal([]byte(out.stdout), &last), out.stdout)
	assert.Equal(t, aiclient.ClassAuth, last.Class)
}

func TestFigures(t *testing.T) {
	for n, want := range map[int64]string{0: "", 8192: "8192", 131_072: "131k", 200_000: "200k", 1_000_000: "1M", 1_048_576: "1048k"} {
		assert.Equal(t, want, tokens(n))
	}
	assert.Equal(t, "0.075", price(0.075, aiclient.ModelSpec{Price: aiclient.Price{Input: 0.075, Output: 1}}))
	assert.Equal(t, "0", price(0, aiclient.ModelSpec{Price: aiclient.Price{Output: 1}}))
	assert.Equal(t, "", price(0, aiclient.ModelSpec{}))
}

func TestHelp(t *testing.T) {
	out := finish(t, program(t, nil, "-h"))
	assert.Zero(t, out.status)
	for _, flag := range []string{"-model", "-base-url", "-system", "-tool", "-stream", "-json", "-list"} {
		assert.Contains(t, out.stderr, "  "+flag)
	}
}

func TestList(t *testing.T) {
	server := aitest.NewServer(t, nil)
	known := catalogue.Default().Models("anthropic")
	require.Greater(t, len(known), 1)
	server.SetModels(known[0].ID, "claude-of-tomorrow")
	row := func(spec aiclient.ModelSpec, status aiclient.Status) string {
		return strings.Join([]string{"| anthropic:" + spec.ID, string(status), tokens(spec.Context), price(spec.Price.Input, spec), price(spec.Price.Output, spec)}, " | ")
	}
	for name, test := range map[string]struct {
		env, args []string
		rows      []string
	}{
		"of a provider": {
			[]string{"ANTHROPIC_API_KEY=x", "ANTHROPIC_BASE_URL=" + server.URL}, []string{"-list", "anthropic"},
			[]string{row(known[0], aiclient.StatusOnline), "| anthropic:claude-of-tomorrow | online | | | |", row(known[1], aiclient.StatusOffline)},
		},
		"of all": {
			[]string{"ANTHROPIC_API_KEY=x", "ANTHROPIC_BASE_URL=" + server.URL}, []string{"-list"},
			[]string{row(known[0], aiclient.StatusOnline)},
		},
		"at a base URL": {
			nil, []string{"-list", "-base-url", server.URL + "/v1"},
			[]string{"| custom:" + known[0].ID + " | online | | | |"},
		},
		"of a provider at a base URL": {
			nil, []string{"-list", "-base-url", server.URL, "anthropic"},
			[]string{row(known[0], aiclient.StatusOnline)},
		},
		"offline": {
			[]string{"ANTHROPIC_API_KEY=x", "ANTHROPIC_BASE_URL=http://127.0.0.1:1"}, []string{"-list", "anthropic"},
			[]string{row(known[0], aiclient.StatusOffline)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := finish(t, program(t, test.env, test.args...))
			require.Zero(t, out.status, out.stderr)
			table := strings.Join(strings.Fields(out.stdout), " ")
			for _, row := range test.rows {
				assert.Contains(t, table, row)
			}
			assert.Equal(t, name == "offline", strings.Contains(out.stderr, "127.0.0.1:1"), out.stderr)

			asJSON := finish(t, program(t, test.env, append([]string{"-json"}, test.args...)...))
			require.Zero(t, asJSON.status, asJSON.stderr)
			models := 0
			for line := range strings.Lines(asJSON.stdout) {
				var m listed
				require.NoError(t, json.Unmarshal([]byte(line), &m))
				assert.NotEmpty(t, m.Model)
				assert.NotEmpty(t, m.Status)
				models++
			}
			assert.Equal(t, strings.Count(out.stdout, "\n")-2, models)
		})
	}
}
