package testing

import (
	"fmt"
	"strings"
	"time"
)

// Repair asks for a failing resource to be made to pass. It is what AutoRepair
// puts into a queue, as JSON.
type Repair struct {
	Resource    string    `json:"resource"`
	Command     string    `json:"command,omitempty"`
	Status      Status    `json:"status"`
	Fingerprint string    `json:"fingerprint"`
	Attempt     int       `json:"attempt"` // from 1
	MaxAttempts int       `json:"maxAttempts"`
	Checkpoint  string    `json:"checkpoint,omitempty"` // of the agent, before the repair
	Failing     []string  `json:"failing,omitempty"`    // cases, where the resource tells them apart
	Output      string    `json:"output"`
	Error       string    `json:"error,omitempty"`
	Diff        string    `json:"diff,omitempty"` // what has changed so far
	Time        time.Time `json:"time"`
}

// Bounds of what a repair carries, in bytes: together about 10,000 tokens.
const (
	repairOutput = 24 << 10
	repairDiff   = 16 << 10
)

// Prompt is the request as a model reads it.
func (r Repair) Prompt() string {
	var b strings.Builder
	fmt.Fprintf(&b, "The tests %q %s", r.Resource, r.outcome())
	if r.Command != "" {
		fmt.Fprintf(&b, " (command: %s)", r.Command)
	}
	fmt.Fprintf(&b, ". This is repair attempt %d of %d.\n", r.Attempt, r.MaxAttempts)
	if r.Attempt > 1 {
		b.WriteString("Earlier attempts did not make them pass: look for a different cause before you change the same place again.\n")
	}
	b.WriteString("Find the cause and fix the code. Change a test only when the test itself is wrong.\n")
	if len(r.Failing) > 0 {
		b.WriteString("\nFailing tests:\n")
		for i, name := range r.Failing {
			if i == 50 {
				fmt.Fprintf(&b, "- and %d more\n", len(r.Failing)-i)
				break
			}
			b.WriteString("- " + name + "\n")
		}
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "\n%s\n", r.Error)
	}
	if strings.TrimSpace(r.Output) != "" {
		fence(&b, "Output", "", r.Output)
	} else {
		b.WriteString("\nThere was no output.\n")
	}
	if strings.TrimSpace(r.Diff) != "" {
		fence(&b, "Changes so far", "diff", r.Diff)
	}
	return b.String()
}

func (r Repair) outcome() string {
	switch r.Status {
	case TimedOut:
		return "did not end in time"
	default:
		return "failed"
	}
}

// fence quotes text with more backticks than it holds.
func fence(b *strings.Builder, title, language, body string) {
	marks := "```"
	for strings.Contains(body, marks) {
		marks += "`"
	}
	fmt.Fprintf(b, "\n%s:\n%s%s\n%s\n%s\n", title, marks, language, strings.TrimRight(body, "\n"), marks)
}
