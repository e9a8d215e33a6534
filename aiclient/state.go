package aiclient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
)

// state is all that a conversation remembers. Its slices are only ever appended
// to or replaced, so that a copy of the struct is a snapshot.
type state struct {
	messages  []Message
	open      []openCall // the calls of the last message that wait for results
	steer     []Message  // not yet part of the history
	grants    []grant
	usage     Usage
	cost      float64
	replies   int64
	context   int64 // tokens of the first contextAt messages, as the provider counted them
	contextAt int
}

// openCall is a call whose step is not complete.
type openCall struct {
	Started bool        `json:"started,omitempty"`
	Result  *ToolResult `json:"result,omitempty"`
	call    *ToolCall
}

// entry is one change of a state. Exactly one of its groups is set.
type entry struct {
	Message *Message `json:"message,omitempty"`
	Usage   *Usage   `json:"usage,omitempty"` // with a reply
	Cost    float64  `json:"cost,omitempty"`

	Steer *Message `json:"steer,omitempty"` // queue a steering message
	Take  int      `json:"take,omitempty"`  // make so many of them part of the history

	Start  string      `json:"start,omitempty"`  // the call that starts now
	Result *ToolResult `json:"result,omitempty"` // of an open call

	Grant *grant `json:"grant,omitempty"`
	Pop   bool   `json:"pop,omitempty"` // remove the last message
}

// newState returns the state of a history without totals.
func newState(messages []Message) state {
	s := state{messages: messages}
	s.openLast()
	return s
}

// openLast opens the calls of the last message.
func (s *state) openLast() {
	s.open = nil
	if len(s.messages) == 0 {
		return
	}
	if m := s.messages[len(s.messages)-1]; m.Role == RoleAssistant && !m.Interrupted {
		for _, call := range m.Calls() {
			s.open = append(s.open, openCall{call: call})
		}
	}
}

// apply makes the change that e stands for.
func (s *state) apply(e entry) error {
	switch {
	case e.Message != nil:
		switch {
		case len(s.open) > 0:
			return fmt.Errorf("message of %q while %d tool calls are open", e.Message.Role, len(s.open))
		case e.Message.Role != RoleUser && e.Message.Role != RoleAssistant:
			return fmt.Errorf("message of %q", e.Message.Role)
		case e.Message.Role == RoleAssistant && !spoken(s.messages):
			return fmt.Errorf("reply to no message")
		}
		s.messages = append(s.messages, *e.Message)
		if e.Message.Role == RoleAssistant {
			s.openLast()
			s.replies++
		}
		s.cost += e.Cost
		if e.Usage != nil {
			s.usage = s.usage.Add(*e.Usage)
			if total := e.Usage.Total(); total > 0 {
				s.context, s.contextAt = total, len(s.messages)
			}
		}
	case e.Steer != nil:
		if e.Steer.Role != RoleUser {
			return fmt.Errorf("steering message of %q", e.Steer.Role)
		}
		s.steer = append(slices.Clip(s.steer), *e.Steer)
	case e.Take > 0:
		if e.Take > len(s.steer) || len(s.open) > 0 {
			return fmt.Errorf("take of %d steering messages: %d wait", e.Take, len(s.steer))
		}
		s.messages = append(s.messages, s.steer[:e.Take]...)
		s.steer = s.steer[e.Take:]
	case e.Start != "":
		i := s.find(e.Start)
		if i < 0 {
			return fmt.Errorf("start of the unknown call %q", e.Start)
		}
		s.open[i].Started = true
	case e.Result != nil:
		i := s.find(e.Result.CallID)
		if i < 0 {
			return fmt.Errorf("result of the unknown call %q", e.Result.CallID)
		}
		s.open[i].Result = soundResult(e.Result)
		s.close()
	case e.Grant != nil:
		s.grants = append(slices.Clip(s.grants), *e.Grant)
	case e.Pop:
		if len(s.messages) == 0 {
			return fmt.Errorf("removal of the last message of an empty history")
		}
		// Clipped, so that the next message does not overwrite this one in
		// slices that requests still hold.
		s.messages = slices.Clip(s.messages[:len(s.messages)-1])
		s.open = nil
		s.contextAt = min(s.contextAt, len(s.messages))
	case e.Usage != nil: // of a summary
		s.usage = s.usage.Add(*e.Usage)
		s.cost += e.Cost
	}
	return nil
}

// find returns the index of the open call with that ID that has no result, or
// -1.
func (s *state) find(id string) int {
	return slices.IndexFunc(s.open, func(o openCall) bool { return o.call.ID == id && o.Result == nil })
}

