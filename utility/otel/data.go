package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/memory"
	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/utility/cache"
	"github.com/tokenring-ai/tokenring-go/utility/task"
)

// Database observes statements. Their text is not recorded.
func (o *Observer) Database() database.Trace {
	record := func(operation string) func(database.Call) {
		return func(c database.Call) {
			out := outcomeOf(c.Err)
			if operation == "refused" {
				out.kind = "refused"
			}
			o.db.record(context.Background(), c.Took, out.set(attribute.String("db.namespace", c.Provider),
				attribute.String("db.operation.name", operation), attribute.Bool("tokenring.database.cached", c.Cached)))
		}
	}
	return database.Trace{Query: record("query"), Execute: record("execute"), Refused: record("refused")}
}

// Memory observes memories.
func (o *Observer) Memory() memory.Trace {
	count := func(what string) func(memory.Item) {
		set := outcome{}.set(attribute.String("tokenring.memory.event", what))
		return func(memory.Item) { o.memories.Add(context.Background(), 1, set) }
	}
	return memory.Trace{Added: count("added"), Removed: count("removed"), Evicted: count("evicted"), Renewed: count("renewed")}
}

// Registry observes who waits for something in the registry of that name. What is
// waited for is recorded in the span only.
func (o *Observer) Registry(name string) registry.Trace {
	of := attribute.String("tokenring.registry.name", name)
	return registry.Trace{StartWait: func(ctx context.Context, item string) func(error) {
		began := time.Now()
		return func(err error) {
			took, out := time.Since(began), outcomeOf(err)
			o.registryWait.record(ctx, took, out.set(of))
			o.past(ctx, "registry.wait", took, out, of, attribute.String("tokenring.registry.item", item))
		}
	}}
}

// Cache observes loads of the cache of that name. For hits, see
// [Observer.ObserveCache].
func (o *Observer) Cache(name string) cache.Trace {
	of := attribute.String("tokenring.cache.name", name)
	return cache.Trace{StartLoad: func(ctx context.Context, _ any) (context.Context, func(cache.Load)) {
		var span trace.Span
		if trace.SpanFromContext(ctx).IsRecording() {
			ctx, span = o.start(ctx, "cache.load", trace.SpanKindInternal, of)
		}
		return ctx, func(l cache.Load) {
			out := outcomeOf(l.Err)
			o.cacheLoad.record(ctx, l.Took, out.set(of, attribute.Bool("tokenring.cache.background", l.Background)))
			if span != nil {
				out.end(span)
			}
		}
	}}
}

// Task observes background tasks of the group of that name.
func (o *Observer) Task(group string) task.Trace {
	of := attribute.String("tokenring.task.group", group)
	return task.Trace{
		StartTask: func(ctx context.Context, name string) (context.Context, func(task.Outcome)) {
			ctx, span := o.start(ctx, "task "+name, trace.SpanKindInternal, of)
			return ctx, func(end task.Outcome) {
				out := outcomeOf(end.Err)
				o.task.record(ctx, end.Took, out.set(of, attribute.Bool("tokenring.task.late", end.Late)))
				span.SetAttributes(attribute.Bool("tokenring.task.late", end.Late))
				out.end(span)
			}
		},
		Abandoned: func(ctx context.Context, name string, after time.Duration) {
			o.taskAbandoned.record(ctx, after, outcome{}.set(of))
			trace.SpanFromContext(ctx).AddEvent("tokenring.task.abandoned", trace.WithAttributes(attribute.String("tokenring.task.name", name)))
		},
	}
}
