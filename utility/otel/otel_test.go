package otel_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/memory"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/registry"
	agenttesting "github.com/tokenring-ai/tokenring-go/testing"
	"github.com/tokenring-ai/tokenring-go/utility/cache"
	"github.com/tokenring-ai/tokenring-go/utility/otel"
	"github.com/tokenring-ai/tokenring-go/utility/stats"
	"github.com/tokenring-ai/tokenring-go/utility/task"
)

var errBroken = errors.New("broken")

func TestErrorType(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("x: %w", context.Canceled), "canceled"},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout"},
		{&aiclient.APIError{Class: aiclient.ClassOverloaded}, "overloaded"},
		{&aiclient.APIError{Class: aiclient.ClassTimeout}, "timeout"},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, "not_found"},
		{&registry.NotFoundError{Name: "x"}, "not_found"},
		{os.ErrExist, "exists"},
		{os.ErrPermission, "permission"},
		{errBroken, "_OTHER"},
	} {
		require.Equal(t, c.want, otel.ErrorType(c.err), "%v", c.err)
	}
}

func TestUsageIncludesCachedTokens(t *testing.T) {
	b := observe(t)
	_, end := b.Chat().StartRequest(t.Context(), aiclient.RequestInfo{
		Model: aiclient.Model{Provider: "anthropic", ID: "m"}, Request: &aiclient.Request{MaxTokens: 100, Temperature: new(0.0)}, Streamed: true})
	end(aiclient.RequestEnd{
		Finish: aiclient.Finish{Reason: "stop", ID: "r1", Model: "m-2025", Cost: 0.5,
			Usage: aiclient.Usage{Input: 10, CachedRead: 200, CacheWrite: 30, Output: 7, Reasoning: 3}},
		Timing: aiclient.Timing{FirstPart: 100 * time.Millisecond, Total: 2 * time.Second},
	})
	s := b.span("chat m")
	for key, want := range map[string]any{
		"gen_ai.provider.name": "anthropic", "gen_ai.response.id": "r1", "gen_ai.response.model": "m-2025",
		"gen_ai.usage.input_tokens": int64(240), "gen_ai.usage.output_tokens": int64(7),
		"gen_ai.usage.cache_read.input_tokens": int64(200), "gen_ai.usage.cache_creation.input_tokens": int64(30),
		"gen_ai.usage.reasoning.output_tokens": int64(3), "gen_ai.request.max_tokens": int64(100),
		"gen_ai.request.temperature": 0.0, "gen_ai.request.stream": true, "gen_ai.response.finish_reasons": []string{"stop"},
	} {
		require.Equal(t, want, value(s, key), key)
	}
	for _, p := range b.points("gen_ai.client.token.usage") {
		want := map[any]float64{"input": 240, "output": 7}[p.value("gen_ai.token.type")]
		require.Equal(t, want, p.sum)
		require.Equal(t, "m-2025", p.value("gen_ai.response.model"))
	}
	require.Equal(t, 2.0, b.points("gen_ai.client.operation.duration")[0].sum)
	require.Equal(t, 0.1, b.points("gen_ai.client.operation.time_to_first_chunk")[0].sum)
	require.Equal(t, 0.5, b.count("tokenring.chat.cost"))
}

