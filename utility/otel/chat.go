package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// providers are the names that the conventions have for what is called otherwise
// here.
var providers = map[string]string{
	"google":   "gcp.gemini",
	"gemini":   "gcp.gemini",
	"vertex":   "gcp.vertex_ai",
	"azure":    "azure.ai.openai",
	"bedrock":  "aws.bedrock",
	"mistral":  "mistral_ai",
	"moonshot": "moonshot_ai",
	"xai":      "x_ai",
}

func provider(name string) attribute.KeyValue {
	if known, ok := providers[name]; ok {
		name = known
	}
	return attribute.String("gen_ai.provider.name", name)
}

func operation(name string) attribute.KeyValue {
	return attribute.String("gen_ai.operation.name", name)
}

// Chat observes requests to models, as the Trace of an [aiclient.Monitor]: a span
// "chat {model}" for each, the time and tokens that it takes, and retries.
func (o *Observer) Chat() aiclient.ChatTrace {
	return aiclient.ChatTrace{StartRequest: o.startRequest}
}

func (o *Observer) startRequest(ctx context.Context, info aiclient.RequestInfo) (context.Context, func(aiclient.RequestEnd)) {
	base := []attribute.KeyValue{operation("chat"), provider(info.Model.Provider), attribute.String("gen_ai.request.model", info.Model.ID)}
	ctx, span := o.start(ctx, "chat "+info.Model.ID, trace.SpanKindClient, base...)
	if span.IsRecording() {
		span.SetAttributes(requestAttributes(info)...)
	}
	if attempt := aiclient.Attempt(ctx); attempt > 1 {
		span.SetAttributes(attribute.Int("tokenring.chat.attempt", attempt))
		o.retries.Add(ctx, 1, outcome{}.set(base...))
	}
	began := time.Now()
	return ctx, func(end aiclient.RequestEnd) {
		took := end.Timing.Total
		if took == 0 {
			took = time.Since(began)
		}
		out := outcomeOf(end.Err)
		if end.Stopped {
			out = outcome{"canceled", "the reader of the stream wanted no more"}
		}
		known := base
		if end.Finish.Model != "" {
			known = append(base[:len(base):len(base)], attribute.String("gen_ai.response.model", end.Finish.Model))
		}
		o.operation.record(ctx, took, out.set(known...))
		if end.Timing.FirstPart > 0 {
			o.firstChunk.record(ctx, end.Timing.FirstPart, outcome{}.set(known...))
		}
		if u := end.Finish.Usage; u != (aiclient.Usage{}) {
			o.tokens.Record(ctx, u.Input+u.CachedRead+u.CacheWrite, outcome{}.set(append(known[:len(known):len(known)], attribute.String("gen_ai.token.type", "input"))...))
			o.tokens.Record(ctx, u.Output, outcome{}.set(append(known[:len(known):len(known)], attribute.String("gen_ai.token.type", "output"))...))
		}
		if end.Finish.Cost > 0 {
			o.cost.Add(ctx, end.Finish.Cost, outcome{}.set(known...))
		}
		span.SetAttributes(replyAttributes(end.Finish)...)
		out.end(span)
	}
}

func requestAttributes(info aiclient.RequestInfo) []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.Bool("gen_ai.request.stream", info.Streamed)}
	req := info.Request
	if req == nil {
		return attrs
	}
	number := func(key string, v *float64) {
		if v != nil {
			attrs = append(attrs, attribute.Float64(key, *v))
		}
	}
	integer := func(key string, v *int64) {
		if v != nil {
			attrs = append(attrs, attribute.Int64(key, *v))
		}
	}
	number("gen_ai.request.temperature", req.Temperature)
	number("gen_ai.request.top_p", req.TopP)
	integer("gen_ai.request.top_k", req.TopK)
	number("gen_ai.request.frequency_penalty", req.FrequencyPenalty)
	number("gen_ai.request.presence_penalty", req.PresencePenalty)
	integer("gen_ai.request.seed", req.Seed)
	if req.MaxTokens > 0 {
		attrs = append(attrs, attribute.Int64("gen_ai.request.max_tokens", req.MaxTokens))
	}
	if req.Output != nil {
		attrs = append(attrs, attribute.String("gen_ai.output.type", "json"))
	}
	return attrs
}

