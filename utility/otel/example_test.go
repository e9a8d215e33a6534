package otel_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/utility/otel"
)

// Spans of an agent's inputs. A program gives its exporter, such as that of OTLP,
// to the SDK; here it is one that keeps the spans.
func Example() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	defer provider.Shutdown(ctx)

	o, err := otel.New(otel.Options{TracerProvider: provider})
	if err != nil {
		fmt.Println(err)
		return
	}
	manager := agent.NewManager(agent.ManagerOptions{Trace: o.Agent()})
	err = manager.RegisterType(agent.Type{Name: "greeter", Handle: func(context.Context, *agent.Agent, agent.Input) error { return nil }})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := manager.Spawn(ctx, "greeter", agent.SpawnOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	run, err := a.Submit(ctx, agent.Input{Text: "hello"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.Wait(ctx))
	_ = manager.Shutdown(ctx)
	for _, s := range spans.GetSpans() {
		if s.Name != "checkpoint" {
			fmt.Println(s.Name, s.Status.Code)
		}
	}
	// Output:
	// <nil>
	// invoke_agent greeter Unset
}

// A trace goes on where an item of a queue is handled, on whatever machine.
func ExampleObserver_Handler() {
	ctx := context.Background()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	defer provider.Shutdown(ctx)
	o, err := otel.New(otel.Options{TracerProvider: provider})
	if err != nil {
		fmt.Println(err)
		return
	}
	q := queue.NewMemory(queue.Options{Trace: o.Queue("mail")})
	defer q.Close()

	asking, span := provider.Tracer("host").Start(ctx, "ask")
	_, err = q.Enqueue(asking, otel.Inject(asking, queue.Item{Name: "send"}))
	span.End()
	fmt.Println(err)

	worker := queue.NewWorker(q, func(context.Context, queue.Item) error { return nil },
		queue.WorkerOptions{Middleware: []func(queue.Handler) queue.Handler{o.Handler("mail")}})
	fmt.Println(worker.RunUntilEmpty(ctx))
	all := spans.GetSpans()
	fmt.Println(all[1].Name, all[1].Parent.SpanID() == all[0].SpanContext.SpanID())
	// Output:
	// <nil>
	// <nil>
	// process mail true
}
