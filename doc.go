// Package tokenring is the front page of TokenRing for Go, an SDK for programs
// that run AI agents on real work. It holds documentation only: import the
// packages below, each of which is worth importing alone.
//
// # Features
//
//   - agent: long-lived agents with events, state slices, checkpoints, hooks,
//     slash commands and questions to people, and the Manager that runs them
//   - aiclient: one model API for every provider, the tool loop
//     (Conversation), model registries, cost and fallback
//   - queue: at-least-once work queues whose items carry a checkpoint, and the
//     Worker that drains them
//   - memory: short-term memories that are injected into a model's context
//   - filesystem: confined file access, git-true ignore rules, search, edits
//     that apply, dirty tracking
//   - git: commits with generated messages, rollback that can be undone,
//     snapshots, branches and worktrees
//   - testing: runs test suites, after a chat and until they pass
//   - database: read-only-by-default access to SQL databases
//
// # Foundations
//
//   - registry: keyed and typed registries with selection, waiting, watching,
//     balancing and fallback
//   - utility: small packages of one idea each, such as cache, retry, timing,
//     batch, task, command, tool, budget, text and stats
//   - utility/otel: OpenTelemetry spans and metrics of everything above (a
//     module of its own)
//
// # Wiring
//
// Features never import each other. A host program brings them together
// through standard types, through small interfaces that the consumer declares
// and the provider happens to satisfy, and through plain functions:
//
//	conv := aiclient.NewConversation(model, aiclient.ConversationOptions{
//		Tools: slices.Concat(files.Tools(), repo.Tools(), tests.Tools()),
//	})
//	a.Attach("conversation", conv)                        // a conversation is an agent's state slice
//	auto := testing.AutoTest{Service: tests, Workspace: files} // files has Dirty() bool
//	repair.Enqueue = func(ctx context.Context, r testing.Repair) error { … }
//
// The file examples/coder/wire.go wires every package and fits on one screen.
// A test in this package fails when a package imports what it must not.
package tokenring
