package aiclient

import (
	"fmt"
	"slices"
)

// RepairHistory returns messages in a form that every provider accepts: calls
// without a result get one that says so, except for the calls of the last
// message, which may still be answered; results without a call and messages
// without a known role are dropped; calls that share an ID within a message, or
// have none, get IDs of their own; a history in which the model speaks first
// gets a message of the user before that. It returns messages itself when
// nothing is wrong with it.
func RepairHistory(messages []Message) []Message {
	if i := slices.IndexFunc(messages, func(m Message) bool { return m.Role == RoleAssistant }); i >= 0 && !spoken(messages[:i]) {
		messages = slices.Insert(slices.Clone(messages), i, User("(The assistant begins.)"))
	}
	out := messages
	changed := false
	for i := 0; i < len(messages); i++ {
		m := messages[i]
		var next *Message
		if i+1 < len(messages) {
			next = &messages[i+1]
		}
		fixed, keep := m, true
		var results *Message
		switch m.Role {
		case RoleAssistant:
			fixed = uniqueCalls(soundParts(m), i)
			calls := fixed.Calls()
			switch {
			case len(calls) == 0:
			case m.Interrupted && (next == nil || next.Role != RoleTool):
				fixed.Parts = slices.DeleteFunc(slices.Clone(fixed.Parts), func(p Part) bool { return p.Kind == KindToolCall })
			case next != nil:
				if answer, same := answerTo(calls, soundResults(*next)); !same {
					results = &answer
				}
			}
		case RoleTool:
			// A tool message is right only behind the calls that it answers.
			keep = i > 0 && messages[i-1].Role == RoleAssistant && len(messages[i-1].Calls()) > 0
			fixed = soundResults(m)
		case RoleSystem, RoleUser:
			fixed = soundParts(m)
		default:
			keep = false
		}
		if !changed && (!keep || results != nil || !sameParts(fixed, m)) {
			changed = true
			out = slices.Clone(messages[:i])
		}
		if !changed {
			continue
		}
		if keep {
			out = append(out, fixed)
		}
		if results != nil {
			out = append(out, *results)
			if next.Role == RoleTool {
				i++ // replaced by results
			}
		}
	}
	return out
}

// soundParts drops parts that lack what their kind says they hold or that have
// no place in a message of that role.
func soundParts(m Message) Message {
	bad := func(p Part) bool {
		switch p.Kind {
		case KindText, KindReasoning:
			return false
		case KindFile:
			return p.File == nil || p.File.check() != nil
		case KindToolCall:
			return p.Call == nil || m.Role != RoleAssistant
		case KindSource:
			return p.Source == nil
		case KindOpaque:
			return p.Provider == nil
		}
		return true
	}
	if slices.ContainsFunc(m.Parts, bad) {
		m.Parts = slices.DeleteFunc(slices.Clone(m.Parts), bad)
	}
	return m
}

// soundResults drops files that nobody can take from the results of m.
func soundResults(m Message) Message {
	cloned := false
	for i, p := range m.Parts {
		fixed := soundResult(p.Result)
		if fixed == p.Result {
			continue
		}
		if !cloned {
			m.Parts, cloned = slices.Clone(m.Parts), true
		}
		m.Parts[i].Result = fixed
	}
	return m
}

func soundResult(r *ToolResult) *ToolResult {
	bad := func(f File) bool { return f.check() != nil }
	if r == nil || !slices.ContainsFunc(r.Files, bad) {
		return r
	}
	fixed := *r
	fixed.Files = slices.DeleteFunc(slices.Clone(r.Files), bad)
	return &fixed
}

// spoken reports whether the user has said anything.
func spoken(messages []Message) bool {
	return slices.ContainsFunc(messages, func(m Message) bool { return m.Role == RoleUser })
}

func sameParts(a, b Message) bool {
	return len(a.Parts) == len(b.Parts) && (len(a.Parts) == 0 || &a.Parts[0] == &b.Parts[0])
}

// answerTo returns the tool message that answers calls in order, from what next
// has, and whether next is already that message.
func answerTo(calls []*ToolCall, next Message) (Message, bool) {
	same := next.Role == RoleTool && len(next.Parts) == len(calls)
	parts := make([]Part, len(calls))
	for i, call := range calls {
		if same && next.Parts[i].Kind == KindToolResult && next.Parts[i].Result != nil && next.Parts[i].Result.CallID == call.ID {
			parts[i] = next.Parts[i]
			continue
		}
		same = false
		parts[i] = ToolResultPart(ToolResult{CallID: call.ID, Name: call.Name, IsError: true, Text: "The result of this call was lost; its effect is unknown."})
		if next.Role != RoleTool {
			continue
		}
		for _, p := range next.Parts {
			if p.Kind == KindToolResult && p.Result != nil && p.Result.CallID == call.ID {
				parts[i] = p
			}
		}
	}
	return Message{Role: RoleTool, Parts: parts}, same
}

// uniqueCalls gives the calls of message number i IDs that differ.
func uniqueCalls(m Message, i int) Message {
	cloned := false
	var seen []string
	for j := range m.Parts {
		p := &m.Parts[j]
		if p.Kind != KindToolCall || p.Call == nil {
			continue
		}
		id := p.Call.ID
		for n := 0; id == "" || slices.Contains(seen, id); n++ {
			id = fmt.Sprintf("call_%d_%d", i, j+n)
		}
		seen = append(seen, id)
		if id != p.Call.ID {
			if !cloned {
				m.Parts, cloned = slices.Clone(m.Parts), true
				p = &m.Parts[j]
			}
			call := *p.Call
			call.ID = id
			m.Parts[j].Call = &call
		}
	}
	return m
}
