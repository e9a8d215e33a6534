package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/agent"
	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
)

// The tests run the program as its users do: as a process of its own. It is
// this test binary, which turns into the program when the variable is set.
const asProgram = "CODER_TEST_RUN_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// program prepares a run with its own state, temporary directory and no keys.
type program struct {
	t     *testing.T
	state string
	tmp   string
}

func newProgram(t *testing.T) *program {
	return &program{t: t, state: t.TempDir(), tmp: t.TempDir()}
}

func (p *program) command(args ...string) *exec.Cmd {
	p.t.Helper()
	self, err := os.Executable()
	require.NoError(p.t, err)
	cmd := exec.CommandContext(p.t.Context(), self, append([]string{"-state", p.state}, args...)...)
	cmd.Env = []string{asProgram + "=1", "TMPDIR=" + p.tmp, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_SYSTEM=" + os.DevNull, "GOFLAGS=-buildvcs=false", "GOWORK=off"}
	for _, name := range []string{"PATH", "HOME", "GOCACHE", "GOPATH", "GOMODCACHE", "GOROOT", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

// outcome is what a finished run left behind.
type outcome struct {
	status         int
	stdout, stderr string
}

func (p *program) run(args ...string) outcome {
	p.t.Helper()
	cmd := p.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(p.t, err)
	}
	out := outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	p.t.Logf("exit status %d\n%s%s", out.status, out.stdout, out.stderr)
	return out
}

// field returns what follows a label at the start of a line.
func (o outcome) field(label string) string {
	for line := range strings.Lines(o.stdout) {
		if rest, ok := strings.CutPrefix(line, label); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// events reads the lines of a run with -json.
func (o outcome) events(t *testing.T) []agent.Event {
	t.Helper()
	var events []agent.Event
	for line := range strings.Lines(o.stdout) {
		var e agent.Event
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		events = append(events, e)
	}
	return events
}

func ownEvents[T any](t *testing.T, events []agent.Event, name string) []T {
	t.Helper()
	var found []T
	for _, e := range events {
		if own, ok := e.Body.(agent.Custom); ok && own.Name == name {
			var v T
			require.NoError(t, json.Unmarshal(own.Data, &v))
			found = append(found, v)
		}
	}
	return found
}

func inRepo(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// demoRepo writes the demonstration's repository for runs with -dir.
func demoRepo(t *testing.T) string {
	t.Helper()
	dir, err := writeDemo(t.Context(), t.TempDir())
	require.NoError(t, err)
	return dir
}

func commits(t *testing.T, dir string) int {
	t.Helper()
	return len(strings.Split(inRepo(t, dir, "git", "log", "--format=%h"), "\n"))
}

// assertRepaired checks the repository itself, not what was printed about it.
func assertRepaired(t *testing.T, dir string) {
	t.Helper()
	inRepo(t, dir, "go", "test", "./...")
	assert.Equal(t, 2, commits(t, dir), "one commit beside the first")
	assert.Empty(t, inRepo(t, dir, "git", "status", "--porcelain"))
	assert.Equal(t, basketFile, inRepo(t, dir, "git", "diff", "--name-only", "HEAD~1"))
}

// model serves a script at the endpoint that the returned flags name.
func model(t *testing.T, script aitest.Script) (*aitest.Server, []string) {
	t.Helper()
	server := aitest.NewServer(t, script)
	return server, []string{"-base-url", server.URL + "/v1", "-model", "scripted-by-test"}
}

func TestDemonstrationIsRepairedAndCommitted(t *testing.T) {
	t.Parallel()
	out := newProgram(t).run()
	require.Equal(t, exitGreen, out.status)
	assert.Contains(t, out.stdout, "the replies are written in advance")
	assert.Regexp(t, `tests: ✗ go test ./... failed`, out.stdout)
	assert.Regexp(t, `repair: attempt 1 of 3`, out.stdout)
	assert.Regexp(t, `tests: ✓ go test ./... passed`, out.stdout)
	assert.Regexp(t, `commit: [0-9a-f]{10} Give the discount`, out.stdout)
	assert.Regexp(t, `tokens: [1-9]\d* in, [1-9]\d* out`, out.stdout)
	assert.Regexp(t, `checkpoint: \S+`, out.stdout)
	assert.NotContains(t, out.stdout, "\x1b", "no terminal sequences in a pipe")
	assertRepaired(t, out.field("repository:"))
}

func TestWithoutTheEditTheTestsStayRed(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	_, flags := model(t, func(aitest.Request) aitest.Reply { return aitest.Text("All is well.") })
	out := newProgram(t).run(append(flags, "-dir", dir, "-max-repairs", "1", demoTask)...)
	assert.Equal(t, exitRed, out.status)
	assert.Equal(t, 1, commits(t, dir))
	assert.Empty(t, inRepo(t, dir, "git", "status", "--porcelain"))
}

// badRepair edits the rounding without effect on its first repair.
func badRepair(req aitest.Request) aitest.Reply {
	if strings.HasPrefix(req.System(), messagePrompt) {
		return aitest.Text("Repair the discount")
	}
	repairs := 0
	for _, m := range req.Messages {
		if m.Role == "user" && m.Text != demoTask {
			repairs++
		}
	}
	if repairs == 1 {
		if edited(req) {
			return aitest.Text("That should do.")
		}
		return call("", "edit", edit("return amount * BulkPercent / 100", "return (amount*BulkPercent + 10) / 100"))
	}
	if repairs == 2 && !edited(req) {
		return call("", "edit", edit("return (amount*BulkPercent + 10) / 100", "return (amount*BulkPercent + 50) / 100"))
	}
	return scriptedReply(req)
}

func TestSecondRepairSucceeds(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	server, flags := model(t, badRepair)
	out := newProgram(t).run(append(flags, "-dir", dir, "-json", demoTask)...)
	require.Equal(t, exitGreen, out.status)
	events := out.events(t)
	assert.Len(t, ownEvents[repairReport](t, events, eventRepair), 2)
	results := ownEvents[resultReport](t, events, eventResult)
	require.Len(t, results, 1)
	assert.Equal(t, 2, results[0].Repairs)
	assertRepaired(t, dir)

	var sawOutput bool
	for _, req := range server.Requests() {
		sawOutput = sawOutput || strings.Contains(req.LastUser(), "= 1040, want 1039")
	}
	assert.True(t, sawOutput, "the model was shown the failing output")
}

func TestRepairsExhausted(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	_, flags := model(t, func(req aitest.Request) aitest.Reply {
		if req.LastUser() != demoTask {
			return aitest.Text("I cannot find anything.")
		}
		return scriptedReply(req)
	})
	out := newProgram(t).run(append(flags, "-dir", dir, "-max-repairs", "2", demoTask)...)
	assert.Equal(t, exitRed, out.status)
	assert.Contains(t, out.stdout, "still fail")
	assert.Equal(t, 1, commits(t, dir), "nothing is committed")
	assert.Contains(t, inRepo(t, dir, "git", "diff"), ">= BulkQuantity", "the work is left in the tree")
}

func TestEndpointUnreachable(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	server := aitest.NewServer(nil, func(aitest.Request) aitest.Reply { return aitest.Reply{} })
	server.Close() // nobody listens at its port any more
	out := newProgram(t).run("-base-url", server.URL+"/v1", "-dir", dir, demoTask)
	assert.Equal(t, exitSetup, out.status)
	assert.Contains(t, out.stdout+out.stderr, "-base-url")
	assert.Equal(t, 1, commits(t, dir))
}

func TestChangesOfTheUserAreNeitherLostNorCommitted(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), []byte("my own words\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("untracked\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "staged.txt"), []byte("staged\n"), 0o644))
	inRepo(t, dir, "git", "add", "staged.txt")
	before := inRepo(t, dir, "git", "status", "--porcelain")

	_, flags := model(t, scriptedReply)
	out := newProgram(t).run(append(flags, "-dir", dir, demoTask)...)
	require.Equal(t, exitGreen, out.status)
	assert.Equal(t, before, inRepo(t, dir, "git", "status", "--porcelain"))
	assert.Equal(t, basketFile, inRepo(t, dir, "git", "diff", "--name-only", "HEAD~1", "HEAD"))
	data, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	assert.Equal(t, "my own words\n", string(data))

	snapshot, _, _ := strings.Cut(inRepo(t, dir, "git", "for-each-ref", "--format=%(objectname)", "refs/tokenring/snapshots"), "\n")
	require.NotEmpty(t, snapshot, "the tree was saved before the first edit")
	assert.Equal(t, "my own words", inRepo(t, dir, "git", "show", snapshot+":README.md"))
}

func TestFileThatBothChangedIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	file := filepath.Join(dir, basketFile)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(data, "\n// A remark of mine.\n"...), 0o644))

	_, flags := model(t, scriptedReply)
	out := newProgram(t).run(append(flags, "-dir", dir, demoTask)...)
	assert.Equal(t, exitGreen, out.status)
	assert.Contains(t, out.stdout, "not committed: "+basketFile)
	assert.Equal(t, 1, commits(t, dir))
	inRepo(t, dir, "go", "test", "./...")
	assert.Contains(t, inRepo(t, dir, "git", "diff"), "A remark of mine")
}

func TestNotARepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/x\n"), 0o644))
	out := newProgram(t).run("-base-url", "http://127.0.0.1:1/v1", "-dir", dir, demoTask)
	assert.Equal(t, exitSetup, out.status)
	assert.Contains(t, out.stderr, "not a git repository")
	assert.Contains(t, out.stderr, dir)
}

func TestNoCommit(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	_, flags := model(t, scriptedReply)
	out := newProgram(t).run(append(flags, "-dir", dir, "-no-commit", demoTask)...)
	assert.Equal(t, exitGreen, out.status)
	assert.Equal(t, 1, commits(t, dir))
	assert.Equal(t, "M "+basketFile, inRepo(t, dir, "git", "status", "--porcelain"))
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, test := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"help":                  {[]string{"-h"}, exitGreen, "usage: coder"},
		"unknown flag":          {[]string{"-frobnicate"}, exitUsage, "-frobnicate"},
		"directory, no task":    {[]string{"-dir", empty}, exitUsage, "say what to do"},
		"negative repairs":      {[]string{"-max-repairs", "-1"}, exitUsage, "-max-repairs"},
		"no URL":                {[]string{"-base-url", "localhost:11434", "task"}, exitUsage, "-base-url localhost:11434"},
		"resume with a task":    {[]string{"-resume", "x", "task"}, exitUsage, "saved task"},
		"resume of nobody":      {[]string{"-resume", "coder-nobody"}, exitSetup, "coder-nobody"},
		"no model":              {[]string{"-dir", empty, "task"}, exitSetup, "OPENAI_API_KEY"},
		"missing directory":     {[]string{"-dir", filepath.Join(empty, "gone"), "-base-url", "http://127.0.0.1:1", "task"}, exitSetup, "gone"},
		"no way to test":        {[]string{"-dir", empty, "-base-url", "http://127.0.0.1:1", "task"}, exitUsage, "-test"},
		"unknown provider":      {[]string{"-dir", demoRepo(t), "-model", "nowhere:x", "task"}, exitSetup, "nowhere"},
		"provider without key":  {[]string{"-dir", demoRepo(t), "-model", "openai:gpt-4o", "task"}, exitSetup, "OPENAI_API_KEY"},
		"model without its URL": {[]string{"-dir", demoRepo(t), "-model", "gpt-4o", "task"}, exitSetup, "provider:model"},
	} {
		t.Run(name, func(t *testing.T) {
			out := newProgram(t).run(test.args...)
			assert.Equal(t, test.status, out.status)
			assert.Contains(t, out.stderr, test.says)
		})
	}
}