func TestFailuresTimeoutsAndCancellationsAreTold(t *testing.T) {
	b := observe(t)
	for _, end := range []aiclient.RequestEnd{
		{Err: context.Canceled}, {Stopped: true}, {Err: context.DeadlineExceeded},
		{Err: &aiclient.APIError{Class: aiclient.ClassServer}}, {},
	} {
		_, done := b.Chat().StartRequest(t.Context(), aiclient.RequestInfo{Model: aiclient.Model{Provider: "openai", ID: "m"}})
		done(end)
	}
	for kind, n := range map[any]float64{"canceled": 2, "timeout": 1, "server": 1, nil: 1} {
		require.Equal(t, n, b.count("gen_ai.client.operation.duration", "error.type", kind), "%v", kind)
	}
	require.Zero(t, b.count("gen_ai.client.token.usage"), "unknown is not 0")

	_, input := b.Agent().StartInput(t.Context(), t.Context(), "gone", agent.Input{})
	input(agent.InputFinished{State: agent.Aborted, Error: "aborted"})
	require.EqualValues(t, 1, b.count("gen_ai.invoke_agent.duration", "error.type", "canceled"))
	_, test := b.Testing().StartTest(t.Context(), "unit")
	test(agenttesting.Result{Status: agenttesting.TimedOut, Duration: time.Second})
	require.EqualValues(t, 1, b.count("tokenring.test.duration", "test.suite.run.status", "timed_out"))
	require.Equal(t, codes.Error, b.span("test unit").Status.Code)
	_, tool := b.Conversation().StartTool(t.Context(), aiclient.ToolCall{ID: "1", Name: "x"})
	tool(aiclient.ToolResult{IsError: true})
	require.EqualValues(t, 1, b.count("gen_ai.execute_tool.duration", "error.type", "tool_error"))
	_, commit := b.Git().StartCommit(t.Context())
	commit(git.Commit{}, errBroken)
	require.EqualValues(t, 1, b.count("tokenring.git.commit.duration", "error.type", "_OTHER"))
	b.Git().LockWait(t.Context(), time.Second)
	require.EqualValues(t, 1, b.count("tokenring.git.lock_wait.duration"))
	b.Git().Message(t.Context(), git.MessageModel, errBroken)
	require.EqualValues(t, 1, b.count("tokenring.git.messages", "error.type", "_OTHER"))
	b.Git().Snapshot(t.Context(), git.Snapshot{Backup: true})
	require.EqualValues(t, 1, b.count("tokenring.git.snapshots", "tokenring.git.snapshot.backup", true))
	ask := b.Agent().StartAsk(t.Context(), "a", agent.Request{})
	ask(agent.Answered{Response: agent.Response{TimedOut: true}})
	require.EqualValues(t, 1, b.count("tokenring.agent.ask.duration", "error.type", "timeout"))
	b.Testing().Repair(t.Context(), agenttesting.Repair{Resource: "unit"})
	b.Testing().GiveUp(t.Context(), agenttesting.Repair{Resource: "unit"}, "enough")
	require.EqualValues(t, 1, b.count("tokenring.test.repairs", "tokenring.test.repair", "given_up"))
}

func TestTheTraceGoesThroughAQueue(t *testing.T) {
	b := observe(t)
	q := queue.NewMemory(queue.Options{Trace: b.Queue("repairs"), MaxAttempts: 2})
	defer q.Close()
	stop, err := b.ObserveQueue("repairs", q)
	require.NoError(t, err)
	ctx, enqueuing := b.tracer.Tracer("host").Start(t.Context(), "enqueue")
	headers := map[string]string{"mine": "1"}
	item := otel.Inject(ctx, queue.Item{Name: "repair", Headers: headers})
	require.Equal(t, map[string]string{"mine": "1"}, headers, "not changed")
	require.Equal(t, "1", item.Headers["mine"])
	_, err = q.Enqueue(ctx, item)
	require.NoError(t, err)
	enqueuing.End()
	require.EqualValues(t, 1, b.count("tokenring.queue.depth", "tokenring.queue.state", "ready", "messaging.destination.name", "repairs"))

	attempts := 0
	worker := queue.NewWorker(q, func(ctx context.Context, item queue.Item) error {
		if attempts++; attempts == 1 {
			return errBroken
		}
		require.Equal(t, enqueuing.SpanContext().TraceID(), trace.SpanContextFromContext(ctx).TraceID())
		return nil
	}, queue.WorkerOptions{
		Middleware: []func(queue.Handler) queue.Handler{b.Handler("repairs")},
		Retry:      func(queue.Item, error) queue.Decision { return queue.Decision{Delay: -1} },
	})
	require.NoError(t, worker.RunUntilEmpty(t.Context()))

	runs := b.named("process repairs")
	require.Len(t, runs, 2)
	for i, s := range runs {
		require.Equal(t, []string{"enqueue"}, b.ancestors(s))
		require.Equal(t, trace.SpanKindConsumer, s.SpanKind)
		require.EqualValues(t, i+1, value(s, "tokenring.queue.item.attempt"))
	}
	require.Equal(t, codes.Error, runs[0].Status.Code)
	for event, n := range map[string]float64{"enqueued": 1, "received": 2, "acked": 1, "retried": 1} {
		require.Equal(t, n, b.count("tokenring.queue.items", "tokenring.queue.event", event), event)
	}
	require.EqualValues(t, 2, b.count("tokenring.queue.wait.duration"))
	require.EqualValues(t, 1, b.count("tokenring.queue.run.duration"))
	require.EqualValues(t, 1, b.count("messaging.process.duration", "error.type", "_OTHER"))

	require.NoError(t, stop())
	require.Zero(t, b.count("tokenring.queue.depth"))
	require.Equal(t, queue.Item{Name: "x"}, otel.Inject(t.Context(), queue.Item{Name: "x"}), "no trace, no headers")

	hostile := queue.Item{Headers: map[string]string{"traceparent": "00-zz-\xff"}}
	require.NoError(t, b.Handler("hostile")(func(context.Context, queue.Item) error { return nil })(t.Context(), hostile))
	require.Empty(t, b.ancestors(b.span("process hostile")))
	require.Panics(t, func() {
		_ = b.Handler("panics")(func(context.Context, queue.Item) error { panic("boom") })(t.Context(), queue.Item{})
	})
	require.Equal(t, codes.Error, b.span("process panics").Status.Code)
}

