// Package git lets an agent work in a git repository without ever losing what a
// person did there.
//
// [Open] finds the repository around a directory. A [Service] reads its state
// as typed values ([Service.Status], [Service.Diff], [Service.Log]), commits
// with a message of its own, of a model or of the changed paths
// ([Service.Commit]), goes back in a way that can itself be undone
// ([Service.Rollback], [Service.Undo]), saves the whole working state without
// touching it ([Service.Snapshot]), and gives parallel agents working trees of
// their own ([Service.AddWorktree]). [AutoCommit] is the hook that commits an
// agent's work once the tests pass, and only the agent's.
//
// # What is promised about other people's work
//
// A commit is prepared in a copy of the index. Until it exists, the index, the
// files and HEAD are what they were; when it fails, they still are. A commit of
// some paths leaves everything else that was staged exactly as it was staged.
//
// No method discards uncommitted or untracked work without saving it first
// under refs/tokenring/, from where [Service.RestoreSnapshot] and [Service.Undo]
// bring it back. One that stops half way, because its context ends or git fails,
// brings back what it has changed; what a person did in the files meanwhile is then
// in a snapshot. Files that git ignores are never removed or overwritten, except
// that [Service.RemoveWorktree] removes a directory with all that is in it.
//
// # How git runs
//
// The git program (2.30 or newer) is run with an argument vector, never through
// a shell: paths are literal and come after "--", names of branches and
// revisions are checked before they are used. It sees a clean environment: no
// pager, prompt, editor or translation, and no GIT_ variable of the parent
// besides those that [Options.InheritEnv] lists. Hooks and signing that the
// repository is configured for do run; [Options.Untrusted] turns off everything
// that a hostile repository could use to run programs.
package git