// killAt runs the program until an event for which at holds, kills it with the
// signal and returns the agent's ID.
func (p *program) killAt(signal os.Signal, at func(agent.Event) bool, args ...string) (id string, status int) {
	p.t.Helper()
	cmd := p.command(append([]string{"-json"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(p.t, err)
	require.NoError(p.t, cmd.Start())
	hit := false
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		require.NoError(p.t, err)
		var e agent.Event
		require.NoError(p.t, json.Unmarshal(line, &e), string(line))
		if own, ok := e.Body.(agent.Custom); ok && own.Name == eventSetup {
			id = read[setupReport](own).Agent
		}
		if !hit && at(e) {
			hit = true
			require.NoError(p.t, cmd.Process.Signal(signal))
		}
	}
	_ = cmd.Wait() // it was killed
	require.True(p.t, hit, "the moment to kill never came")
	require.NotEmpty(p.t, id)
	return id, cmd.ProcessState.ExitCode()
}

func isTests(state string) func(agent.Event) bool {
	return func(e agent.Event) bool {
		own, ok := e.Body.(agent.Custom)
		return ok && own.Name == eventTests && read[testsReport](own).State == state
	}
}

func isOwn(name string) func(agent.Event) bool {
	return func(e agent.Event) bool {
		own, ok := e.Body.(agent.Custom)
		return ok && own.Name == name
	}
}

func isTool(kind agent.Kind, name string) func(agent.Event) bool {
	return func(e agent.Event) bool {
		switch body := e.Body.(type) {
		case agent.ToolStarted:
			return kind == body.Kind() && body.Call.Name == name
		case agent.ToolFinished:
			return kind == body.Kind() && body.Call.Name == name
		}
		return false
	}
}

var killPoints = map[string]func(agent.Event) bool{
	"when the task was accepted": func(e agent.Event) bool { return e.Body.Kind() == "input.received" },
	"in the first reply":         func(e agent.Event) bool { return e.Body.Kind() == "output" },
	"after the reads":            isTool("tool.finished", "read"),
	"when an edit starts":        isTool("tool.started", "edit"),
	"after an edit":              isTool("tool.finished", "edit"),
	"while the tests run":        isTests("running"),
	"when the tests failed":      isTests("failed"),
	"when a repair is queued":    isOwn(eventRepair),
	"when the tests passed":      isTests("passed"),
	"after the commit":           isOwn(eventCommit),
}

func TestKilledRunIsFinishedByResume(t *testing.T) {
	t.Parallel()
	for name, at := range killPoints {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := demoRepo(t)
			server, flags := model(t, scriptedReply)
			p := newProgram(t)
			id, _ := p.killAt(syscall.SIGKILL, at, append(flags, "-dir", dir, demoTask)...)
			out := p.run("-resume", id)
			require.Equal(t, exitGreen, out.status)
			assertRepaired(t, dir)

			// Finished work is not done again: no conversation holds a call twice.
			for _, req := range server.Requests() {
				seen := map[string]bool{}
				for _, c := range req.Calls("") {
					assert.False(t, seen[c.ID], "call %s was made twice", c.ID)
					seen[c.ID] = true
				}
			}
			again := p.run("-resume", id)
			assert.Equal(t, exitGreen, again.status, "a finished job has nothing left to do")
			assert.Equal(t, 2, commits(t, dir))
		})
	}
}

