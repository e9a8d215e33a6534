package aiclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// ErrBusy reports that a Conversation is already answering. Use
// [Conversation.Steer] to add something to the turn that runs.
var ErrBusy = errors.New("the conversation is already answering")

// ErrReset reports that a turn ended because the conversation was reset or
// restored under it.
var ErrReset = errors.New("the conversation was reset while it was answering")

// Conversation is a dialogue with a model that may call tools. It keeps the
// history, runs the calls, and answers with [Turn] values.
//
// It is a state slice: it can be saved at any moment with MarshalJSON, or with
// Delta in steps that cost only what is new, and continued in another process
// with [Conversation.Continue]. The history is valid for every provider at any
// moment, whatever was cancelled, failed or crashed.
//
// A Conversation is safe for concurrent use; it runs one turn at a time. It
// owns no goroutine between turns, save for tool calls that ignored their
// cancellation, for which [Conversation.Drain] waits.
type Conversation struct {
	chat   Chat
	opts   ConversationOptions
	logger *slog.Logger
	tools  map[string]*tool.Tool
	fixed  int64 // tokens of a request besides its messages, estimated

	mu      sync.Mutex
	state   state
	log     []entry // what happened since the epoch began
	epoch   uint32  // names the log; changes whenever it starts anew
	loaded  origin  // the saved state that the present one came from
	follows *origin // the saved state with which the log began, if it did
	gen     uint64
	loads   uint64 // how often the state was replaced from outside
	running bool
	refused map[any]bool // files that are left out of requests; see refuse

	workers    workers
	late       atomic.Int64
	toolCalls  atomic.Int64
	statsTurns atomic.Int64
}

// NewConversation returns an empty conversation with chat. It panics when two
// tools have one name or a tool's name is not valid, because that is a mistake
// in the program.
func NewConversation(chat Chat, opts ConversationOptions) *Conversation {
	c := &Conversation{chat: chat, opts: opts, logger: opts.Logger, epoch: newEpoch(0)}
	if c.logger == nil {
		c.logger = slog.Default()
	}
	c.tools = make(map[string]*tool.Tool, len(opts.Tools))
	c.opts.Tools = slices.Clone(opts.Tools)
	for i := range c.opts.Tools {
		t := &c.opts.Tools[i]
		if err := tool.CheckName(t.Name); err != nil {
			panic("aiclient.NewConversation: " + err.Error())
		}
		if c.tools[t.Name] != nil {
			panic(fmt.Sprintf("aiclient.NewConversation: two tools are named %q", t.Name))
		}
		c.tools[t.Name] = t
	}
	c.fixed = estimateFixed(&Request{System: c.opts.System, Tools: c.opts.Tools})
	if len(opts.History) > 0 {
		c.state = newState(RepairHistory(opts.History))
	}
	return c
}

// Send adds what the person says to the history and runs the conversation until
// the model has answered. See [Conversation.SendMessage].
func (c *Conversation) Send(ctx context.Context, text string) (*Turn, error) {
	return c.SendMessage(ctx, User(text))
}

// SendMessage adds m to the history and runs the conversation until the model
// has answered: it calls the model, runs the tools that the model asks for,
// gives the results back, and so on.
//
// The Turn is never nil and holds what was done, also beside an error. The
// error is nil when the model finished its answer or a stop condition of the
// options said so. It is a [*StopError] when a limit, a budget, a loop or the
// end of ctx stopped the turn, an [*APIError] when the model failed or m holds
// what no model takes, and [ErrBusy] when a turn was running. Errors of tools go to the model and never
// end a turn.
//
// A file of m that the provider refuses fails the turn and is left out of the
// requests of later ones; a file that a tool returned is left out at once.
//
// When ctx ends, SendMessage returns within 150 ms and the time that Checkpoint
// takes, even if a tool ignores its context. Calls that were interrupted get
// results that say so.
func (c *Conversation) SendMessage(ctx context.Context, m Message) (t *Turn, err error) {
	if m.Role == "" {
		m.Role = RoleUser
	}
	if m.Role != RoleUser {
		return &Turn{}, fmt.Errorf("message of role %q: only the user can speak next", m.Role)
	}
	v := validator{}
	for i, p := range m.Parts {
		v.part(m.Role, p, 0, i)
	}
	if len(v.errs) > 0 { // nobody would ever take a history with it
		model := c.chat.Model()
		return &Turn{}, &APIError{Provider: model.Provider, Model: model.ID, Class: ClassBadRequest,
			Message: "the message cannot be sent", Err: errors.Join(v.errs...)}
	}
	r, err := c.begin(ctx)
	if err != nil {
		return &Turn{}, err
	}
	defer c.end()
	if c.opts.Trace.StartTurn != nil {
		var ended func(*Turn, error)
		ctx, ended = c.startTurn(ctx)
		defer func() { ended(t, err) }()
	}
	m = clean(m)
	entries := append(c.giveUp(), entry{Message: &m})
	if err := c.save(ctx, r, entries...); err != nil {
		return r.turn, r.failed(ctx, err)
	}
	return r.turn, c.drive(ctx, r)
}

