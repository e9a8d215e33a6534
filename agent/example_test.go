package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tokenring-ai/tokenring-go/agent"
)

func Example() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{})
	defer m.Shutdown(ctx)
	err := m.RegisterType(agent.Type{
		Name: "echo",
		Setup: func(ctx context.Context, a *agent.Agent) error {
			return a.Hook(agent.AfterChat, "sign", func(ctx context.Context) error {
				agent.From(ctx).Emit(agent.Message{Text: "That was all."})
				return nil
			})
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			a.Emit(agent.Output{Text: "You said: " + in.Text})
			return nil
		},
	})
	if err != nil {
		panic(err)
	}
	a, err := m.Spawn(ctx, "echo", agent.SpawnOptions{})
	if err != nil {
		panic(err)
	}
	run, err := a.Submit(ctx, agent.Input{Text: "hello"})
	if err != nil {
		panic(err)
	}
	for ev, err := range a.Events(ctx, 0) {
		if err != nil {
			panic(err)
		}
		switch b := ev.Body.(type) {
		case agent.Output:
			fmt.Println(b.Text)
		case agent.Message:
			fmt.Println(b.Text)
		case agent.InputFinished:
			fmt.Println(b.State, run.Wait(ctx))
			return
		}
	}
	// Output:
	// You said: hello
	// That was all.
	// done <nil>
}

// An agent that was killed goes on where its last checkpoint was.
func ExampleManager_RestoreUnfinished() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "agents")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	manager := func() *agent.Manager {
		store, err := agent.NewFileStore(dir, agent.FileStoreOptions{})
		if err != nil {
			panic(err)
		}
		m := agent.NewManager(agent.ManagerOptions{Store: store})
		err = m.RegisterType(agent.Type{
			Name:           "worker",
			AutoCheckpoint: agent.AutoCheckpoint{BeforeInput: true, AfterInput: true},
			Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
				if in.Resumed {
					fmt.Println("continuing:", in.Text)
					return nil
				}
				<-ctx.Done() // the program ends in the middle of this
				return context.Cause(ctx)
			},
		})
		if err != nil {
			panic(err)
		}
		return m
	}

	first := manager()
	a, err := first.Spawn(ctx, "worker", agent.SpawnOptions{ID: "w1"})
	if err != nil {
		panic(err)
	}
	run, err := a.Submit(ctx, agent.Input{Text: "sort the attic"})
	if err != nil {
		panic(err)
	}
	for ev := range a.Events(ctx, 0) {
		if _, saved := ev.Body.(agent.Checkpointed); saved {
			break
		}
	}
	if err := first.Shutdown(ctx); err != nil {
		panic(err)
	}
	fmt.Println(errors.Is(run.Err(), agent.ErrInterrupted))

	second := manager()
	defer second.Shutdown(ctx)
	for a, err := range second.RestoreUnfinished(ctx) {
		if err != nil {
			panic(err)
		}
		for _, in := range a.Unfinished() {
			run, err := a.Resume(ctx, in.ID)
			if err != nil {
				panic(err)
			}
			fmt.Println(a.ID(), run.Wait(ctx))
		}
	}
	// Output:
	// true
	// continuing: sort the attic
	// w1 <nil>
}

func ExampleAgent_Ask() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{})
	defer m.Shutdown(ctx)
	_ = m.RegisterType(agent.Type{Name: "careful", Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
		answer, err := a.Ask(ctx, agent.Request{Kind: agent.Confirm, Text: in.Text + "?"})
		if err == nil && answer.Confirmed {
			a.Emit(agent.Output{Text: "done"})
		}
		return err
	}})
	a, err := m.Spawn(ctx, "careful", agent.SpawnOptions{})
	if err != nil {
		panic(err)
	}
	if _, err := a.Submit(ctx, agent.Input{Text: "Delete everything"}); err != nil {
		panic(err)
	}
	for ev := range a.Events(ctx, 0) {
		switch b := ev.Body.(type) {
		case agent.Asked:
			fmt.Println(b.Request.Text)
			if err := a.Answer(b.Request.ID, agent.Response{Confirmed: true}); err != nil {
				panic(err)
			}
		case agent.Output:
			fmt.Println(b.Text)
		case agent.InputFinished:
			return
		}
	}
	// Output:
	// Delete everything?
	// done
}

