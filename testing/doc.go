// Package testing runs a project's tests for an agent: after each chat that
// changed something, and until they pass.
//
// A [Service] holds named resources: a shell command ([Shell]), Go packages
// ([GoTest]), or any function ([Func]). [Service.Run] runs them in parallel
// under a limit and returns a [Report]; [Service.Latest], [Service.Verdict] and
// [Service.History] tell what is known. Every resource has a time limit, its
// whole process group ends with it, and its output is bounded: of a gigabyte the
// beginning, the end and the failing tests remain.
//
// [AutoTest] is the hook after a chat: it tests a workspace that is dirty, once
// per state of the workspace. [AutoRepair] is the hook after testing: for each
// resource that is red it enqueues one [Repair] with a checkpoint, the failing
// output and the diff, and it stops, and asks a person, when the attempts are
// used up, change nothing or go in a circle.
//
// "Passed" always means that something ran and that nothing is missing:
// [Verdict] names what failed, what never ran and what ran on an older state of
// the workspace.
package testing