// replyAttributes describe what is known of a reply. Tokens that were read from or
// written to a cache are part of the input tokens in the conventions.
func replyAttributes(f aiclient.Finish) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	text := func(key, v string) {
		if v != "" {
			attrs = append(attrs, attribute.String(key, v))
		}
	}
	text("gen_ai.response.id", f.ID)
	text("gen_ai.response.model", f.Model)
	if f.Reason != "" {
		attrs = append(attrs, attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(f.Reason)}))
	}
	if f.Cost > 0 {
		attrs = append(attrs, attribute.Float64("tokenring.chat.cost", f.Cost))
	}
	return append(attrs, usageAttributes(f.Usage)...)
}

func usageAttributes(u aiclient.Usage) []attribute.KeyValue {
	if u == (aiclient.Usage{}) {
		return nil
	}
	attrs := []attribute.KeyValue{
		attribute.Int64("gen_ai.usage.input_tokens", u.Input+u.CachedRead+u.CacheWrite),
		attribute.Int64("gen_ai.usage.output_tokens", u.Output),
	}
	for _, part := range []struct {
		key string
		n   int64
	}{
		{"gen_ai.usage.cache_read.input_tokens", u.CachedRead},
		{"gen_ai.usage.cache_creation.input_tokens", u.CacheWrite},
		{"gen_ai.usage.reasoning.output_tokens", u.Reasoning},
	} {
		if part.n > 0 {
			attrs = append(attrs, attribute.Int64(part.key, part.n))
		}
	}
	return attrs
}

// Conversation observes tool loops: spans for turns and steps, and a span
// "execute_tool {tool}" for each call of a tool. Requests have their own spans
// within the steps when [Observer.Chat] observes them.
func (o *Observer) Conversation() aiclient.ConversationTrace {
	return aiclient.ConversationTrace{
		StartTurn: o.startTurn,
		StartStep: o.startStep,
		StartTool: o.startTool,
		Asked: func(ctx context.Context, a aiclient.Approval, d aiclient.Decision) {
			trace.SpanFromContext(ctx).AddEvent("tokenring.tool.decided")
		},
		Compacted: func(ctx context.Context, before, after int64) {
			o.compactions.Add(ctx, 1)
			trace.SpanFromContext(ctx).AddEvent("tokenring.conversation.compacted", trace.WithAttributes(
				attribute.Int64("tokenring.conversation.tokens.before", before), attribute.Int64("tokenring.conversation.tokens.after", after)))
		},
	}
}

func (o *Observer) startTurn(ctx context.Context, model aiclient.Model) (context.Context, func(*aiclient.Turn, error)) {
	ctx, span := o.start(ctx, "conversation.turn", trace.SpanKindInternal,
		provider(model.Provider), attribute.String("gen_ai.request.model", model.ID))
	return ctx, func(t *aiclient.Turn, err error) {
		if t != nil {
			span.SetAttributes(attribute.Int("tokenring.conversation.steps", len(t.Steps)),
				attribute.String("tokenring.conversation.stop", string(t.Stop)), attribute.Float64("tokenring.chat.cost", t.Cost))
			span.SetAttributes(usageAttributes(t.Usage)...)
		}
		outcomeOf(err).end(span)
	}
}

func (o *Observer) startStep(ctx context.Context, step int) (context.Context, func(aiclient.Step, error)) {
	ctx, span := o.start(ctx, "conversation.step", trace.SpanKindInternal, attribute.Int("tokenring.conversation.step", step))
	return ctx, func(_ aiclient.Step, err error) { outcomeOf(err).end(span) }
}

func (o *Observer) startTool(ctx context.Context, call aiclient.ToolCall) (context.Context, func(aiclient.ToolResult)) {
	attrs := []attribute.KeyValue{operation("execute_tool"), attribute.String("gen_ai.tool.name", call.Name), attribute.String("gen_ai.tool.type", "function")}
	ctx, span := o.start(ctx, "execute_tool "+call.Name, trace.SpanKindInternal, append(attrs, attribute.String("gen_ai.tool.call.id", call.ID))...)
	began := time.Now()
	return ctx, func(result aiclient.ToolResult) {
		var out outcome
		if result.IsError {
			out = outcome{"tool_error", "the tool returned an error to the model"}
		}
		o.executeTool.record(ctx, time.Since(began), out.set(attrs...))
		out.end(span)
	}
}
