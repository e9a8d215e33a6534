package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/memory"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/testing"
)

// The sources of inputs.
const (
	sourceUser   = "user"
	sourceRepair = "repair"
)

// taskID is the ID of the input that carries the user's task. It is fixed, so
// that a resumed agent knows whether it has begun.
const taskID = "task"

// workshop is everything that one agent works with.
type workshop struct {
	cfg    config
	chat   aiclient.Chat
	person context.Context // ends when nobody can be asked any more

	agent    *agent.Agent
	files    *filesystem.Service
	repo     *git.Service
	tests    *testing.Service
	notes    *memory.Store
	work     *queue.Memory
	worker   *queue.Worker
	conv     *aiclient.Conversation
	commit   *git.AutoCommit
	snapshot *git.AutoSnapshot
	auto     *testing.AutoTest
	repair   *testing.AutoRepair
	progress *progress
	timing   timing

	halt context.CancelCauseFunc // ends the run that is under way
}

// handle works on one input: the user's task or a repair. An input that had
// begun in an earlier process continues where its conversation stopped.
func (w *workshop) handle(ctx context.Context, _ *agent.Agent, in agent.Input) error {
	var err error
	if w.progress.begin(in.ID) {
		w.snapshot.Begin(in.Text)
		_, err = w.conv.Send(ctx, in.Text)
	} else {
		_, err = w.conv.Continue(ctx)
	}
	var stopped *aiclient.StopError
	if errors.As(err, &stopped) && stopped.Reason != aiclient.StopAborted && ctx.Err() == nil {
		// A limit or a loop ended the chat: let the tests say what it is worth.
		w.agent.Emit(warning(stopped.Error()))
		return nil
	}
	return err
}

// prepare notes what was there before the agent, the first time, and saves it:
// from here on the agent can be resumed.
func (w *workshop) prepare(ctx context.Context) error {
	if err := w.commit.Begin(ctx); err != nil {
		return setupFailure(err)
	}
	head, err := w.head(ctx)
	if err != nil {
		return setupFailure(err)
	}
	w.progress.start(head)
	if _, err := w.agent.Checkpoint(ctx); err != nil {
		return setupFailure(err)
	}
	return nil
}

// run does the whole job: what is left of the task, then the repairs that the
// tests ask for until they pass or the attempts are used up.
func (w *workshop) run(ctx context.Context) error {
	ctx, w.halt = context.WithCancelCause(ctx)
	defer w.halt(nil)
	if !w.progress.finished(taskID) {
		// Nobody has tested this tree yet, whatever the model does to it.
		if err := w.files.MarkDirty("."); err != nil {
			return err
		}
		if err := w.input(ctx, agent.Input{ID: taskID, Text: w.cfg.Task, Source: sourceUser}); err != nil {
			return err
		}
	}
	if err := w.worker.RunUntilEmpty(ctx); err != nil {
		return cmpCause(ctx, err)
	}
	// Results of an earlier process are not trusted: the tree may have changed.
	if v := w.tests.Verdict(); v.Passed || len(v.Failed) > 0 && w.tests.Stats().Failed > 0 {
		return cmpCause(ctx, nil)
	}
	if err := w.files.MarkDirty("."); err != nil {
		return err
	}
	if err := w.auto.AfterChat(ctx); err != nil {
		return cmpCause(ctx, err)
	}
	return cmpCause(ctx, w.worker.RunUntilEmpty(ctx))
}

// repairItem is the queue's handler: it chats again from the state in which the
// repair was asked for.
func (w *workshop) repairItem(ctx context.Context, item queue.Item) error {
	var r testing.Repair
	if err := json.Unmarshal(item.Payload, &r); err != nil {
		return queue.Permanent(fmt.Errorf("repair %s: %w", item.ID, err))
	}
	if w.progress.finished(item.ID) {
		return nil // done before the process died, only not acknowledged
	}
	// The attempt counts, and is judged by the tests, even if it changes nothing.
	if err := w.files.MarkDirty("."); err != nil {
		return err
	}
	err := w.input(ctx, agent.Input{ID: item.ID, Text: r.Prompt(), Source: sourceRepair})
	if err != nil {
		w.halt(err) // the item stays in the queue for the next run
	}
	return err
}

// input gives the agent one input, or resumes it, and waits for its end.
func (w *workshop) input(ctx context.Context, in agent.Input) error {
	var run *agent.Run
	var err error
	if w.unfinished(in.ID) {
		// The process died at this input: a file may have been written whose
		// result was never recorded, so the tree counts as untested.
		if err := w.files.MarkDirty("."); err != nil {
			return err
		}
		run, err = w.agent.Resume(ctx, in.ID)
	} else {
		run, err = w.agent.Submit(ctx, in)
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { w.agent.Abort(context.Cause(ctx).Error()) })
	defer stop()
	if err := run.Wait(context.WithoutCancel(ctx)); err != nil {
		return cmpCause(ctx, err)
	}
	w.progress.finish(in.ID)
	return nil
}

// unfinished reports whether the input was cut off in an earlier process.
func (w *workshop) unfinished(id string) bool {
	return slices.ContainsFunc(w.agent.Unfinished(), func(in agent.Input) bool { return in.ID == id })
}

// cmpCause returns why ctx ended, if it did, and err otherwise.
func cmpCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// progress is a state slice: which inputs are part of the conversation, and
// which are finished. It is safe for concurrent use.
type progress struct {
	mu         sync.Mutex
	generation uint64
	state      struct {
		Head            string   // the commit on which the agent began
		Begun, Finished []string // IDs of inputs
	}
}

func newProgress() *progress { return &progress{} }

// start notes the commit on which the agent begins, the first time.
func (p *progress) start(head string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Head == "" {
		p.state.Head = head
		p.generation++
	}
}

func (p *progress) head() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state.Head
}

// begin notes that the input is part of the conversation from now on, and
// reports whether it was not before.
func (p *progress) begin(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Contains(p.state.Begun, id) {
		return false
	}
	p.state.Begun = append(p.state.Begun, id)
	p.generation++
	return true
}

func (p *progress) finish(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Finished = append(p.state.Finished, id)
	p.generation++
}

func (p *progress) finished(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.state.Finished, id)
}

// repairs returns how many repairs have begun.
func (p *progress) repairs() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.state.Begun)
	if slices.Contains(p.state.Begun, taskID) {
		n--
	}
	return n
}

// Generation, MarshalJSON, UnmarshalJSON and Reset make it a state slice.
func (p *progress) Generation() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.generation
}

func (p *progress) MarshalJSON() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return json.Marshal(p.state)
}

func (p *progress) UnmarshalJSON(data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.generation++
	return json.Unmarshal(data, &p.state)
}

func (p *progress) Reset(scope string) {
	if scope != "all" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Begun, p.state.Finished = nil, nil
	p.generation++
}
