package testing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tools returns what a model may do with the tests: test_run runs them,
// test_results shows what is known.
func (s *Service) Tools() []tool.Tool {
	return []tool.Tool{
		tool.New("test_run", "Runs the project's tests and shows what failed, with output. Without names all tests run.", s.toolRun, tool.Options{
			Effects: s.effects,
			Logger:  s.opts.Logger,
			// Tests write caches and build output, and repeating them is harmless.
			Annotations: tool.Annotations{Idempotent: true},
		}),
		tool.New("test_results", "Lists the tests of the project and how each ended when it last ran; with a name, its whole output.", s.toolResults, tool.Options{
			Annotations: tool.Annotations{ReadOnly: true, Idempotent: true}, Logger: s.opts.Logger,
		}),
	}
}

type runArgs struct {
	Names      []string `json:"names,omitempty" jsonschema:"tests to run, as test_results lists them; * matches any"`
	FailedOnly bool     `json:"failed_only,omitempty" jsonschema:"run only those that failed last"`
}

func (s *Service) toolRun(ctx context.Context, in runArgs) (string, error) {
	report, err := s.RunWith(ctx, RunOptions{Names: in.Names, FailedOnly: in.FailedOnly})
	if err != nil {
		return "", err
	}
	if len(report.Results) == 0 && in.FailedOnly {
		return "Nothing failed last time.", nil
	}
	if len(report.Results) == 0 {
		return "No tests are registered or selected.", nil
	}
	return report.String(), nil
}

// effects names the command lines that a call would run.
func (s *Service) effects(args json.RawMessage) []tool.Effect {
	var in runArgs
	if len(args) > 0 && json.Unmarshal(args, &in) != nil {
		return []tool.Effect{{Kind: tool.Unknown}}
	}
	chosen, err := s.choose(RunOptions{Names: in.Names})
	if err != nil {
		return nil // the call will fail
	}
	var effects []tool.Effect
	for _, c := range chosen {
		target := traitsOf(c.resource).Command
		if target == "" {
			target = "test " + c.name
		}
		effects = append(effects, tool.Effect{Kind: tool.Exec, Target: target})
	}
	return effects
}

type resultsArgs struct {
	Name string `json:"name,omitempty" jsonschema:"show the whole output of this test"`
}

func (s *Service) toolResults(_ context.Context, in resultsArgs) (string, error) {
	if in.Name == "" {
		return s.list(), nil
	}
	if _, err := s.resources.Require(in.Name); err != nil {
		return "", fmt.Errorf("testing: results: %w", err)
	}
	r, ok := s.Result(in.Name)
	if !ok {
		return in.Name + " has not run yet.", nil
	}
	return r.Summary() + "\n" + r.Output, nil
}

// list shows every resource with its latest result.
func (s *Service) list() string {
	var b strings.Builder
	for name, r := range s.resources.All() {
		mark := ""
		if !s.selection.IsActive(name) {
			mark = " [not selected]"
		}
		if res, ok := s.Result(name); ok {
			b.WriteString(res.Summary() + mark + "\n")
		} else {
			b.WriteString(name + ": not run yet" + mark + "\n")
		}
		if cmd := traitsOf(r).Command; cmd != "" {
			b.WriteString("  " + cmd + "\n")
		}
	}
	if b.Len() == 0 {
		return "No tests are registered."
	}
	fmt.Fprintf(&b, "Verdict: %s\n", s.Verdict())
	return b.String()
}

// Help describes the /test command.
func (s *Service) Help() string {
	return `/test                  run all selected tests
/test run [name…]      run some; * matches any
/test failed           run what failed last
/test list             list the tests and their latest results
/test show <name>      show the whole output of the latest run
/test history          list the last runs
/test enable|disable <name…>   select what runs by default`
}

// Command runs the /test command.
func (s *Service) Command(ctx context.Context, args string) (string, error) {
	words := strings.Fields(args)
	verb := "run"
	if len(words) > 0 {
		verb, words = words[0], words[1:]
	}
	switch verb {
	case "run", "all":
		return s.toolRun(ctx, runArgs{Names: words})
	case "failed":
		return s.toolRun(ctx, runArgs{Names: words, FailedOnly: true})
	case "list", "status":
		return s.list(), nil
	case "show":
		if len(words) != 1 {
			return "", fmt.Errorf("testing: show needs the name of one test; /test list shows them")
		}
		return s.toolResults(ctx, resultsArgs{Name: words[0]})
	case "history":
		return s.historyText(), nil
	case "enable":
		return s.selectText(s.selection.Enable(words...))
	case "disable":
		return s.selectText(s.selection.Disable(words...))
	case "help":
		return s.Help(), nil
	default:
		return "", fmt.Errorf("testing: unknown command %q; these exist:\n%s", verb, s.Help())
	}
}

func (s *Service) selectText(err error) (string, error) {
	if err != nil {
		return "", fmt.Errorf("testing: %w", err)
	}
	return "Selected: " + strings.Join(s.selection.ActiveNames(), ", "), nil
}

func (s *Service) historyText() string {
	var b strings.Builder
	for _, report := range s.History() {
		b.WriteString(report.Started.UTC().Format("2006-01-02 15:04:05"))
		for _, r := range report.Results {
			b.WriteString("  " + r.Summary())
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "Nothing has run yet."
	}
	return b.String()
}

// Help describes the /repair command.
func (a *AutoRepair) Help() string {
	return `/repair                show attempts, and what was given up
/repair now            look at the latest results and enqueue repairs
/repair retry [name…]  forget the attempts, so that repairs go on
/repair on|off         turn automatic repairs on or off`
}

// Command runs the /repair command.
func (a *AutoRepair) Command(ctx context.Context, args string) (string, error) {
	words := strings.Fields(args)
	verb := "status"
	if len(words) > 0 {
		verb, words = words[0], words[1:]
	}
	switch verb {
	case "status":
	case "now":
		if err := a.AfterTesting(ctx); err != nil {
			return "", err
		}
	case "retry":
		if len(words) == 0 {
			a.Retry("")
		}
		for _, name := range words {
			a.Retry(name)
		}
	case "on", "off":
		a.SetDisabled(verb == "off")
	case "help":
		return a.Help(), nil
	default:
		return "", fmt.Errorf("testing: unknown command %q; these exist:\n%s", verb, a.Help())
	}
	return a.text(), nil
}

func (a *AutoRepair) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for name, s := range a.st.Streaks {
		line := fmt.Sprintf("%s: %d repairs since it last passed", name, len(s.Seen))
		if s.GaveUp != "" {
			line += ", given up: " + s.GaveUp
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		lines = append(lines, "Nothing is being repaired.")
	}
	if a.st.Disabled {
		lines = append(lines, "Automatic repairs are off.")
	}
	return strings.Join(lines, "\n") + "\n"
}