func TestRegistryCacheMemory(t *testing.T) {
	b := observe(t)
	ctx, root := b.tracer.Tracer("host").Start(t.Context(), "root")

	models := &registry.Keyed[int]{Trace: b.Registry("models")}
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	_, err := models.Wait(impatient, "m")
	require.ErrorIs(t, err, context.Canceled)
	require.EqualValues(t, 1, b.count("tokenring.registry.wait.duration", "error.type", "canceled", "tokenring.registry.name", "models"))

	r := cache.New(func(_ context.Context, key string) (int, error) { return len(key), nil }, cache.Options{Trace: b.Cache("lengths")})
	defer r.Close(t.Context())
	stop, err := b.ObserveCache("lengths", r.Stats)
	require.NoError(t, err)
	for range 4 {
		n, err := r.Get(ctx, "abc")
		require.NoError(t, err)
		require.Equal(t, 3, n)
	}
	require.EqualValues(t, 3, b.count("tokenring.cache.requests", "tokenring.cache.result", "hit"))
	require.EqualValues(t, 1, b.count("tokenring.cache.requests", "tokenring.cache.result", "miss"))
	require.EqualValues(t, 1, b.count("tokenring.cache.entries", "tokenring.cache.name", "lengths"))
	require.EqualValues(t, 1, b.count("tokenring.cache.load.duration"))
	require.NoError(t, stop())

	store := memory.New(memory.Options{Trace: b.Memory()})
	_, err = store.Remember("x")
	require.NoError(t, err)
	require.NoError(t, store.Edit("m1", func(it *memory.Item) { it.Text = "y" }))
	for _, event := range []string{"added", "edited"} {
		require.EqualValues(t, 1, b.count("tokenring.memory.items", "tokenring.memory.event", event))
	}
	_, err = store.Search(ctx, "y", 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, b.count("tokenring.memory.search.duration", "tokenring.memory.by_meaning", false, "error.type", nil))

	root.End()
	require.Equal(t, []string{"root"}, b.ancestors(b.span("registry.wait")))
	require.Equal(t, []string{"root"}, b.ancestors(b.span("cache.load")))
	found := b.span("memory.search")
	require.Equal(t, []string{"root"}, b.ancestors(found))
	require.EqualValues(t, 1, value(found, "tokenring.memory.found"))
}

