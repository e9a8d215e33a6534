package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/catalogue"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/memory"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/testing"
)

// wire brings the packages together for one agent. None of them knows another:
// they meet here, through functions and small interfaces.
func (w *workshop) wire(ctx context.Context, a *agent.Agent) (err error) {
	if w.files, err = filesystem.New(filesystem.Options{Root: w.cfg.Dir}); err != nil {
		return setupFailure(err)
	}
	if w.repo, err = git.Open(ctx, w.cfg.Dir, git.Options{Message: w.commitMessage}); err != nil {
		return setupFailure(err)
	}
	w.agent, w.notes, w.progress = a, memory.New(memory.Options{}), newProgress()
	w.work = queue.NewMemory(queue.Options{MaxAttempts: -1}) // a repair that was interrupted is not a failed one
	w.worker = queue.NewWorker(w.work, w.repairItem, queue.WorkerOptions{})
	w.tests = testing.New(testing.Options{Trace: w.testTrace()})
	if err := w.tests.Register("test", testResource(w.cfg)); err != nil {
		return setupFailure(err)
	}
	spec, _ := catalogue.Default().Find(w.chat.Model().Provider, w.chat.Model().ID) // zero when it is not known
	tools := slices.Concat(w.files.Tools(), w.repo.Tools(), w.tests.Tools(), w.notes.Tools())
	w.conv = aiclient.NewConversation(w.chat, aiclient.ConversationOptions{
		System:     systemPrompt(w.cfg),
		Tools:      tools,
		Context:    w.notes.Context,
		Policy:     workspacePolicy(w.cfg.Yes),
		Approve:    w.approve,
		BeforeTool: w.saveBefore(tools),
		Checkpoint: a.Step,
		Trace:      w.conversationTrace(),

		Price:        spec.Price,
		ContextLimit: spec.Context,
	})
	w.commit = git.NewAutoCommit(w.repo, git.AutoCommitOptions{Passed: w.tests.Passed, Disabled: w.cfg.NoCommit, OnCommit: w.committed, OnSkipped: w.leftOut})
	w.snapshot = git.NewAutoSnapshot(w.repo, git.AutoSnapshotOptions{})
	w.repair = testing.NewAutoRepair(w.tests, testing.AutoRepairOptions{
		MaxAttempts: w.cfg.MaxRepairs,
		Disabled:    w.cfg.MaxRepairs == 0,
		Diff:        w.diff,
		Checkpoint:  a.CheckpointID,
		Enqueue: func(ctx context.Context, r testing.Repair) error {
			payload, err := json.Marshal(r)
			if err != nil {
				return err
			}
			_, err = w.work.Enqueue(ctx, queue.Item{Name: "repair", Key: a.ID(), Payload: payload, Checkpoint: []byte(r.Checkpoint)})
			return err
		},
	})
	w.auto = testing.NewAutoTest(w.tests, testing.AutoTestOptions{
		Workspace:    w.files,
		AfterTesting: func(ctx context.Context) error { return a.RunHooks(ctx, agent.AfterTesting) },
	})
	return errors.Join(
		a.Attach("conversation", w.conv), a.Attach("memory", w.notes), a.Attach("files", w.files), a.Attach("queue", w.work),
		a.Attach("tests", w.tests), a.Attach("repair", w.repair), a.Attach("commit", w.commit), a.Attach("snapshot", w.snapshot), a.Attach("progress", w.progress),
		a.Command("file", w.files), a.Command("memory", w.notes), a.Command("queue", w.work),
		a.Command("test", w.tests), a.Command("repair", w.repair), a.Command("git", w.repo),
		a.Hook(agent.AfterChat, "auto-test", w.auto.AfterChat),
		a.Hook(agent.AfterTesting, "auto-repair", w.repair.AfterTesting),
		a.Hook(agent.AfterTesting, "auto-commit", w.commit.AfterTesting),
	)
}