// close turns the results into a message when all are there.
func (s *state) close() {
	for _, o := range s.open {
		if o.Result == nil {
			return
		}
	}
	parts := make([]Part, len(s.open))
	for i, o := range s.open {
		parts[i] = Part{Kind: KindToolResult, Result: o.Result}
	}
	s.messages = append(s.messages, Message{Role: RoleTool, Parts: parts})
	s.open = nil
}

func (s *state) interrupted() bool {
	return len(s.messages) > 0 && s.messages[len(s.messages)-1].Interrupted
}

func (s *state) pending() bool {
	if len(s.open) > 0 || len(s.steer) > 0 {
		return true
	}
	if len(s.messages) == 0 {
		return false
	}
	last := s.messages[len(s.messages)-1]
	return last.Role != RoleAssistant || last.Interrupted
}

// append makes entries part of the state and of the log. c.mu must be held.
func (c *Conversation) append(entries ...entry) {
	for _, e := range entries {
		if err := c.state.apply(e); err != nil {
			// Unreachable as long as one run writes at a time; losing an entry
			// silently would be worse than saying so.
			c.logger.Error("conversation entry does not fit", "error", err)
			continue
		}
		c.log = append(c.log, e)
	}
	c.gen++
}

// origin names a point in a log.
type origin struct {
	Epoch uint32 `json:"epoch"`
	Seq   int    `json:"seq"`
}

// newEpoch returns a number that has not been used as an epoch; 0 never is one.
func newEpoch(old uint32) uint32 {
	for {
		if e := rand.Uint32(); e != 0 && e != old {
			return e
		}
	}
}

// rewrite replaces the state by one that does not follow from the log. c.mu
// must be held.
func (c *Conversation) rewrite(s state) {
	c.state = s
	c.log = nil
	c.epoch = newEpoch(c.epoch)
	c.follows = nil
	c.gen++
}

// restored notes which saved state the present one is, so that steps of the new
// log can be tied to it. c.mu must be held.
func (c *Conversation) restored(from origin) {
	c.loaded = from
	c.follows = &from
}

const stateVersion = 1

// savedState is the JSON form of a conversation.
type savedState struct {
	Version   int        `json:"version"`
	Epoch     uint32     `json:"epoch"`
	Seq       int        `json:"seq"`
	Messages  []Message  `json:"messages"`
	Open      []openCall `json:"open,omitempty"`
	Steer     []Message  `json:"steer,omitempty"`
	Grants    []grant    `json:"grants,omitempty"`
	Usage     Usage      `json:"usage"`
	Cost      float64    `json:"cost,omitempty"`
	Replies   int64      `json:"replies,omitempty"`
	Context   int64      `json:"context,omitempty"`
	ContextAt int        `json:"contextAt,omitempty"`
}

// savedDelta is the JSON form of what was appended to a log.
type savedDelta struct {
	Version int     `json:"version"`
	Epoch   uint32  `json:"epoch"`
	From    int     `json:"from"`
	Entries []entry `json:"entries"`

	// Follows is set at the beginning of a log that began with a restored
	// state: what was appended to it in this life follows that saved state.
	Follows *origin `json:"follows,omitempty"`
}

// MarshalJSON encodes the whole state. It may be called while a turn runs.
func (c *Conversation) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	s := c.state
	s.open = slices.Clone(s.open)
	saved := savedState{Version: stateVersion, Epoch: c.epoch, Seq: len(c.log)}
	c.mu.Unlock()
	saved.Messages, saved.Open, saved.Steer, saved.Grants = s.messages, s.open, s.steer, s.grants
	saved.Usage, saved.Cost, saved.Replies = s.usage, s.cost, s.replies
	saved.Context, saved.ContextAt = s.context, s.contextAt
	if saved.Messages == nil {
		saved.Messages = []Message{}
	}
	return encode(saved)
}