// TestDatabase asks a database that cannot be reached, which is enough to see spans.
func TestDatabase(t *testing.T) {
	b := observe(t)
	ctx, root := b.tracer.Tracer("host").Start(t.Context(), "root")
	s := database.New(database.Options{Trace: b.Database(), Approve: func(ctx context.Context, _ database.Write) (bool, error) {
		_, asking := b.tracer.Tracer("host").Start(ctx, "ask")
		asking.End()
		return false, nil
	}})
	db := sql.OpenDB(unreachable{})
	defer db.Close()
	require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: database.Postgres, AllowWrites: true}))
	_, err := s.Query(ctx, "main", "SELECT secret")
	require.ErrorIs(t, err, errBroken)
	_, err = s.Execute(ctx, "main", "DELETE FROM secret")
	require.ErrorIs(t, err, database.ErrNotApproved)
	_, err = s.Schema(ctx, "main", database.SchemaFilter{})
	require.ErrorIs(t, err, errBroken)
	root.End()

	for name, kind := range map[string]string{"query main": "_OTHER", "execute main": "refused", "schema main": "_OTHER"} {
		span := b.span(name)
		require.Equal(t, []string{"root"}, b.ancestors(span))
		require.Equal(t, trace.SpanKindClient, span.SpanKind)
		require.Equal(t, codes.Error, span.Status.Code)
		require.Equal(t, "postgresql", value(span, "db.system.name"))
		require.Equal(t, kind, value(span, "error.type"))
		require.EqualValues(t, 1, b.count("db.client.operation.duration", "db.operation.name", strings.Fields(name)[0],
			"db.namespace", "main", "error.type", kind, "tokenring.database.cached", false))
		for _, kv := range span.Attributes {
			require.NotContains(t, kv.Value.String(), "secret")
		}
	}
	require.Equal(t, []string{"execute main", "root"}, b.ancestors(b.span("ask")))

	_, end := b.Database().StartCall(t.Context(), database.Call{Operation: "query", Provider: "lite", Dialect: database.SQLite})
	end(database.CallEnd{Took: time.Second, Rows: 3, Cached: true})
	require.Equal(t, codes.Unset, b.span("query lite").Status.Code)
	require.EqualValues(t, 3, value(b.span("query lite"), "db.response.returned_rows"))
	require.EqualValues(t, 1, b.count("db.client.operation.duration", "db.system.name", "sqlite", "tokenring.database.cached", true, "error.type", nil))
}

type unreachable struct{}

func (unreachable) Connect(context.Context) (driver.Conn, error) { return nil, errBroken }
func (unreachable) Driver() driver.Driver                        { return nil }

func TestAbandonedTasks(t *testing.T) {
	b := observe(t)
	synctest.Test(t, func(t *testing.T) {
		g := task.NewGroup(task.Options{Trace: b.Task("tools")})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := task.Abandon(ctx, g, "deaf", func(context.Context) (int, error) {
			time.Sleep(time.Minute) // of the bubble's clock
			return 0, nil
		}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, g.Wait(t.Context()))
	})
	require.EqualValues(t, 1, b.count("tokenring.task.abandoned", "tokenring.task.group", "tools"))
	require.Equal(t, 1.0, b.points("tokenring.task.abandoned")[0].sum)
	require.EqualValues(t, 1, b.count("tokenring.task.duration", "tokenring.task.late", true))
	require.Equal(t, true, value(b.span("task deaf"), "tokenring.task.late"))
}

func TestProcessAndStats(t *testing.T) {
	b := observe(t)
	stop, err := b.ObserveProcess()
	require.NoError(t, err)
	for _, name := range []string{"go.goroutine.count", "go.memory.used", "tokenring.process.heap"} {
		require.Positive(t, b.count(name), name)
	}
	if stats.ReadProcess().FileDescriptors >= 0 {
		require.Positive(t, b.count("process.unix.file_descriptor.count"))
	}
	require.NoError(t, stop())
	require.Empty(t, b.points("go.goroutine.count"))

	var g stats.Group
	add := func(name string, read func() any) {
		_, err := stats.Add(&g, name, read)
		require.NoError(t, err)
	}
	manager := agent.NewManager(agent.ManagerOptions{})
	add("agents", func() any { return manager.Stats() })
	add("registry", func() any { return registry.Stats{Items: 3, Waiting: map[string]int{"m": 2}} })
	add("panics", func() any { panic("closed") })
	add("panics as JSON", func() any { return panicky{} })
	big := map[string]int{}
	for i := range 1000 {
		big[fmt.Sprint(i)] = 1
	}
	add("big", func() any { return big })
	_, err = b.ObserveStats(&g)
	require.NoError(t, err)
	require.EqualValues(t, 3, b.count("tokenring.stats", "tokenring.stats.name", "registry", "tokenring.stats.field", "items"))
	require.EqualValues(t, 2, b.count("tokenring.stats", "tokenring.stats.field", "waiting.m"))
	require.EqualValues(t, 200, b.count("tokenring.stats", "tokenring.stats.name", "big"), "bounded")
	require.Zero(t, b.count("tokenring.stats", "tokenring.stats.name", "panics"))
	require.Zero(t, b.count("tokenring.stats", "tokenring.stats.name", "panics as JSON"))
}

