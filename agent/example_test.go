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
