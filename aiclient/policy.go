package aiclient

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Verdict is what a [Policy] says about a call.
type Verdict string

// The verdicts, from the mildest to the strictest.
const (
	Allow Verdict = "allow"
	Ask   Verdict = "ask"
	Deny  Verdict = "deny"
)

// Policy decides on tool calls by what they would do. The first rule that
// matches an effect decides on it, and the strictest verdict over all effects
// of a call decides on the call. On a call without effects, such as that of a
// read-only tool that names none, the first rule for its tool that has neither
// Kind nor Target decides; without one it is allowed. The zero Policy allows
// reading, and asks about everything else if there is somebody to ask.
type Policy struct {
	Rules []Rule

	// Default is for effects that no rule matches. Empty means: [Allow] for
	// [tool.Read], and for anything else [Ask], or [Allow] when the
	// conversation has no Approve.
	Default Verdict
}

// Rule is one rule of a [Policy].
type Rule struct {
	// Tool is a pattern for the tool's name, Kind the effect's kind and Target
	// a pattern for its target. Empty matches anything. In patterns '*' stands
	// for any text, slashes and spaces included, and '?' for one character.
	Tool   string          `json:"tool,omitempty"`
	Kind   tool.EffectKind `json:"kind,omitempty"`
	Target string          `json:"target,omitempty"`

	Verdict Verdict `json:"verdict"`
}

// Approval is a question to a person about one tool call.
type Approval struct {
	Call        ToolCall
	Annotations tool.Annotations
	Effects     []tool.Effect

	// Preview shows what the call would do, such as a diff. Empty when the
	// arguments speak for themselves.
	Preview string

	// Interrupted says that this call had started before a crash and that its
	// effect is unknown: to allow it is to run it again.
	Interrupted bool
}

// Decision is a person's answer to an [Approval]. It counts for that call only,
// unless Remember is set.
type Decision struct {
	Allow bool

	// Reason tells the model why a call was denied.
	Reason string

	// Remember allows the same effects of the same tool from now on, without
	// asking: of a tool that does not declare its effects, every call. Grants
	// are part of the conversation's saved state.
	Remember bool
}

// decide returns the verdict on a call with the given effects. Grants answer
// questions but never lift a denial.
func (p Policy) decide(name string, effects []tool.Effect, grants []grant, canAsk bool) Verdict {
	verdict := Allow
	if len(effects) == 0 { // only a rule about no kind and target can speak of it
		for _, r := range p.Rules {
			if r.Kind == "" && r.Target == "" && (r.Tool == "" || wildcard(r.Tool, name)) {
				verdict = r.Verdict
				break
			}
		}
		if verdict == Ask && slices.Contains(grants, grant{Tool: name}) {
			verdict = Allow
		}
	}
	for _, e := range effects {
		v := p.effect(name, e, canAsk)
		if v == Ask && slices.Contains(grants, grant{Tool: name, Kind: e.Kind, Target: e.Target}) {
			v = Allow
		}
		if rank(v) > rank(verdict) {
			verdict = v
		}
	}
	return verdict
}

func (p Policy) effect(name string, e tool.Effect, canAsk bool) Verdict {
	for _, r := range p.Rules {
		if (r.Kind == "" || r.Kind == e.Kind) &&
			(r.Tool == "" || wildcard(r.Tool, name)) &&
			(r.Target == "" || wildcard(r.Target, e.Target)) {
			return r.Verdict
		}
	}
	switch {
	case p.Default != "":
		return p.Default
	case e.Kind == tool.Read || !canAsk:
		return Allow
	default:
		return Ask
	}
}

// rank orders verdicts; one that is not known counts as a denial.
func rank(v Verdict) int {
	switch v {
	case Allow:
		return 0
	case Ask:
		return 1
	default:
		return 2
	}
}

// grant is an effect that a person allowed for good.
type grant struct {
	Tool   string          `json:"tool"`
	Kind   tool.EffectKind `json:"kind"`
	Target string          `json:"target,omitempty"`
}

// wildcard reports whether s matches pattern.
func wildcard(pattern, s string) bool {
	// The usual greedy match with one point of return: linear in practice and
	// at worst len(pattern)*len(s).
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// effectsOf returns what a call would do. A tool whose Effects panics is
// treated as one that may do anything.
func effectsOf(t *tool.Tool, args json.RawMessage) (effects []tool.Effect) {
	defer func() {
		if recover() != nil {
			effects = []tool.Effect{{Kind: tool.Unknown}}
		}
	}()
	return t.EffectsOf(args)
}

func denied(reason string) string {
	if reason == "" {
		return "The call was denied. Do not repeat it; do something else or ask the person."
	}
	return fmt.Sprintf("The call was denied: %s", reason)
}
