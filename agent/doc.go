// Package agent keeps long-lived agents: addressable objects with an event log,
// named slices of state, checkpoints, hooks, slash commands and questions to
// people, and the Manager that spawns, restores and ends them.
//
// A host describes a kind of agent as a [Type]. Its Setup attaches what the
// agent consists of; its Handle works on one input at a time:
//
//	m := agent.NewManager(agent.ManagerOptions{Store: store})
//	m.RegisterType(agent.Type{
//		Name: "coder",
//		Setup: func(ctx context.Context, a *agent.Agent) error {
//			a.Hook(agent.AfterChat, "auto-test", tests.AfterChat)
//			return a.Attach("conversation", conv)
//		},
//		Handle: func(ctx context.Context, a *agent.Agent, in agent.Input) error {
//			…
//		},
//	})
//	a, err := m.Spawn(ctx, "coder", agent.SpawnOptions{})
//	run, err := a.Submit(ctx, agent.Input{Text: "fix the failing test"})
//	err = run.Wait(ctx)
//
// # Events
//
// Everything that happens is an [Event] in a bounded, numbered log. Readers
// follow it with [Agent.Events] from a cursor of their own; a slow one is told
// what it missed and holds nobody up. Every accepted input ends with exactly one
// [InputFinished].
//
// # State and checkpoints
//
// Anything that marshals, unmarshals and resets itself is a [Slice]. A
// checkpoint stores the slices that changed since the one before, and of those
// that can tell only what was appended; see [Slice] for the methods that make
// checkpoints cheap. Stores keep checkpoints as opaque records: [MemoryStore],
// [FileStore], and others in modules of their own.
//
// After a crash [Manager.RestoreUnfinished] brings back the agents that had work
// to do. Their inputs are listed by [Agent.Unfinished] and continue with
// [Agent.Resume].
//
// # Hooks, commands and people
//
// Hooks run at a [Point] of an input's way, in the order of their registration;
// [Agent.ToolHook] denies, changes or answers tool calls. A line "/name args" runs
// a [Command]. [Agent.Ask] asks a person, whose answer may come from anywhere by
// the request's ID, and after a restore.
//
// # Watching
//
// [Trace] is told what happens and gives contexts to it, so that an input, its
// hooks, tools and checkpoints make up one trace. [Manager.Stats] and
// [Agent.Stats] count.
//
// # Goroutines
//
// An idle agent owns no goroutine. One that works has one for its inputs. Abort,
// Stop and Shutdown end them, and name those that do not end.
package agent
