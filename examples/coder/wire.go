package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
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
	w.conv = aiclient.NewConversation(w.chat, aiclient.ConversationOptions{
		System:     systemPrompt(w.cfg),
		Tools:      slices.Concat(w.files.Tools(), w.repo.Tools(), w.tests.Tools(), w.notes.Tools()),
		Context:    w.notes.Context,
		Policy:     workspacePolicy(w.cfg.Yes),
		Approve:    w.approve,
		Checkpoint: func(ctx context.Context) error { _, err := a.Checkpoint(ctx); return err },
		Trace:      w.conversationTrace(),
	})
	w.commit = git.NewAutoCommit(w.repo, git.AutoCommitOptions{Passed: w.tests.Passed, Disabled: w.cfg.NoCommit, OnCommit: w.committed, OnSkipped: w.leftOut})
	w.repair = testing.NewAutoRepair(w.tests, testing.AutoRepairOptions{
		MaxAttempts: w.cfg.MaxRepairs,
		Disabled:    w.cfg.MaxRepairs == 0,
		Diff:        w.diff,
		Checkpoint: func(ctx context.Context) (string, error) {
			info, err := a.Checkpoint(ctx)
			return info.ID, err
		},
		Enqueue: func(ctx context.Context, r testing.Repair) error {
			payload, err := json.Marshal(r)
			if err != nil {
				return err
			}
			_, err = w.work.Enqueue(ctx, queue.Item{Name: "repair", Key: a.ID(), Payload: payload, Checkpoint: []byte(r.Checkpoint)})
			return err
		},
	})
	auto := testing.NewAutoTest(w.tests, testing.AutoTestOptions{
		Workspace:    w.files,
		AfterTesting: func(ctx context.Context) error { return a.RunHooks(ctx, agent.AfterTesting) },
	})
	for name, slice := range map[string]agent.Slice{
		"conversation": w.conv, "memory": w.notes, "files": w.files, "queue": w.work, "progress": w.progress,
		"tests": w.tests, "repair": w.repair, "commit": w.commit,
	} {
		if err := a.Attach(name, slice); err != nil {
			return err
		}
	}
	for name, command := range map[string]agent.Command{
		"file": w.files, "git": w.repo, "test": w.tests, "repair": w.repair, "memory": w.notes, "queue": w.work,
	} {
		if err := a.Command(name, command); err != nil {
			return err
		}
	}
	return errors.Join(
		a.Hook(agent.AfterChat, "auto-test", auto.AfterChat),
		a.Hook(agent.AfterTesting, "auto-repair", w.repair.AfterTesting),
		a.Hook(agent.AfterTesting, "auto-commit", w.commit.AfterTesting),
	)
}