// A hook before tool calls denies what is not allowed; a tool loop asks it with
// BeforeTool and tells the outcome with AfterTool.
func ExampleAgent_ToolHook() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{})
	defer m.Shutdown(ctx)
	_ = m.RegisterType(agent.Type{
		Name: "guarded",
		Setup: func(ctx context.Context, a *agent.Agent) error {
			return a.ToolHook("no-deleting", agent.ToolHook{
				Before: func(ctx context.Context, call agent.ToolCall) (agent.ToolDecision, error) {
					if call.Name == "delete" {
						return agent.ToolDecision{Verdict: agent.Deny, Reason: "deleting is not allowed"}, nil
					}
					return agent.ToolDecision{}, nil
				},
			})
		},
		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
			for _, name := range []string{"list", "delete"} {
				call := agent.ToolCall{ID: name, Name: name}
				decision, err := a.BeforeTool(ctx, call)
				if err != nil {
					return err
				}
				result := agent.ToolResult{Text: "done"}
				if decision.Verdict == agent.Deny {
					result = agent.ToolResult{Text: decision.Reason, IsError: true}
				}
				if _, err := a.AfterTool(ctx, call, result, 0); err != nil {
					return err
				}
			}
			return nil
		},
	})
	a, err := m.Spawn(ctx, "guarded", agent.SpawnOptions{})
	if err != nil {
		panic(err)
	}
	if _, err := a.Submit(ctx, agent.Input{Text: "tidy up"}); err != nil {
		panic(err)
	}
	for ev := range a.Events(ctx, 0) {
		switch b := ev.Body.(type) {
		case agent.ToolFinished:
			fmt.Println(b.Call.Name+":", b.Result)
		case agent.InputFinished:
			return
		}
	}
	// Output:
	// list: done
	// delete: deleting is not allowed
}

func ExampleAgent_Command() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{})
	defer m.Shutdown(ctx)
	_ = m.RegisterType(agent.Type{Name: "polite", Setup: func(ctx context.Context, a *agent.Agent) error {
		greet := func(ctx context.Context, args string) (string, error) { return "Hello " + args, nil }
		return a.Command("greet", agent.CommandFunc(greet, "Greets somebody.\n/greet name"), "hi")
	}})
	a, err := m.Spawn(ctx, "polite", agent.SpawnOptions{})
	if err != nil {
		panic(err)
	}
	fmt.Println(a.RunCommand(ctx, "/hi Ada"))
	_, err = a.RunCommand(ctx, "/gret Ada")
	fmt.Println(err)
	// Output:
	// Hello Ada <nil>
	// unknown command /gret; did you mean /greet?
}

// Abort ends the running input only; what waits runs next.
func ExampleAgent_Abort() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{})
	defer m.Shutdown(ctx)
	began := make(chan bool, 1)
	_ = m.RegisterType(agent.Type{Name: "slow", Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
		if in.Text == "long" {
			began <- true
			<-ctx.Done()
		}
		return context.Cause(ctx)
	}})
	a, err := m.Spawn(ctx, "slow", agent.SpawnOptions{})
	if err != nil {
		panic(err)
	}
	long, _ := a.Submit(ctx, agent.Input{Text: "long"})
	short, _ := a.Submit(ctx, agent.Input{Text: "short"})
	<-began
	a.Abort("takes too long")
	fmt.Println(long.Wait(ctx), long.State())
	fmt.Println(short.Wait(ctx), short.State())
	// Output:
	// aborted: takes too long aborted
	// <nil> done
}

// The checkpoints of an agent are a history: any of them can be gone on from.
func ExampleManager_RestoreCheckpoint() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{Store: &agent.MemoryStore{}})
	defer m.Shutdown(ctx)
	_ = m.RegisterType(agent.Type{Name: "writer", Setup: func(ctx context.Context, a *agent.Agent) error {
		return a.Attach("text", &stateText{})
	}})
	a, err := m.Spawn(ctx, "writer", agent.SpawnOptions{ID: "w"})
	if err != nil {
		panic(err)
	}
	for _, text := range []string{"first", "second"} {
		a.Slice("text").(*stateText).text = text
		if _, err := a.Checkpoint(ctx); err != nil {
			panic(err)
		}
	}
	list, err := m.Checkpoints(ctx, "w")
	if err != nil {
		panic(err)
	}
	fork, err := m.RestoreCheckpoint(ctx, list[0].ID, agent.SpawnOptions{ID: "fork"})
	if err != nil {
		panic(err)
	}
	fmt.Println(list[0].ID, fork.ID(), fork.Slice("text").(*stateText).text)
	// Output:
	// w@1 fork first
}

// Agents that are costly to set up are used again.
func ExampleManager_Acquire() {
	ctx := context.Background()
	m := agent.NewManager(agent.ManagerOptions{})
	defer m.Shutdown(ctx)
	_ = m.RegisterType(agent.Type{Name: "worker", Pool: 4, Setup: func(ctx context.Context, a *agent.Agent) error {
		fmt.Println("set up")
		return nil
	}})
	for range 3 {
		a, err := m.Acquire(ctx, "worker")
		if err != nil {
			panic(err)
		}
		if err := m.Release(ctx, a); err != nil {
			panic(err)
		}
	}
	fmt.Println(m.Len(), "agent")
	// Output:
	// set up
	// 1 agent
}
