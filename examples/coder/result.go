package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/git"
	"github.com/tokenring-ai/tokenring-go/testing"
)

// goTest is the command for which the single tests are told apart.
const goTest = "go test ./..."

// testResource returns how the tests of the repository run.
func testResource(cfg config) testing.Resource {
	if cfg.Test == goTest {
		return testing.GoTest{Dir: cfg.Dir}
	}
	return testing.Shell{Command: cfg.Test, Dir: cfg.Dir}
}

// testTrace reports test runs and repairs as events of the agent.
func (w *workshop) testTrace() testing.Trace {
	return testing.Trace{
		Start: func(context.Context, string) {
			emit(w.agent, eventTests, testsReport{State: "running", Command: w.cfg.Test})
		},
		Done: func(_ context.Context, r testing.Result) {
			report := testsReport{State: string(r.Status), Command: w.cfg.Test, Seconds: r.Duration.Seconds()}
			if r.Status != testing.Passed {
				report.Output = strings.TrimSpace(r.Output + "\n" + r.Error)
			}
			emit(w.agent, eventTests, report)
		},
		Repair: func(_ context.Context, r testing.Repair) {
			emit(w.agent, eventRepair, repairReport{Attempt: r.Attempt, Of: w.cfg.MaxRepairs, Checkpoint: r.Checkpoint})
		},
		GiveUp: func(_ context.Context, _ testing.Repair, reason string) {
			emit(w.agent, eventRepair, repairReport{GaveUp: reason})
		},
	}
}

// committed reports a commit as an event of the agent.
func (w *workshop) committed(c git.Commit) {
	var stat strings.Builder
	for _, f := range c.Files {
		fmt.Fprintf(&stat, " %s | +%d -%d\n", f.Path, f.Added, f.Removed)
	}
	emit(w.agent, eventCommit, commitReport{Hash: c.Hash, Message: c.Message, Stat: stat.String()})
}

// leftOut reports what was deliberately not committed.
func (w *workshop) leftOut(_ context.Context, skipped []git.Skipped) {
	report := commitReport{}
	for _, s := range skipped {
		report.LeftOut = append(report.LeftOut, s.Path+": "+s.Reason)
	}
	emit(w.agent, eventCommit, report)
}

// diff shows what the agent changed so far, for the prompt of a repair.
func (w *workshop) diff(ctx context.Context) (string, error) {
	d, err := w.repo.Diff(ctx, git.DiffOptions{Untracked: true, MaxBytes: 16 << 10})
	if err != nil {
		return "", err
	}
	return d.Patch(), nil
}

// result judges how a run ended and saves the agent.
func (w *workshop) result(ctx context.Context, err error) resultReport {
	usage := w.conv.Usage()
	r := resultReport{
		Agent:   w.agent.ID(),
		Repairs: w.progress.repairs(),
		Input:   usage.Input + usage.CachedRead + usage.CacheWrite,
		Output:  usage.Output,
		Cost:    w.conv.Cost(),
	}
	switch {
	case err != nil:
		r.Exit = exitStatus(err)
		r.Summary = "stopped: " + explain(err, w.cfg) + "\ncontinue with -resume " + r.Agent
	case !w.tests.Passed():
		r.Exit = exitRed
		r.Summary = fmt.Sprintf("the tests still fail after %s: %s", counted(r.Repairs, "repair"), strings.Join(w.failing(), ", "))
	default:
		r.Exit = exitGreen
		r.Summary = w.greenSummary(ctx)
	}
	info, saveErr := w.agent.Checkpoint(ctx)
	if saveErr != nil {
		r.Exit = max(r.Exit, exitSetup)
		r.Summary += fmt.Sprintf("\nthe state could not be saved: %v", saveErr)
	}
	r.Checkpoint = info.ID
	return r
}

func (w *workshop) greenSummary(ctx context.Context) string {
	if w.cfg.NoCommit {
		return "the tests pass; the changes are not committed (-no-commit)"
	}
	if c, ok := w.commit.Last(); ok {
		return fmt.Sprintf("the tests pass; committed as %s", c.Short())
	}
	if skipped := w.commit.Skipped(); len(skipped) > 0 {
		return "the tests pass; commit the files that were left out yourself"
	}
	// The process may have died between the commit and the checkpoint that
	// would have told of it.
	if head, err := w.head(ctx); err == nil && head != w.progress.head() {
		return fmt.Sprintf("the tests pass; committed as %.10s", head)
	}
	return "the tests pass; there was nothing to commit"
}

// head returns the commit that is checked out, "" before the first.
func (w *workshop) head(ctx context.Context) (string, error) {
	log, err := w.repo.Log(ctx, git.LogOptions{Limit: 1})
	if err != nil || len(log) == 0 {
		return "", err
	}
	return log[0].Hash, nil
}

// failing names what is red: the single tests where they are known.
func (w *workshop) failing() []string {
	var names []string
	for _, result := range w.tests.Latest().Results {
		if result.Status == testing.Passed {
			continue
		}
		for _, c := range result.Failures {
			names = append(names, c.ID())
		}
		if len(result.Failures) == 0 {
			names = append(names, w.cfg.Test+" ("+string(result.Status)+")")
		}
	}
	if len(names) == 0 {
		return []string{w.cfg.Test + " (not run)"}
	}
	return names
}

// explain says what to do about an error.
func explain(err error, cfg config) string {
	var api *aiclient.APIError
	if !errors.As(err, &api) {
		return err.Error()
	}
	hint := "check the model with -model provider:model"
	switch api.Class {
	case aiclient.ClassNetwork, aiclient.ClassTruncated:
		hint = "check the network and, for an endpoint of your own, that it runs where -base-url says"
	case aiclient.ClassAuth:
		hint = "check the API key in the environment"
	case aiclient.ClassRateLimit, aiclient.ClassOverloaded:
		hint = "wait a while"
	}
	if cfg.BaseURL != "" {
		hint += " (-base-url " + cfg.BaseURL + ")"
	}
	return err.Error() + "\n" + hint
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
