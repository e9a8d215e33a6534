package otel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/memory"
	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/utility/cache"
	"github.com/tokenring-ai/tokenring-go/utility/task"
)

// Database observes what is asked of databases, each a span "{operation}
// {provider}". Statements are not recorded.
func (o *Observer) Database() database.Trace {
	return database.Trace{StartCall: func(ctx context.Context, c database.Call) (context.Context, func(database.CallEnd)) {
		attrs := []attribute.KeyValue{attribute.String("db.system.name", systemName(c.Dialect)),
			attribute.String("db.namespace", c.Provider), attribute.String("db.operation.name", c.Operation)}
		ctx, span := o.start(ctx, c.Operation+" "+c.Provider, trace.SpanKindClient, attrs...)
		return ctx, func(end database.CallEnd) {
			out, cached := outcomeOf(end.Err), attribute.Bool("tokenring.database.cached", end.Cached)
			if errors.Is(end.Err, database.ErrRefused) {
				out.kind = "refused"
			}
			o.db.record(ctx, end.Took, out.set(append(attrs, cached)...))
			span.SetAttributes(cached, attribute.Int("db.response.returned_rows", end.Rows))
			out.end(span)
		}
	}}
}

// systemName is the dialect in the words of the conventions for databases.
func systemName(d database.Dialect) string {
	if d == database.Postgres {
		return "postgresql"
	}
	return string(d)
}

// Memory observes what becomes of memories, and searches, each a span
// "memory.search", in which texts are embedded.
func (o *Observer) Memory() memory.Trace {
	count := func(what string) func(memory.Item) {
		set := outcome{}.set(attribute.String("tokenring.memory.event", what))
		return func(memory.Item) { o.memories.Add(context.Background(), 1, set) }
	}
	return memory.Trace{
		Added: count("added"), Edited: count("edited"), Removed: count("removed"), Evicted: count("evicted"), Renewed: count("renewed"),
		StartSearch: func(ctx context.Context, _ string) (context.Context, func(memory.SearchEnd)) {
			ctx, span := o.start(ctx, "memory.search", trace.SpanKindInternal)
			return ctx, func(end memory.SearchEnd) {
				out, by := outcomeOf(end.Err), attribute.Bool("tokenring.memory.by_meaning", end.ByMeaning)
				o.memorySearch.record(ctx, end.Took, out.set(by))
				span.SetAttributes(by, attribute.Int("tokenring.memory.found", end.Found))
				out.end(span)
			}
		},
	}
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
