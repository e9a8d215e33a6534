package otel

import (
	"context"
	"maps"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// Queue observes the queue of that name: what becomes of items, and how long they
// wait and are held.
func (o *Observer) Queue(name string) queue.Trace {
	of := attribute.String("messaging.destination.name", name)
	count := func(what string) func(queue.Item) {
		set := outcome{}.set(of, attribute.String("tokenring.queue.event", what))
		return func(queue.Item) { o.queueItems.Add(context.Background(), 1, set) }
	}
	received, acked, retried := count("received"), count("acked"), count("retried")
	set := outcome{}.set(of)
	return queue.Trace{
		Enqueued:     count("enqueued"),
		Deduplicated: count("deduplicated"),
		Received: func(item queue.Item, wait time.Duration) {
			received(item)
			o.queueWait.record(context.Background(), wait, set)
		},
		Acked: func(item queue.Item, run time.Duration) {
			acked(item)
			o.queueRun.record(context.Background(), run, set)
		},
		Retried:      func(item queue.Item, _ time.Duration) { retried(item) },
		Expired:      count("expired"),
		DeadLettered: count("dead_lettered"),
		Dropped:      count("dropped"),
	}
}

// context of a trace in headers, as W3C Trace Context has it.
var propagator = propagation.TraceContext{}

// Inject returns item with the trace of ctx in its headers, so that
// [Observer.Handler] continues it. The headers of the given item are not changed.
func Inject(ctx context.Context, item queue.Item) queue.Item {
	headers := maps.Clone(item.Headers)
	if headers == nil {
		headers = make(map[string]string)
	}
	propagator.Inject(ctx, propagation.MapCarrier(headers))
	if len(headers) > 0 {
		item.Headers = headers
	}
	return item
}

// Handler returns a middleware of [queue.Worker] for the queue of that name, in
// which each delivery is a span of the trace that the item was enqueued in.
func (o *Observer) Handler(name string) func(queue.Handler) queue.Handler {
	of := attribute.String("messaging.destination.name", name)
	return func(next queue.Handler) queue.Handler {
		return func(ctx context.Context, item queue.Item) (err error) {
			ctx = propagator.Extract(ctx, propagation.MapCarrier(item.Headers))
			ctx, span := o.start(ctx, "process "+name, trace.SpanKindConsumer,
				attribute.String("messaging.operation.type", "process"), of, attribute.String("messaging.message.id", item.ID),
				attribute.String("tokenring.queue.item.name", item.Name), attribute.Int("tokenring.queue.item.attempt", item.Attempts))
			began := time.Now()
			out := outcome{"panic", "the handler panicked"}
			defer func() {
				o.process.record(ctx, time.Since(began), out.set(of))
				out.end(span)
			}()
			err = next(ctx, item)
			out = outcomeOf(err)
			return err
		}
	}
}
