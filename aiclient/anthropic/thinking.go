package anthropic

import (
	"strconv"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// generation says how the models of a version think; see the migration guides and
// the page on adaptive thinking at platform.claude.com/docs.
type generation struct {
	adaptive     bool // as much as the model finds right, guided by an effort; since 4.6
	onlyAdaptive bool // takes neither budgets nor temperature, top-p and top-k; since 4.7
	byDefault    bool // unless the request says not to; since 5
	always       bool // whatever the request says
}

func generationOf(model string) generation {
	v := versionOf(model)
	mythos := strings.Contains(model, "claude-fable") || strings.Contains(model, "claude-mythos")
	return generation{
		adaptive: v >= 406 || mythos, onlyAdaptive: v >= 407 || mythos,
		byDefault: v >= 500 || mythos, always: v > 500 || mythos,
	}
}

// versionOf returns the version in the name of a Claude model, 407 for 4.7, and 0
// for any other name: services that speak Anthropic's API have models of their own.
func versionOf(model string) int {
	_, name, _ := strings.Cut(model, "claude-")
	var numbers []int
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return strings.ContainsRune("-.@:", r) }) {
		n, err := strconv.Atoi(part)
		if err == nil && len(part) <= 2 { // a date is longer
			numbers = append(numbers, n)
		} else if len(numbers) > 0 {
			break
		}
	}
	switch len(numbers) {
	case 0:
		return 0
	case 1:
		return 100 * numbers[0]
	}
	return 100*numbers[0] + numbers[1]
}

// adaptive lets the model decide how much it thinks, guided by an effort.
func (e *encoder) adaptive(g generation) {
	r, model := e.req.Reasoning, e.chat.model
	asked := r.Budget > 0 || r.Effort != "" && r.Effort != "none"
	switch {
	case asked:
		e.out.Thinking, e.thinks = map[string]any{"type": "adaptive"}, true
		if g.onlyAdaptive { // they show nothing unless they are asked to
			e.out.Thinking["display"] = "summarized"
			if r.Hidden {
				e.out.Thinking["display"] = "omitted"
			}
		}
	case g.always:
		e.thinks = true
		if r.Effort == "none" {
			e.warn("%s always thinks", model)
		}
	case g.byDefault && (r.Effort == "none" || e.forces()):
		e.out.Thinking = map[string]any{"type": "disabled"}
	case g.byDefault:
		e.thinks = true
	}
	effort := r.Effort
	switch {
	case !asked:
		effort = ""
	case effort == "":
		e.warn("%s takes a reasoning effort, not a budget in tokens", model)
	case effort == "minimal":
		effort = "low"
	case effort == "xhigh" && !g.onlyAdaptive:
		effort = "high"
	case budgets[effort] == 0:
		effort = "medium"
		e.warn("unknown reasoning effort %q: thinking with that of %q", r.Effort, effort)
	}
	if effort != "" {
		e.out.OutputConfig = map[string]any{"effort": effort}
	}
	switch {
	case g.onlyAdaptive && (e.out.Temperature != nil || e.out.TopP != nil || e.out.TopK != nil):
		e.out.Temperature, e.out.TopP, e.out.TopK = nil, nil, nil
		e.warn("%s takes neither temperature, top-p nor top-k: they are left out", model)
	case e.thinks:
		e.withoutSampling()
	}
	if e.out.MaxTokens > 0 {
		return
	}
	e.out.MaxTokens = e.chat.provider.defaultMaxTokens(model)
	if e.thinks { // the bound is on both
		if effort == "" {
			effort = "high" // the API's default
		}
		e.out.MaxTokens += budgets[effort]
	}
}

// forces reports whether a call is forced, which does not go with thinking: the
// tool choice does, and a document that is asked for by a tool.
func (e *encoder) forces() bool {
	choice := e.req.ToolChoice
	if len(e.req.Tools) == 0 && e.req.WebSearch == nil {
		return e.req.Output != nil
	}
	return choice != aiclient.ToolAuto && choice != aiclient.ToolNone
}

// withoutSampling leaves out what does not go with thinking.
func (e *encoder) withoutSampling() {
	if e.out.Temperature != nil || e.out.TopK != nil {
		e.out.Temperature, e.out.TopK = nil, nil
		e.warn("thinking does not go with temperature or top-k: they are left out")
	}
}

// budgets are the tokens of thinking that an effort stands for.
var budgets = map[string]int64{
	"minimal": 1024, "low": 4096, "medium": 10240, "high": 24576, "xhigh": 32768, "max": 32768,
}

// minBudget is the smallest budget that the API takes.
const minBudget = 1024

func (e *encoder) thinking() {
	if g := generationOf(e.chat.model); g.onlyAdaptive || g.adaptive && e.req.Reasoning.Budget == 0 {
		e.adaptive(g)
	} else {
		e.budgeted()
	}
}

// budgeted sets a budget of tokens for thinking, for the models before Claude 4.6.
func (e *encoder) budgeted() {
	r, reply := e.req.Reasoning, e.chat.provider.defaultMaxTokens(e.chat.model)
	budget := r.Budget
	if budget == 0 && r.Effort != "" && r.Effort != "none" {
		if budget = budgets[r.Effort]; budget == 0 {
			budget = budgets["medium"]
			e.warn("unknown reasoning effort %q: thinking with %d tokens", r.Effort, budget)
		}
	}
	if budget <= 0 {
		if e.out.MaxTokens == 0 {
			e.out.MaxTokens = reply
		}
		return
	}
	budget = max(budget, minBudget)
	switch {
	case e.out.MaxTokens == 0:
		e.out.MaxTokens = budget + reply
	case e.out.MaxTokens <= minBudget:
		e.warn("no thinking: it needs more than %d tokens and the reply is bounded to %d", minBudget, e.out.MaxTokens)
		return
	case budget >= e.out.MaxTokens:
		budget = max(minBudget, e.out.MaxTokens/2)
	}
	e.out.Thinking, e.thinks = map[string]any{"type": "enabled", "budget_tokens": budget}, true
	e.withoutSampling()
}

// unthought switches thinking off for a request that goes on with calls of a
// reply without any, such as another model's: with a budget the API wants the
// thinking of the turn that is under way, or none at all.
func (e *encoder) unthought() {
	n := len(e.out.Messages)
	if e.out.Thinking["type"] != "enabled" || n < 2 || e.out.Messages[n-1].Role != "user" {
		return
	}
	called, results := e.out.Messages[n-2].Content, e.out.Messages[n-1].Content
	if results[0].Type == "tool_result" && !called[0].thinks() {
		e.out.Thinking = nil
		e.warn("no thinking: the reply that is under way began without")
	}
}
