package main

import (
	"encoding/json"

	"github.com/tokenring-ai/tokenring-go/agent"
)

// The names of this program's own events and what they carry. With -json they
// are lines like all others.
const (
	eventSetup  = "coder.setup"
	eventTests  = "coder.tests"
	eventRepair = "coder.repair"
	eventCommit = "coder.commit"
	eventResult = "coder.result"
)

// setupReport says what the run works with.
type setupReport struct {
	Repository string `json:"repository"`
	Model      string `json:"model"`
	Scripted   bool   `json:"scripted,omitempty"`
	Tests      string `json:"tests"`
	Agent      string `json:"agent"`
	Resumed    bool   `json:"resumed,omitempty"`
	Inspector  string `json:"inspector,omitempty"` // address of the page
}

// testsReport is one run of the tests. State is "running", "passed", "failed"
// or "not run".
type testsReport struct {
	State   string  `json:"state"`
	Command string  `json:"command"`
	Seconds float64 `json:"seconds,omitempty"`
	Output  string  `json:"output,omitempty"`
}

// repairReport is a repair that was queued, or the reason for giving up.
type repairReport struct {
	Attempt    int    `json:"attempt"`
	Of         int    `json:"of"`
	Checkpoint string `json:"checkpoint,omitempty"`
	GaveUp     string `json:"gaveUp,omitempty"`
}

// commitReport is a commit that was made, and what was deliberately left out
// of it.
type commitReport struct {
	Hash    string   `json:"hash,omitempty"`
	Message string   `json:"message,omitempty"`
	Stat    string   `json:"stat,omitempty"`
	LeftOut []string `json:"leftOut,omitempty"`
}

// resultReport ends a run.
type resultReport struct {
	Exit       int     `json:"exit"`
	Summary    string  `json:"summary"`
	Repairs    int     `json:"repairs"`
	Input      int64   `json:"inputTokens"`
	Output     int64   `json:"outputTokens"`
	Cost       float64 `json:"costUSD"`
	Checkpoint string  `json:"checkpoint,omitempty"`
	Agent      string  `json:"agent"`
}

// emit reports what happened as an event of the agent.
func emit(a *agent.Agent, name string, report any) {
	data, err := json.Marshal(report)
	if err != nil {
		data, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	a.Emit(agent.Custom{Name: name, Data: data})
}
