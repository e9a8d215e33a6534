package otel

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/testing"
)

// Filesystem observes file operations. They are spans within others, such as that
// of the tool that reads a file.
func (o *Observer) Filesystem() filesystem.Trace {
	return filesystem.Trace{Done: func(ctx context.Context, op filesystem.Operation) {
		out, name := outcomeOf(op.Err), attribute.String("tokenring.filesystem.operation", op.Name)
		o.fileOperation.record(ctx, op.Duration, out.set(name))
		if op.Bytes > 0 {
			o.fileBytes.Add(ctx, op.Bytes, outcome{}.set(name))
		}
		o.past(ctx, "filesystem."+op.Name, op.Duration, out, name, attribute.String("file.path", op.Path), attribute.Int64("tokenring.filesystem.bytes", op.Bytes))
	}}
}

// Git observes git processes and commits.
func (o *Observer) Git() git.Trace {
	return git.Trace{
		Command: func(ctx context.Context, info git.CommandInfo) {
			name := attribute.String("tokenring.git.command", subcommand(info.Args))
			out := outcomeOf(info.Err)
			o.gitCommand.record(ctx, info.Duration, out.set(name))
			o.past(ctx, "git "+name.Value.AsString(), info.Duration, out, name, attribute.Int("process.exit.code", info.ExitCode))
		},
		LockWait: func(ctx context.Context, pause time.Duration) {
			o.gitLockWait.record(ctx, pause, outcome{}.set())
		},
		Message: func(ctx context.Context, source git.MessageSource, err error) {
			o.gitMessages.Add(ctx, 1, outcomeOf(err).set(attribute.String("tokenring.git.message.source", string(source))))
		},
		Snapshot: func(ctx context.Context, s git.Snapshot) {
			o.gitSnapshots.Add(ctx, 1, outcome{}.set(attribute.Bool("tokenring.git.snapshot.backup", s.Backup)))
		},
		StartCommit: func(ctx context.Context) (context.Context, func(git.Commit, error)) {
			ctx, span := o.start(ctx, "commit", trace.SpanKindInternal)
			began := time.Now()
			return ctx, func(c git.Commit, err error) {
				out := outcomeOf(err)
				o.gitCommit.record(ctx, time.Since(began), out.set())
				if err == nil {
					span.SetAttributes(attribute.String("vcs.ref.head.revision", c.Hash), attribute.Int("tokenring.git.commit.files", len(c.Files)))
				}
				out.end(span)
			}
		},
	}
}

// subcommand returns the git command of an argument list, without options, so that
// its values are few.
func subcommand(args []string) string {
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-c" || args[i] == "-C":
			i++
		case !strings.HasPrefix(args[i], "-"):
			return args[i]
		}
	}
	return ""
}

// Testing observes runs of test resources, each a span "test {resource}".
func (o *Observer) Testing() testing.Trace {
	count := func(ctx context.Context, r testing.Repair, what string) {
		o.repairs.Add(ctx, 1, outcome{}.set(attribute.String("test.suite.name", r.Resource), attribute.String("tokenring.test.repair", what)))
	}
	return testing.Trace{
		StartTest: o.startTest,
		Repair:    func(ctx context.Context, r testing.Repair) { count(ctx, r, "asked") },
		GiveUp:    func(ctx context.Context, r testing.Repair, _ string) { count(ctx, r, "given_up") },
	}
}

func (o *Observer) startTest(ctx context.Context, name string) (context.Context, func(testing.Result)) {
	suite := attribute.String("test.suite.name", name)
	ctx, span := o.start(ctx, "test "+name, trace.SpanKindInternal, suite)
	return ctx, func(r testing.Result) {
		status := attribute.String("test.suite.run.status", runStatus(r.Status))
		o.test.record(ctx, r.Duration, outcome{}.set(suite, status))
		span.SetAttributes(status, attribute.Int("tokenring.test.cases", r.Total), attribute.Int("tokenring.test.failures", len(r.Failures)),
			attribute.Int("tokenring.test.runs", r.Runs), attribute.Bool("tokenring.test.flaky", r.Flaky))
		var out outcome
		if r.Status.Bad() || r.Status == testing.Canceled {
			out = outcome{runStatus(r.Status), r.Summary()}
		}
		out.end(span)
	}
}

// runStatus is the status in the words of the conventions for tests.
func runStatus(s testing.Status) string {
	switch s {
	case testing.Passed:
		return "success"
	case testing.Failed:
		return "failure"
	case testing.TimedOut:
		return "timed_out"
	case testing.Canceled:
		return "aborted"
	case testing.Skipped:
		return "skipped"
	}
	return "error"
}
