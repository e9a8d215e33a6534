// Package otel turns the traces of the other packages into OpenTelemetry spans
// and metrics.
//
//	o, err := otel.New(otel.Options{})
//	agents := agent.NewManager(agent.ManagerOptions{Trace: o.Agent()})
//	monitor := aiclient.Monitor{Trace: o.Chat()} // a Middleware of each chat
//	conv := aiclient.NewConversation(chat, aiclient.ConversationOptions{Trace: o.Conversation()})
//	files, err := filesystem.New(filesystem.Options{Root: dir, Trace: o.Filesystem()})
//	tests := testing.New(testing.Options{Trace: o.Testing()})
//	repo, err := git.Open(ctx, dir, git.Options{Trace: o.Git()})
//
// One trace then leads from an input through hooks, chats, tools and tests to the
// commit. Through a queue it goes on with [Inject] and [Observer.Handler].
//
// Names are those of the semantic conventions for generative AI, which are in
// development (github.com/open-telemetry/semantic-conventions-genai), for
// databases and for Go; what they do not know begins with "tokenring.". Durations
// are in seconds. What failed has the attribute error.type, see [ErrorType], so
// that rates of failures, timeouts and cancellations are quotients of counts of
// the same histogram.
//
// No prompt, reply, argument, result, file content or SQL is recorded: these may
// be secret. Texts of errors are, in spans.
package otel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	otelapi "go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/registry"
)

const scope = "github.com/tokenring-ai/tokenring-go/utility/otel"

// Options adjust an [Observer].
type Options struct {
	// TracerProvider and MeterProvider receive what is observed. Nil means the
	// global ones.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
}

// Observer makes the traces. It is safe for concurrent use, and one serves any
// number of values of each package. It owns no goroutine.
type Observer struct {
	tracer trace.Tracer
	meter  metric.Meter
	instruments

	mu     sync.Mutex
	agents map[string]living // by ID
}

// New returns an observer. It fails when an instrument is refused, which the SDK
// does for names that are taken by an instrument of another kind.
func New(opts Options) (*Observer, error) {
	if opts.TracerProvider == nil {
		opts.TracerProvider = otelapi.GetTracerProvider()
	}
	if opts.MeterProvider == nil {
		opts.MeterProvider = otelapi.GetMeterProvider()
	}
	o := &Observer{tracer: opts.TracerProvider.Tracer(scope), meter: opts.MeterProvider.Meter(scope), agents: make(map[string]living)}
	if err := o.instruments.make(o.meter); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return o, nil
}

// ErrorType returns the value of error.type for an error: "canceled", "timeout",
// the class of an error of a model's provider, "not_found", "exists" or
// "permission", and otherwise "_OTHER". It is empty for nil.
func ErrorType(err error) string {
	switch class := aiclient.ClassOf(err); {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case class != "":
		return string(class)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, registry.ErrNotFound):
		return "not_found"
	case errors.Is(err, fs.ErrExist), errors.Is(err, registry.ErrExists):
		return "exists"
	case errors.Is(err, fs.ErrPermission):
		return "permission"
	}
	return "_OTHER"
}

// outcome is how something ended: both parts are empty when it succeeded.
type outcome struct{ kind, text string }

func outcomeOf(err error) outcome {
	if err == nil {
		return outcome{}
	}
	return outcome{ErrorType(err), err.Error()}
}

// failed is an outcome of which only the text is known.
func failed(text string) outcome {
	if text == "" {
		return outcome{}
	}
	return outcome{"_OTHER", text}
}

// set returns attributes with those of the outcome.
func (out outcome) set(attrs ...attribute.KeyValue) metric.MeasurementOption {
	if out.kind != "" {
		attrs = append(attrs[:len(attrs):len(attrs)], attribute.String("error.type", out.kind))
	}
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// end ends a span.
func (out outcome) end(span trace.Span, opts ...trace.SpanEndOption) {
	if out.kind != "" {
		span.SetAttributes(attribute.String("error.type", out.kind))
		span.SetStatus(codes.Error, out.text)
	}
	span.End(opts...)
}

// start begins a span.
func (o *Observer) start(ctx context.Context, name string, kind trace.SpanKind, attrs ...attribute.KeyValue) (context.Context, trace.Span) {
	return o.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
}

// past records a span of what has just ended. Without a span to belong to there is
// none: a file that is read by nobody in particular is no trace of its own.
func (o *Observer) past(ctx context.Context, name string, took time.Duration, out outcome, attrs ...attribute.KeyValue) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	now := time.Now()
	_, span := o.tracer.Start(ctx, name, trace.WithTimestamp(now.Add(-took)), trace.WithAttributes(attrs...))
	out.end(span, trace.WithTimestamp(now))
}