type panicky struct{}

func (panicky) MarshalJSON() ([]byte, error) { panic("no JSON") }

func TestWhatIsPastNeedsASpan(t *testing.T) {
	b := observe(t)
	b.Git().Command(t.Context(), git.CommandInfo{Args: []string{"-c", "a=b", "--no-pager", "status", "-z"}, Duration: time.Second})
	require.Empty(t, b.names(), "no trace of its own")
	require.EqualValues(t, 1, b.count("tokenring.git.command.duration", "tokenring.git.command", "status"))
	ctx, root := b.tracer.Tracer("host").Start(t.Context(), "root")
	b.Git().Command(ctx, git.CommandInfo{Args: []string{"status"}, Duration: time.Second, Err: errBroken, ExitCode: 128})
	root.End()
	s := b.span("git status")
	require.Equal(t, time.Second, s.EndTime.Sub(s.StartTime))
	require.Equal(t, codes.Error, s.Status.Code)
	b.Git().Command(t.Context(), git.CommandInfo{})
}

func TestAgentsAreForgotten(t *testing.T) {
	b := observe(t)
	tr := b.Agent()
	for i := range 10 {
		id := fmt.Sprint(i)
		tr.Spawned(id, "t", i%2 == 0, time.Millisecond)
		if i < 9 {
			tr.Stopped(id, "done", time.Second, time.Millisecond)
		}
	}
	require.EqualValues(t, 1, b.count("tokenring.agent.count", "gen_ai.agent.name", "t"))
	require.EqualValues(t, 9, b.count("tokenring.agent.lifetime"))
	_, end := tr.StartInput(t.Context(), t.Context(), "3", agent.Input{})
	end(agent.InputFinished{State: agent.Done})
	require.Equal(t, []tracetest.SpanStub{b.span("invoke_agent ")}, b.named("invoke_agent "), "its type is not known any more")
}

// TestAgentThatLivesAgainAtOnce has an agent restored before the end of its former
// life is told, as happens to one that is asked something the moment it stops.
func TestAgentThatLivesAgainAtOnce(t *testing.T) {
	b := observe(t)
	tr := b.Agent()
	tr.Spawned("a", "t", false, time.Millisecond)
	tr.Spawned("a", "t", true, time.Millisecond)
	tr.Stopped("a", "idle", time.Second, time.Millisecond)
	_, end := tr.StartInput(t.Context(), t.Context(), "a", agent.Input{})
	end(agent.InputFinished{State: agent.Done})
	require.Len(t, b.named("invoke_agent t"), 1)
	require.EqualValues(t, 1, b.count("tokenring.agent.count", "gen_ai.agent.name", "t"))
	tr.Stopped("a", "idle", time.Second, time.Millisecond)
	require.Zero(t, b.count("tokenring.agent.count", "gen_ai.agent.name", "t"))
}

func TestInstrumentsThatAreRefused(t *testing.T) {
	_, err := otel.New(otel.Options{}) // the global providers, which do nothing
	require.NoError(t, err)
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	require.NoError(t, meters.Shutdown(t.Context()))
	_, err = otel.New(otel.Options{MeterProvider: meters})
	require.NoError(t, err, "after its end a provider does nothing")
}

// BenchmarkFileOperation is what observing a file operation costs with the SDK, in
// a trace that is not sampled.
func BenchmarkFileOperation(b *testing.B) {
	o := observe(b)
	done := o.Filesystem().Done
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		done(ctx, filesystem.Operation{Name: "read", Path: "a.txt", Bytes: 100, Duration: time.Millisecond})
	}
}