// Continue goes on where a restored, aborted or failed conversation stopped.
// Results that were recorded are kept, and their calls never run again. A call
// without a recorded result runs when it is known not to have started, or when
// its tool is read-only or idempotent; otherwise a person decides, if the
// options have Approve, or else the model is told that the effect is unknown.
// A reply that was cut off is asked for anew.
//
// When there is nothing to do, Continue returns an empty Turn and no error.
func (c *Conversation) Continue(ctx context.Context) (t *Turn, err error) {
	r, err := c.begin(ctx)
	if err != nil {
		return &Turn{}, err
	}
	defer c.end()
	if !c.Pending() {
		r.turn.Stop = StopNothing
		return r.turn, nil
	}
	if c.opts.Trace.StartTurn != nil {
		var ended func(*Turn, error)
		ctx, ended = c.startTurn(ctx)
		defer func() { ended(t, err) }()
	}
	c.mu.Lock()
	cut := c.state.interrupted()
	c.mu.Unlock()
	if cut {
		if err := c.record(r, entry{Pop: true}); err != nil {
			return r.turn, r.failed(ctx, err)
		}
	}
	return r.turn, c.drive(ctx, r)
}

// Pending reports whether the history ends in a state that wants another call
// of the model or of a tool, so that [Conversation.Continue] has something to do.
func (c *Conversation) Pending() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.pending()
}

// Steer adds a message of the person to the turn that is running: the model
// sees it with its next call. When no turn is running, or the turn ends before,
// it waits for the next one. It is part of the saved state.
func (c *Conversation) Steer(text string) {
	m := clean(User(text))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.append(entry{Steer: &m})
}

// Messages returns the history. The messages share their parts with the
// conversation and must not be changed.
func (c *Conversation) Messages() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.state.messages)
}

// Usage returns the tokens of all turns, those of a restored state included.
func (c *Conversation) Usage() Usage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.usage
}

// Cost returns the price of all turns in USD, as far as prices are known.
func (c *Conversation) Cost() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.cost
}

// Chat returns the model that the conversation is with.
func (c *Conversation) Chat() Chat { return c.chat }

// ConversationStats count what a conversation did.
type ConversationStats struct {
	Turns     int64   // since the program started
	ToolCalls int64   // tools started since the program started
	Abandoned int64   // of these, given up because they ignored their context
	Replies   int64   // of the model, over the conversation's life
	Usage     Usage   // over the conversation's life
	Cost      float64 // USD, over the conversation's life
	Context   int64   // tokens of the history, as of the last reply
}

// Stats returns the conversation's counts.
func (c *Conversation) Stats() ConversationStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConversationStats{
		Turns: c.statsTurns.Load(), ToolCalls: c.toolCalls.Load(), Abandoned: c.late.Load(),
		Replies: c.state.replies, Usage: c.state.usage, Cost: c.state.cost, Context: c.state.context,
	}
}

// Drain waits until no goroutine of the conversation runs any more, those of tool
// calls and questions that were given up included, or ctx ends.
func (c *Conversation) Drain(ctx context.Context) error {
	select {
	case <-c.workers.idle():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for abandoned tool calls: %w", context.Cause(ctx))
	}
}

// startTurn calls StartTurn of the trace, which is not nil. The function that it
// returns is to be called when the turn is over.
func (c *Conversation) startTurn(ctx context.Context) (context.Context, func(*Turn, error)) {
	inner, ended := c.opts.Trace.StartTurn(ctx, c.chat.Model())
	if ended == nil {
		ended = func(*Turn, error) {}
	}
	return derived(ctx, inner), ended
}

// derived is the context that a Start function of a trace gave, or else ctx.
func derived(ctx, inner context.Context) context.Context {
	if inner != nil {
		return inner
	}
	return ctx
}

// record makes entries part of the state. It fails when the state was replaced
// since r began.
func (c *Conversation) record(r *run, entries ...entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loads != r.loads {
		return ErrReset
	}
	c.append(entries...)
	return nil
}

// save records entries and reaches a checkpoint boundary.
func (c *Conversation) save(ctx context.Context, r *run, entries ...entry) error {
	if err := c.record(r, entries...); err != nil {
		return err
	}
	return c.checkpoint(ctx)
}

// checkpoint lets the host save the program's state.
func (c *Conversation) checkpoint(ctx context.Context) error {
	if c.opts.Checkpoint == nil {
		return nil
	}
	if ctx.Err() != nil {
		// What was done before the end of ctx must be saved all the same.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveAfterAbort)
		defer cancel()
		ctx = bounded
	}
	if err := c.opts.Checkpoint(ctx); err != nil {
		return fmt.Errorf("saving the conversation: %w", err)
	}
	return nil
}

// giveUp returns the entries that bring a conversation that was interrupted, and
// now goes on with something else, to a point where the person may speak.
func (c *Conversation) giveUp() []entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	var entries []entry
	for _, o := range c.state.open {
		if o.Result == nil {
			entries = append(entries, entry{Result: lostResult(o, c.tools[o.call.Name])})
		}
	}
	if n := len(c.state.steer); n > 0 {
		entries = append(entries, entry{Take: n})
	}
	return entries
}

// clean makes a message fit to be encoded.
func clean(m Message) Message {
	for i := range m.Parts {
		if text := strings.ToValidUTF8(m.Parts[i].Text, "\uFFFD"); text != m.Parts[i].Text {
			m.Parts = slices.Clone(m.Parts)
			m.Parts[i].Text = text
		}
	}
	return m
}
