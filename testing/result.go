package testing

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is how a resource or a test case ended.
type Status string

const (
	Passed   Status = "passed"
	Failed   Status = "failed"
	TimedOut Status = "timed out"
	Canceled Status = "canceled" // by the caller; says nothing about the code
	Errored  Status = "error"    // could not be run at all
	Skipped  Status = "skipped"  // deliberately not run
)

// Bad reports whether the status says that something is wrong with the code or
// its tests.
func (s Status) Bad() bool { return s == Failed || s == TimedOut || s == Errored }

// Case is one test within a resource.
type Case struct {
	Suite    string        `json:"suite,omitempty"` // package, class or file
	Name     string        `json:"name"`
	Status   Status        `json:"status"`
	Duration time.Duration `json:"duration,omitempty"`
	Output   string        `json:"output,omitempty"` // kept of failing cases
}

// ID is the name with its suite.
func (c Case) ID() string {
	if c.Suite == "" {
		return c.Name
	}
	if c.Name == "" {
		return c.Suite
	}
	return c.Suite + "." + c.Name
}

// Result is how one run of a resource ended.
type Result struct {
	Name       string        `json:"name"`
	Status     Status        `json:"status"`
	Command    string        `json:"command,omitempty"` // what ran, as a shell would take it
	Output     string        `json:"output,omitempty"`  // bounded; failing cases come first
	Dropped    int64         `json:"dropped,omitempty"` // bytes missing in Output
	ExitCode   int           `json:"exitCode,omitempty"`
	Signal     string        `json:"signal,omitempty"` // that ended the process
	Error      string        `json:"error,omitempty"`  // why it is not Passed or Failed
	Started    time.Time     `json:"started"`
	Duration   time.Duration `json:"duration"`
	Total      int           `json:"total,omitempty"`  // cases, where the resource tells them apart
	Failed     int           `json:"failed,omitempty"` // of these
	Failures   []Case        `json:"failures,omitempty"`
	Cases      []Case        `json:"-"`               // of many thousands the first and those that failed; not part of a checkpoint
	Suites     []Case        `json:"-"`               // packages, where the resource tells them apart; not part of a checkpoint
	Runs       int           `json:"runs,omitempty"`  // more than 1 after re-runs
	Flaky      bool          `json:"flaky,omitempty"` // failed, then passed on the same code
	Cached     bool          `json:"cached,omitempty"`
	Generation uint64        `json:"generation,omitempty"` // of the workspace when the run began; 0 unknown
}

// Summary is the result in one line.
func (r Result) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", r.Name, r.Status)
	if r.Total > 0 {
		fmt.Fprintf(&b, ", %d of %d cases failed", r.Failed, r.Total)
	}
	switch {
	case r.Signal != "":
		fmt.Fprintf(&b, ", ended by %s", r.Signal)
	case r.Status == Failed && r.ExitCode > 0:
		fmt.Fprintf(&b, ", exit code %d", r.ExitCode)
	}
	if r.Error != "" {
		fmt.Fprintf(&b, ", %s", r.Error)
	}
	fmt.Fprintf(&b, " (%s", r.Duration.Round(time.Millisecond))
	if r.Cached {
		b.WriteString(", known from before")
	}
	if r.Flaky {
		fmt.Fprintf(&b, ", flaky: passed in run %d", r.Runs)
	}
	b.WriteString(")")
	return b.String()
}

// Report is one run of some resources.
type Report struct {
	Started    time.Time     `json:"started"`
	Duration   time.Duration `json:"duration"`
	Generation uint64        `json:"generation,omitempty"` // of the workspace when the run began
	Results    []Result      `json:"results,omitempty"`    // in the order of registration
}

// Ran reports whether any resource ran.
func (r Report) Ran() bool {
	return slices.ContainsFunc(r.Results, func(res Result) bool { return res.Status != Skipped && res.Status != Canceled })
}

// Passed reports whether something ran and everything that ran passed. Whether
// everything ran is for [Service.Verdict] to say.
func (r Report) Passed() bool {
	for _, res := range r.Results {
		if res.Status != Passed && res.Status != Skipped {
			return false
		}
	}
	return r.Ran()
}

// Failed returns the results that are bad.
func (r Report) Failed() []Result {
	var bad []Result
	for _, res := range r.Results {
		if res.Status.Bad() {
			bad = append(bad, res)
		}
	}
	return bad
}

// String lists the results, with the output of those that failed.
func (r Report) String() string {
	if len(r.Results) == 0 {
		return "Nothing ran.\n"
	}
	var b strings.Builder
	for _, res := range r.Results {
		b.WriteString(res.Summary() + "\n")
	}
	for _, res := range r.Failed() {
		if res.Output != "" {
			fmt.Fprintf(&b, "\n--- output of %s ---\n%s\n", res.Name, strings.TrimRight(res.Output, "\n"))
		}
	}
	return b.String()
}

// Verdict says whether the workspace can be trusted, and why not.
type Verdict struct {
	Passed bool     `json:"passed"` // something ran, nothing failed, nothing is missing
	Failed []string `json:"failed,omitempty"`
	NotRun []string `json:"notRun,omitempty"` // selected, but without a result
	Stale  []string `json:"stale,omitempty"`  // ran before the workspace changed
}

func (v Verdict) String() string {
	if v.Passed {
		return "passed"
	}
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"failed", v.Failed}, {"not run", v.NotRun}, {"out of date", v.Stale}} {
		if len(p.names) > 0 {
			parts = append(parts, p.what+": "+strings.Join(p.names, ", "))
		}
	}
	if len(parts) == 0 {
		return "nothing ran"
	}
	return strings.Join(parts, "; ")
}