func TestInterruptSavesAndResumeFinishes(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	_, flags := model(t, script)
	p := newProgram(t)
	id, status := p.killAt(os.Interrupt, killPoints["in the first reply"], append(flags, "-dir", dir, demoTask)...)
	assert.Equal(t, exitInterrupted, status)
	out := p.run("-resume", id)
	require.Equal(t, exitGreen, out.status)
	assertRepaired(t, dir)
}

func TestResumeWithMoreRepairs(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"0", "1"} {
		dir := demoRepo(t)
		_, flags := model(t, badRepair)
		p := newProgram(t)
		out := p.run(append(flags, "-dir", dir, "-max-repairs", first, "-json", demoTask)...)
		require.Equal(t, exitRed, out.status)
		id := ownEvents[setupReport](t, out.events(t), eventSetup)[0].Agent
		out = p.run("-resume", id)
		require.Equal(t, exitRed, out.status, "that was all it may have")
		require.Contains(t, out.stdout, "tests: ✗", "what a process of before saw may not hold any more")
		require.Equal(t, exitGreen, p.run("-resume", id, "-max-repairs", "2").status)
		assertRepaired(t, dir)
	}
}

func TestResumeSeesWhatThePersonRepaired(t *testing.T) {
	t.Parallel()
	dir := demoRepo(t)
	_, flags := model(t, scriptedReply)
	p := newProgram(t)
	out := p.run(append(flags, "-dir", dir, "-max-repairs", "0", "-json", demoTask)...)
	require.Equal(t, exitRed, out.status)
	file := filepath.Join(dir, basketFile)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	data = bytes.Replace(data, []byte("return amount * BulkPercent / 100"), []byte("return (amount*BulkPercent + 50) / 100"), 1)
	require.NoError(t, os.WriteFile(file, data, 0o644))
	id := ownEvents[setupReport](t, out.events(t), eventSetup)[0].Agent
	require.Equal(t, exitGreen, p.run("-resume", id).status)
}

// TestNobodyAnswers closes the terminal at a question.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	manager := agent.NewManager(agent.ManagerOptions{})
	defer func() { require.NoError(t, manager.Shutdown(context.Background())) }()
	require.NoError(t, manager.RegisterType(agent.Type{Name: agentType}))
	a, err := manager.Spawn(t.Context(), agentType, agent.SpawnOptions{})
	require.NoError(t, err)
	person, leave := context.WithCancelCause(t.Context())
	w := &workshop{agent: a, person: person}
	go func() {
		for event := range a.Events(t.Context(), 0) {
			if _, asked := event.Body.(agent.Asked); asked {
				leave(errNobody)
				return
			}
		}
	}()
	for range 2 {
		decision, err := w.approve(t.Context(), aiclient.Approval{Call: aiclient.ToolCall{ID: "1", Name: "run"}})
		require.NoError(t, err)
		assert.False(t, decision.Allow)
		assert.Contains(t, decision.Reason, "-yes")
	}
	assert.Empty(t, a.Pending())
}
