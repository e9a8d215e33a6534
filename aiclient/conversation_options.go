package aiclient

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// The defaults of [ConversationOptions].
const (
	DefaultMaxSteps    = 100
	DefaultParallel    = 8
	DefaultMaxInvalid  = 3
	DefaultLoopLimit   = 4
	DefaultCompactAt   = 0.8
	DefaultKeepRecent  = 8
	abortGrace         = 100 * time.Millisecond // for tools to notice that they are cancelled
	saveAfterAbort     = 2 * time.Second
	droppedOutputBytes = 256 // outputs up to this size are not worth dropping
)

// ConversationOptions configure a [Conversation]. The zero value is a plain
// chat without tools. Functions are called one at a time, in a goroutine of the
// turn, unless they say otherwise. A panic in one goes on in the method that
// started the turn, but one in Approve denies the call, and one in BeforeTool or
// AfterTool is the call's failure.
type ConversationOptions struct {
	// System is the system prompt.
	System string

	// Context yields texts that belong to the system prompt but may change from
	// step to step, such as memories. They are sent with each request and are
	// not part of the history.
	Context func(ctx context.Context) iter.Seq[string]

	// Tools are what the model may call.
	Tools []tool.Tool

	// History is what was said before, for a conversation that starts with
	// something. It is repaired with [RepairHistory].
	History []Message

	// Request is the template of every request: temperature, reasoning effort,
	// provider options and so on. System, Context, Messages and Tools are
	// replaced.
	Request Request

	// Policy decides which calls are allowed, must be approved, or are denied.
	Policy Policy

	// Approve asks a person about a call that the Policy does not decide. It
	// runs in a goroutine of its own while other calls go on, and is never
	// called twice at once. An error denies the call. It should return when ctx
	// ends; if it does not, its answer is discarded.
	Approve func(ctx context.Context, a Approval) (Decision, error)

	// Checkpoint saves the program's state. It is called at every boundary:
	// when the person's message has been accepted, when a reply is complete,
	// after each tool result, and before a call starts that must not run twice.
	// When the turn's context has ended it gets one that lasts 2 s longer, so that
	// what was done is saved. An error ends the turn.
	Checkpoint func(ctx context.Context) error

	// BeforeStep may change the request before each call of the model; what the
	// request refers to, such as its messages, must be replaced and not changed.
	// An error ends the turn.
	BeforeStep func(ctx context.Context, step int, req *Request) error

	// AfterStep sees each step when it is complete, tool results included. An
	// error ends the turn.
	AfterStep func(ctx context.Context, step Step) error

	// BeforeTool sees each call before it runs and denies it with an error,
	// whose text the model reads. It may be called concurrently.
	BeforeTool func(ctx context.Context, call ToolCall) error

	// AfterTool sees, and may change, each result before the model does. An
	// error replaces the result. It may be called concurrently.
	AfterTool func(ctx context.Context, call ToolCall, result *ToolResult) error

	// MaxSteps bounds the calls of the model in one turn. 0 means
	// [DefaultMaxSteps], negative no bound.
	MaxSteps int

	// MaxTokens bounds the tokens of one turn, MaxTime its duration. They are
	// checked between steps. 0 means no bound.
	MaxTokens int64
	MaxTime   time.Duration

	// StopTools end the turn when a call of one of them has succeeded, after the
	// results of that step. One that failed goes to the model, which may try again.
	StopTools []string

	// StopWhen ends the turn after a step, when it says so.
	StopWhen func(t *Turn) bool

	// Parallel bounds the tools that run at once. 0 means [DefaultParallel].
	Parallel int

	// ToolTimeout bounds each call of a tool. 0 means no bound.
	ToolTimeout time.Duration

	// ToolTimeouts replace ToolTimeout for the tools they name.
	ToolTimeouts map[string]time.Duration

	// MaxInvalid bounds the consecutive steps in which every call is of an
	// unknown tool or has invalid arguments. 0 means [DefaultMaxInvalid],
	// negative no bound.
	MaxInvalid int

	// LoopLimit is how often a step, or a cycle of up to three steps, may repeat
	// itself with the same calls and the same results. 0 means
	// [DefaultLoopLimit], negative no bound.
	LoopLimit int

	// ContextLimit is the model's context window in tokens. When the history
	// comes near it, old tool output is dropped, and if that is not enough,
	// the older part of the history is replaced by a summary. 0 means no
	// compaction, except that an error of class [ClassContextLength] is
	// answered with one.
	ContextLimit int64

	// CompactAt is the share of ContextLimit at which the history is compacted.
	// 0 means [DefaultCompactAt].
	CompactAt float64

	// KeepRecent is how many of the last messages a compaction leaves alone, as
	// long as the model does not refuse the rest as too long still. 0 means
	// [DefaultKeepRecent].
	KeepRecent int

	// Summarize replaces the messages by a text that holds what matters of
	// them. Nil means that the conversation's own model does it.
	Summarize func(ctx context.Context, messages []Message) (string, error)

	// Price is what the model costs, for models that do not state the cost of a
	// reply themselves. It is also what a budget in money sets aside before each
	// call: without it such a budget learns of a cost only after the call.
	Price Price

	// Trace sees what happens.
	Trace ConversationTrace

	// Logger receives what nobody waits for, such as the late result of an
	// abandoned call. Nil means slog.Default().
	Logger *slog.Logger
}

// ConversationTrace is a set of optional functions that see what a conversation
// does, in the manner of net/http/httptrace. They are called one at a time, in a
// goroutine of the turn, and should return quickly.
//
// Those whose names begin with Start are for spans, which nest: they return a
// context derived from ctx, in which the work then runs, and a function that is
// called once with the outcome. Either may be nil. Calls of the model run in the
// context of their step; see [Monitor] for spans of their own.
type ConversationTrace struct {
	// StartTurn is called when a turn begins.
	StartTurn func(ctx context.Context, model Model) (context.Context, func(t *Turn, err error))

	// StartStep is called when a step begins, before what may have to be done
	// to its request. The step includes its tools.
	StartStep func(ctx context.Context, step int) (context.Context, func(step Step, err error))

	// StartTool is called when a tool starts. Calls that are denied or invalid
	// never start. The outcome of a call that was given up is what the model is
	// told of it.
	StartTool func(ctx context.Context, call ToolCall) (context.Context, func(result ToolResult))

	// StepStart is called before each call of the model.
	StepStart func(ctx context.Context, step int, req *Request)

	// OnPart is called with each part of a reply as it arrives.
	OnPart func(ctx context.Context, p Part)

	// StepEnd is called when a step is complete, tool results included, or has
	// failed.
	StepEnd func(ctx context.Context, step Step, err error)

	// ToolStart is called when a tool starts and ToolEnd when its result is
	// known. Calls that are denied or invalid only have a ToolEnd.
	ToolStart func(ctx context.Context, call ToolCall)
	ToolEnd   func(ctx context.Context, call ToolCall, result ToolResult, took time.Duration)

	// Asked is called when a person has decided on a call.
	Asked func(ctx context.Context, a Approval, d Decision)

	// Compacted is called when the history has been shortened, with the
	// estimated tokens before and after.
	Compacted func(ctx context.Context, before, after int64)
}