// UnmarshalJSON replaces the state by one that MarshalJSON encoded. On an error
// the conversation keeps its state. A turn that is running ends with
// [ErrReset].
func (c *Conversation) UnmarshalJSON(data []byte) error {
	var saved savedState
	if err := json.Unmarshal(data, &saved); err != nil {
		return fmt.Errorf("restoring the conversation: %w", err)
	}
	if saved.Version != stateVersion {
		return fmt.Errorf("restoring the conversation: version %d of its format is not known", saved.Version)
	}
	s := newState(RepairHistory(saved.Messages))
	for i := range s.open {
		// Without a record of it a call must be taken to have started.
		s.open[i].Started = true
		if i < len(saved.Open) {
			s.open[i].Started, s.open[i].Result = saved.Open[i].Started, soundResult(saved.Open[i].Result)
			if r := saved.Open[i].Result; r != nil && r.CallID != s.open[i].call.ID {
				return fmt.Errorf("restoring the conversation: result of call %q in the place of call %q", r.CallID, s.open[i].call.ID)
			}
		}
	}
	if len(s.open) > 0 {
		s.close()
	}
	for _, m := range saved.Steer {
		if m.Role != RoleUser {
			return fmt.Errorf("restoring the conversation: steering message of %q", m.Role)
		}
		s.steer = append(s.steer, soundParts(m))
	}
	s.grants, s.usage, s.cost = saved.Grants, saved.Usage, saved.Cost
	s.replies, s.context = saved.Replies, max(saved.Context, 0)
	s.contextAt = max(0, min(saved.ContextAt, len(s.messages)))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rewrite(s)
	c.restored(origin{saved.Epoch, saved.Seq})
	c.loads++
	c.refused = nil
	return nil
}

// Generation returns a number that changes whenever the state does.
func (c *Conversation) Generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

// Delta returns what was appended to the state after mark, for
// [Conversation.ApplyDelta], and the mark to give next time. When ok is false
// the mark is not known or the state was rewritten since, for example by a
// compaction: then the whole state must be saved, before or after which next is
// a valid mark, because applying what a state already holds changes nothing.
// The mark 0 is never known. A delta is nil when nothing changed.
func (c *Conversation) Delta(mark uint64) (delta []byte, next uint64, ok bool) {
	c.mu.Lock()
	epoch, log, follows := c.epoch, c.log[:len(c.log):len(c.log)], c.follows
	c.mu.Unlock()
	next = uint64(epoch)<<32 | uint64(len(log))
	from := int(uint32(mark))
	if uint32(mark>>32) != epoch || from > len(log) {
		return nil, next, false
	}
	if from == len(log) {
		return nil, next, true
	}
	saved := savedDelta{Version: stateVersion, Epoch: epoch, From: from, Entries: log[from:]}
	if from == 0 {
		saved.Follows = follows
	}
	delta, err := encode(saved)
	if err != nil {
		c.logger.Error("conversation delta cannot be encoded", "error", err)
		return nil, next, false
	}
	return delta, next, true
}

// ApplyDelta adds to a restored state what [Conversation.Delta] returned. On an
// error the conversation keeps its state.
func (c *Conversation) ApplyDelta(delta []byte) error {
	var saved savedDelta
	if err := json.Unmarshal(delta, &saved); err != nil {
		return fmt.Errorf("restoring a step of the conversation: %w", err)
	}
	if saved.Version != stateVersion {
		return fmt.Errorf("restoring a step of the conversation: version %d of its format is not known", saved.Version)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	loaded := c.loaded
	if saved.Epoch != loaded.Epoch && saved.From == 0 && saved.Follows != nil && *saved.Follows == loaded {
		loaded = origin{Epoch: saved.Epoch} // the first step of the next life
	}
	if saved.Epoch == 0 || saved.Epoch != loaded.Epoch || saved.From > loaded.Seq || saved.From < 0 {
		return fmt.Errorf("restoring a step of the conversation: step %d:%d does not follow the state %d:%d",
			saved.Epoch, saved.From, c.loaded.Epoch, c.loaded.Seq)
	}
	skip := loaded.Seq - saved.From
	if skip >= len(saved.Entries) {
		return nil
	}
	s := c.state
	s.messages, s.open = slices.Clone(s.messages), slices.Clone(s.open)
	for _, e := range saved.Entries[skip:] {
		for _, m := range []*Message{e.Message, e.Steer} {
			if m != nil {
				*m = uniqueCalls(soundParts(*m), len(s.messages))
			}
		}
		if err := s.apply(e); err != nil {
			return fmt.Errorf("restoring a step of the conversation: %w", err)
		}
	}
	c.rewrite(s)
	c.restored(origin{saved.Epoch, saved.From + len(saved.Entries)})
	c.loads++
	return nil
}

// Reset forgets the history and the totals for the scopes "chat", "history" and
// "all", and what a person allowed for good for "settings" and "all". A turn
// that is running ends with [ErrReset].
func (c *Conversation) Reset(scope string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.state
	switch scope {
	case "chat", "history":
		s = state{grants: s.grants}
	case "settings":
		s.grants = nil
		c.rewrite(s)
		return
	case "all":
		s = state{}
	default:
		return
	}
	c.rewrite(s)
	c.loads++
	c.refused = nil
}

// encode is json.Marshal without the escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
