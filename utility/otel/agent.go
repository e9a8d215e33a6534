package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// Agent observes agents: a span "invoke_agent {type}" for each input, within which
// hooks, checkpoints and questions have theirs, and how long agents live. The span
// belongs to the trace of whoever submitted the input.
func (o *Observer) Agent() agent.Trace {
	return agent.Trace{
		Spawned:         o.spawned,
		Stopped:         o.stopped,
		StartInput:      o.startInput,
		StartHook:       o.startHook,
		StartAsk:        o.startAsk,
		StartCheckpoint: o.startCheckpoint,
		Checkpoint:      o.checkpointed,
	}
}

// living is an agent that lives. One that is restored may live again before the end
// of its former life has been told.
type living struct {
	typeName string
	lives    int
}

// typeOf returns the type of an agent that lives.
func (o *Observer) typeOf(agentID string) attribute.KeyValue {
	o.mu.Lock()
	defer o.mu.Unlock()
	return attribute.String("gen_ai.agent.name", o.agents[agentID].typeName)
}

func (o *Observer) spawned(agentID, typeName string, restored bool, took time.Duration) {
	o.mu.Lock()
	o.agents[agentID] = living{typeName, o.agents[agentID].lives + 1}
	o.mu.Unlock()
	ctx, of := context.Background(), attribute.String("gen_ai.agent.name", typeName)
	o.living.Add(ctx, 1, outcome{}.set(of))
	o.agentSetup.record(ctx, took, outcome{}.set(of, attribute.Bool("tokenring.agent.restored", restored)))
}

func (o *Observer) stopped(agentID, _ string, lifetime, took time.Duration) {
	ctx, of := context.Background(), o.typeOf(agentID)
	o.mu.Lock()
	if a := o.agents[agentID]; a.lives > 1 {
		o.agents[agentID] = living{a.typeName, a.lives - 1}
	} else {
		delete(o.agents, agentID)
	}
	o.mu.Unlock()
	o.living.Add(ctx, -1, outcome{}.set(of))
	o.agentLifetime.record(ctx, lifetime, outcome{}.set(of))
	o.agentStop.record(ctx, took, outcome{}.set(of))
}

func (o *Observer) startInput(ctx, submitted context.Context, agentID string, in agent.Input) (context.Context, func(agent.InputFinished)) {
	of := o.typeOf(agentID)
	ctx = trace.ContextWithSpan(ctx, trace.SpanFromContext(submitted))
	ctx, span := o.start(ctx, "invoke_agent "+of.Value.AsString(), trace.SpanKindInternal,
		operation("invoke_agent"), of, attribute.String("gen_ai.conversation.id", agentID),
		attribute.String("tokenring.agent.input.id", in.ID), attribute.String("tokenring.agent.input.source", in.Source),
		attribute.Bool("tokenring.agent.input.resumed", in.Resumed))
	return ctx, func(ev agent.InputFinished) {
		out := failed(ev.Error)
		switch ev.State {
		case agent.Failed:
			out = outcome{"_OTHER", ev.Error}
		case agent.Aborted, agent.Interrupted:
			out = outcome{"canceled", ev.Error}
		}
		o.invokeAgent.record(ctx, ev.Duration, out.set(operation("invoke_agent"), of))
		out.end(span)
	}
}

func (o *Observer) startHook(ctx context.Context, agentID string, point agent.Point, name string) (context.Context, func(agent.HookRan)) {
	attrs := []attribute.KeyValue{attribute.String("tokenring.agent.hook.point", string(point)), attribute.String("tokenring.agent.hook.name", name)}
	ctx, span := o.start(ctx, "hook "+name, trace.SpanKindInternal, attrs...)
	return ctx, func(ev agent.HookRan) {
		out := failed(ev.Error)
		o.hook.record(ctx, ev.Duration, out.set(attrs...))
		out.end(span)
	}
}

func (o *Observer) startAsk(ctx context.Context, agentID string, req agent.Request) func(agent.Answered) {
	kind := attribute.String("tokenring.agent.ask.kind", string(req.Kind))
	ctx, span := o.start(ctx, "ask", trace.SpanKindInternal, kind)
	began := time.Now()
	return func(ev agent.Answered) {
		out := failed(ev.Error)
		if ev.Response.TimedOut {
			out = outcome{"timeout", "nobody answered in time"}
		}
		o.ask.record(ctx, time.Since(began), out.set(kind))
		out.end(span)
	}
}

func (o *Observer) startCheckpoint(ctx context.Context, agentID string) (context.Context, func(agent.CheckpointInfo, error)) {
	ctx, span := o.start(ctx, "checkpoint", trace.SpanKindInternal, attribute.String("gen_ai.conversation.id", agentID))
	return ctx, func(info agent.CheckpointInfo, err error) {
		span.SetAttributes(attribute.String("tokenring.agent.checkpoint.id", info.ID), attribute.Int64("tokenring.agent.checkpoint.size", info.Bytes))
		outcomeOf(err).end(span)
	}
}

func (o *Observer) checkpointed(agentID string, info agent.CheckpointInfo, took time.Duration, err error) {
	ctx, of := context.Background(), o.typeOf(agentID)
	o.checkpoint.record(ctx, took, outcomeOf(err).set(of))
	if err == nil {
		o.checkpointSize.Record(ctx, info.Bytes, outcome{}.set(of))
	}
}
