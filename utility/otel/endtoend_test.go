package otel_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/git"
	agenttesting "github.com/tokenring-ai/tokenring-go/testing"
)

// repository makes a git repository with one commit.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.txt"), []byte("old\n"), 0o666))
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=P", "-c", "user.email=p@example.org", "commit", "-qm", "First"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return dir
}

// TestOneTraceFromInputToCommit lets a real agent, whose model is scripted, edit a
// file in a real repository, test and commit it.
func TestOneTraceFromInputToCommit(t *testing.T) {
	b := observe(t)
	dir := repository(t)
	server := aitest.NewServer(t, func(req aitest.Request) aitest.Reply {
		switch {
		case req.Index == 0:
			return aitest.RateLimited(time.Millisecond)
		case len(req.Tools) == 0: // the commit message
			return aitest.Text("Make it new")
		case len(req.Calls("read")) == 0:
			return aitest.Call("read", `{"path":"a.txt"}`)
		case len(req.Calls("write")) == 0:
			return aitest.Call("write", `{"path":"a.txt","content":"new\n"}`)
		}
		return aitest.Text("Done.")
	})
	monitor := &aiclient.Monitor{Trace: b.Chat()}
	provider := openai.New(openai.Options{Name: "xai", BaseURL: server.URL + "/v1"})
	chat := aiclient.Wrap(provider.Chat("m-1"), aiclient.WithRetry(aiclient.RetryOptions{}), monitor.Middleware)

	files, err := filesystem.New(filesystem.Options{Root: dir, Trace: b.Filesystem()})
	require.NoError(t, err)
	repo, err := git.Open(t.Context(), dir, git.Options{
		Trace: b.Git(), Identity: git.Identity{Name: "Agent", Email: "a@example.org"},
		Message: func(ctx context.Context, _ string) (string, error) {
			reply, err := chat.Generate(ctx, &aiclient.Request{Messages: []aiclient.Message{aiclient.User("message?")}})
			if err != nil {
				return "", err
			}
			return reply.Text(), nil
		},
	})
	require.NoError(t, err)
	tests := agenttesting.New(agenttesting.Options{Trace: b.Testing()})
	require.NoError(t, tests.Register("unit", agenttesting.Shell{Command: "grep -q new a.txt", Dir: dir}))
	conv := aiclient.NewConversation(chat, aiclient.ConversationOptions{Tools: files.Tools(), Trace: b.Conversation()})
	commit := git.NewAutoCommit(repo, git.AutoCommitOptions{Passed: tests.Passed})
	require.NoError(t, commit.Begin(t.Context()))

	store, err := agent.NewFileStore(t.TempDir(), agent.FileStoreOptions{})
	require.NoError(t, err)
	manager := agent.NewManager(agent.ManagerOptions{Trace: b.Agent(), Store: store})
	require.NoError(t, manager.RegisterType(agent.Type{
		Name:           "coder",
		AutoCheckpoint: agent.AutoCheckpoint{AfterInput: true},
		Setup: func(_ context.Context, a *agent.Agent) error {
			auto := agenttesting.NewAutoTest(tests, agenttesting.AutoTestOptions{
				Workspace:    files,
				AfterTesting: func(ctx context.Context) error { return a.RunHooks(ctx, agent.AfterTesting) },
			})
			if err := a.Attach("conversation", conv); err != nil {
				return err
			}
			if err := a.Hook(agent.AfterChat, "auto-test", auto.AfterChat); err != nil {
				return err
			}
			return a.Hook(agent.AfterTesting, "auto-commit", commit.AfterTesting)
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			_, err := conv.Send(ctx, in.Text)
			return err
		},
	}))
	a, err := manager.Spawn(t.Context(), "coder", agent.SpawnOptions{})
	require.NoError(t, err)

	caller, request := b.tracer.Tracer("host").Start(t.Context(), "POST /task")
	run, err := a.Submit(caller, agent.Input{Text: "make it new", Source: "user"})
	require.NoError(t, err)
	require.NoError(t, run.Wait(t.Context()))
	require.NoError(t, manager.Shutdown(t.Context()))
	request.End()

	// One trace, in which everything stands where it happened.
	input := b.span("invoke_agent coder")
	id := input.SpanContext.TraceID()
	require.Equal(t, request.SpanContext().TraceID(), id)
	require.Equal(t, []string{"POST /task"}, b.ancestors(input))
	require.Equal(t, trace.SpanKindInternal, input.SpanKind)
	require.Equal(t, "invoke_agent", value(input, "gen_ai.operation.name"))
	require.Equal(t, "coder", value(input, "gen_ai.agent.name"))
	require.Equal(t, a.ID(), value(input, "gen_ai.conversation.id"))

	above := []string{"invoke_agent coder", "POST /task"}
	tool := b.span("execute_tool write")
	require.Equal(t, append([]string{"conversation.step", "conversation.turn"}, above...), b.ancestors(tool))
	require.Equal(t, "write", value(tool, "gen_ai.tool.name"))
	require.NotEmpty(t, value(tool, "gen_ai.tool.call.id"))
	require.Equal(t, codes.Unset, tool.Status.Code)
	written := b.span("filesystem.write")
	require.Equal(t, "execute_tool write", b.ancestors(written)[0])

	test := b.span("test unit")
	require.Equal(t, append([]string{"hook auto-test"}, above...), b.ancestors(test))
	require.Equal(t, "success", value(test, "test.suite.run.status"))
	committed := b.span("commit")
	require.Equal(t, append([]string{"hook auto-commit", "hook auto-test"}, above...), b.ancestors(committed))
	last, ok := commit.Last()
	require.True(t, ok)
	require.Equal(t, last.Hash, value(committed, "vcs.ref.head.revision"))
	require.Equal(t, "commit", b.ancestors(b.span("git commit"))[0])

	chats := b.named("chat m-1")
	require.Len(t, chats, 5, "one refused, three steps, one commit message")
	var parents []string
	for _, s := range chats {
		require.Equal(t, id, s.SpanContext.TraceID())
		require.Equal(t, trace.SpanKindClient, s.SpanKind)
		require.Equal(t, "chat", value(s, "gen_ai.operation.name"))
		require.Equal(t, "x_ai", value(s, "gen_ai.provider.name"))
		require.Equal(t, "m-1", value(s, "gen_ai.request.model"))
		parents = append(parents, b.ancestors(s)[0])
	}
	require.Equal(t, []string{"conversation.step", "conversation.step", "conversation.step", "conversation.step", "commit"}, parents)
	require.Equal(t, codes.Error, chats[0].Status.Code)
	require.Equal(t, "rate-limit", value(chats[0], "error.type"))
	require.EqualValues(t, 2, value(chats[1], "tokenring.chat.attempt"))
	require.Positive(t, value(chats[1], "gen_ai.usage.input_tokens"))
	require.Positive(t, value(chats[1], "gen_ai.usage.output_tokens"))
	require.Equal(t, codes.Unset, chats[1].Status.Code)

	checkpoints := b.named("checkpoint")
	require.NotEmpty(t, checkpoints)
	require.True(t, slices.ContainsFunc(checkpoints, func(s tracetest.SpanStub) bool { return s.SpanContext.TraceID() == id }))

	// And the metrics of it.
	require.EqualValues(t, 1, b.count("gen_ai.client.operation.duration", "error.type", "rate-limit"))
	require.EqualValues(t, 5, b.count("gen_ai.client.operation.duration", "gen_ai.provider.name", "x_ai", "gen_ai.operation.name", "chat"))
	require.EqualValues(t, 4, b.count("gen_ai.client.token.usage", "gen_ai.token.type", "input"))
	require.EqualValues(t, 4, b.count("gen_ai.client.token.usage", "gen_ai.token.type", "output"))
	require.EqualValues(t, 1, b.count("tokenring.chat.retries"))
	require.EqualValues(t, 1, b.count("gen_ai.invoke_agent.duration", "gen_ai.agent.name", "coder", "error.type", nil))
	require.EqualValues(t, 1, b.count("gen_ai.execute_tool.duration", "gen_ai.tool.name", "write"))
	require.EqualValues(t, 1, b.count("tokenring.filesystem.operation.duration", "tokenring.filesystem.operation", "write"))
	require.Positive(t, b.count("tokenring.filesystem.io", "tokenring.filesystem.operation", "write"))
	require.EqualValues(t, 1, b.count("tokenring.test.duration", "test.suite.name", "unit", "test.suite.run.status", "success"))
	require.EqualValues(t, 1, b.count("tokenring.git.commit.duration", "error.type", nil))
	require.Positive(t, b.count("tokenring.git.command.duration"))
	require.EqualValues(t, 1, b.count("tokenring.agent.hook.duration", "tokenring.agent.hook.name", "auto-commit", "tokenring.agent.hook.point", string(agent.AfterTesting)))
	require.Positive(t, b.count("tokenring.agent.checkpoint.duration", "gen_ai.agent.name", "coder"))
	require.Positive(t, b.count("tokenring.agent.checkpoint.size"))
	require.EqualValues(t, 1, b.count("tokenring.agent.setup.duration", "tokenring.agent.restored", false))
	require.EqualValues(t, 1, b.count("tokenring.agent.lifetime"))
	require.EqualValues(t, 1, b.count("tokenring.agent.stop.duration"))
	require.Zero(t, b.count("tokenring.agent.count"), "none lives")

	// Nothing of what was said or written is in the spans.
	for _, s := range b.spans.GetSpans() {
		for _, kv := range s.Attributes {
			require.NotContains(t, kv.Value.String(), "make it new")
		}
	}
}
