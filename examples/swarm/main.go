// Swarm works on many tasks at once in one git repository: a queue hands the
// tasks to sub-agents, each in a working tree and on a branch of its own; what
// they did is merged back one after another. They share one budget. Two tasks
// that change the same line conflict: the second is reported and kept on its
// branch.
//
//	go run ./examples/swarm
//
// A script plays the model; git, files and the queue are real.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"sync"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/filesystem"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/queue"
	"github.com/tokenring-ai/tokenring-go/utility/budget"
)

// tasks are what is to be done.
var tasks = []string{"translate hello.txt", "translate bye.txt", "translate thanks.txt", "shout hello.txt"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "swarm")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server := aitest.NewServer(nil, script)
	defer server.Close()
	repo, err := newRepository(ctx, filepath.Join(dir, "repo"))
	if err != nil {
		return err
	}
	manager := agent.NewManager(agent.ManagerOptions{})
	defer manager.Shutdown(context.WithoutCancel(ctx))
	base, err := repo.Show(ctx, "HEAD")
	if err != nil {
		return err
	}
	s := &swarm{
		base: base.Hash, repo: repo, trees: filepath.Join(dir, "trees"),
		chat: openai.New(openai.Options{Name: "scripted", BaseURL: server.URL + "/v1"}).Chat("scripted"),
	}
	for _, typ := range []agent.Type{{Name: "foreman"}, {Name: "worker", Handle: s.handle}} {
		if err := manager.RegisterType(typ); err != nil {
			return err
		}
	}
	spent := budget.New(budget.Limits{Steps: 50})
	foreman, err := manager.Spawn(ctx, "foreman", agent.SpawnOptions{ID: "foreman", Budget: spent})
	if err != nil {
		return err
	}

	work := queue.NewMemory(queue.Options{})
	defer work.Close()
	for i, task := range tasks {
		if _, err := work.Enqueue(ctx, queue.Item{ID: fmt.Sprintf("task-%d", i+1), Name: "task", Payload: []byte(task)}); err != nil {
			return err
		}
	}
	worker := queue.NewWorker(work, func(ctx context.Context, item queue.Item) error {
		return s.task(ctx, foreman, item)
	}, queue.WorkerOptions{Concurrency: 3})
	if err := worker.RunUntilEmpty(ctx); err != nil {
		return err
	}

	log, err := repo.Log(ctx, git.LogOptions{})
	if err != nil {
		return err
	}
	merged := 0
	for _, c := range log {
		if len(c.Parents) == 1 {
			merged++
		}
	}
	fmt.Printf("%d of %d tasks are merged, %d steps of the model were spent\n", merged, len(tasks), spent.Used().Steps)
	return nil
}

// swarm is what the sub-agents share.
type swarm struct {
	repo  *git.Service
	base  string // the commit on which all begin
	trees string
	chat  aiclient.Chat

	merging sync.Mutex
}

// task gives one task to a sub-agent with a working tree of its own and merges
// the result. A conflict is a result, not a failure to try again.
func (s *swarm) task(ctx context.Context, foreman *agent.Agent, item queue.Item) error {
	tree, err := s.repo.AddWorktree(ctx, git.WorktreeOptions{Path: filepath.Join(s.trees, item.ID), Branch: item.ID, From: s.base})
	if err != nil {
		return err
	}
	defer func() {
		// What a failed attempt left is saved, not lost; the next one starts afresh.
		if _, err := s.repo.RemoveWorktree(context.WithoutCancel(ctx), tree.Root(), true); err != nil {
			fmt.Printf("%s: %v\n", item.ID, err)
		}
	}()
	sub, err := foreman.Spawn(ctx, "worker", agent.SpawnOptions{ID: item.ID, Config: agent.Config(fmt.Sprintf("%q", tree.Root()))})
	if err != nil {
		return err
	}
	defer sub.Stop(context.WithoutCancel(ctx))
	run, err := sub.Submit(ctx, agent.Input{Text: string(item.Payload), Source: "queue"})
	if err != nil {
		return err
	}
	if err := run.Wait(ctx); err != nil {
		return err
	}
	if _, err := tree.Commit(ctx, git.CommitOptions{Message: string(item.Payload)}); err != nil {
		return err
	}

	s.merging.Lock() // one after another, so that each sees the ones before
	defer s.merging.Unlock()
	_, err = s.repo.MergeWorktree(ctx, tree.Root(), git.MergeOptions{})
	var conflict *git.ConflictError
	switch {
	case errors.As(err, &conflict):
		fmt.Printf("%s (%s) conflicts in %s and stays on its branch\n", item.ID, item.Payload, conflict.Conflicts[0].Path)
	case err != nil:
		return err
	default:
		fmt.Printf("%s (%s) is merged\n", item.ID, item.Payload)
	}
	return nil
}

// handle is what a sub-agent does: it chats with tools that see its own tree.
func (s *swarm) handle(ctx context.Context, a *agent.Agent, in agent.Input) error {
	root, err := configString(a.Config())
	if err != nil {
		return err
	}
	files, err := filesystem.New(filesystem.Options{Root: root})
	if err != nil {
		return err
	}
	defer files.Close()
	conv := aiclient.NewConversation(s.chat, aiclient.ConversationOptions{Tools: files.Tools()})
	_, err = conv.Send(ctx, in.Text)
	return err
}
