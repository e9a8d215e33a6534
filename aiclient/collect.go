package aiclient

import (
	"iter"
	"strings"
	"time"
)

// Collect reads a stream to its end and returns the reply. When the stream
// fails, the response holds what had arrived and the error says why; a stream
// that ends without a KindFinish part is an [*APIError] of class
// [ClassTruncated].
func Collect(stream iter.Seq2[Part, error]) (*Response, error) {
	c := Collector{}
	c.Start()
	for part, err := range stream {
		if err != nil {
			return c.Response(), err
		}
		c.Add(part)
	}
	if !c.Finished() {
		return c.Response(), &APIError{
			Provider: "stream", Class: ClassTruncated,
			Message: "the stream ended without its terminal event",
		}
	}
	return c.Response(), nil
}

// Collector builds a [Response] from the parts of a stream, one at a time. The
// zero value is ready. It is not safe for concurrent use.
type Collector struct {
	parts    []Part
	blocks   []*block
	open     int // index+1 into blocks of the block that took the last delta
	calls    int // blocks that hold calls
	finish   Finish
	finished bool
	started  time.Time
	timing   Timing
}

// block accumulates the deltas of parts[part].
type block struct {
	text  strings.Builder
	part  int
	kind  Kind
	index int32
	whole bool // a call that has been given as a whole
}

// Start starts the clock of [Response.Timing]. Without it the clock starts at
// the first part.
func (c *Collector) Start() { c.started = time.Now() }

// Add takes the next part of the stream.
func (c *Collector) Add(p Part) {
	if c.timing.FirstPart == 0 {
		now := time.Now()
		if c.started.IsZero() {
			c.started = now
		}
		c.timing.FirstPart = max(now.Sub(c.started), 1)
	}
	switch p.Kind {
	case KindText, KindReasoning:
		c.delta(p)
	case KindToolCallStart, KindToolCallDelta, KindToolCall:
		c.call(p)
	case KindFinish:
		c.timing.Total = time.Since(c.started)
		c.finished = true
		if p.Finish != nil {
			c.finish = *p.Finish
		}
	default:
		p.Index = 0
		c.parts = append(c.parts, p)
		c.open = 0
	}
}

// delta appends to the open block of the same kind and index. A delta that
// follows something else starts a block, unless it names an earlier block by an
// index of its own.
func (c *Collector) delta(p Part) {
	b := c.find(p.Kind, p.Index)
	if b == nil {
		if p.Text == "" && p.Provider == nil {
			return
		}
		b = c.add(p.Kind, p.Index, Part{Kind: p.Kind})
	}
	b.text.WriteString(p.Text)
	if p.Provider != nil {
		c.parts[b.part].Provider = p.Provider
	}
}

// call assembles a tool call by its index, or by its ID where the provider
// gives none: name and ID may come only once, arguments in pieces.
func (c *Collector) call(p Part) {
	b := c.findCall(p)
	if b == nil && p.Kind == KindToolCall && p.Call != nil {
		p.Index = 0
		c.parts = append(c.parts, p)
		c.open = 0
		return
	}
	if b == nil {
		b = c.add(KindToolCall, p.Index, Part{Kind: KindToolCall, Call: &ToolCall{}})
		c.calls++
	}
	part := &c.parts[b.part]
	if p.Provider != nil {
		part.Provider = p.Provider
	}
	switch {
	case p.Kind == KindToolCallDelta:
		b.text.WriteString(p.Text)
	case p.Call == nil:
	case p.Kind == KindToolCall:
		part.Call = p.Call
		b.whole = true
	default:
		if p.Call.ID != "" {
			part.Call.ID = p.Call.ID
		}
		if p.Call.Name != "" {
			part.Call.Name = p.Call.Name
		}
		b.text.WriteString(p.Call.Arguments)
	}
}

// find returns the block that a text delta continues.
func (c *Collector) find(kind Kind, index int32) *block {
	if c.open > 0 {
		if b := c.blocks[c.open-1]; b.kind == kind && b.index == index {
			return b
		}
	}
	if index == 0 {
		return nil
	}
	for i := len(c.blocks) - 1; i >= 0; i-- {
		if b := c.blocks[i]; b.kind == kind && b.index == index {
			c.open = i + 1
			return b
		}
	}
	return nil
}

// findCall returns the block of the call that p continues.
func (c *Collector) findCall(p Part) *block {
	for i := len(c.blocks) - 1; i >= 0 && c.calls > 0; i-- {
		b := c.blocks[i]
		if b.kind != KindToolCall || b.whole {
			continue
		}
		known := c.parts[b.part].Call.ID
		if p.Call != nil && p.Call.ID != "" && known != "" {
			if p.Call.ID == known {
				return b
			}
			continue
		}
		if b.index == p.Index {
			return b
		}
	}
	return nil
}

func (c *Collector) add(kind Kind, index int32, p Part) *block {
	c.parts = append(c.parts, p)
	b := &block{part: len(c.parts) - 1, kind: kind, index: index}
	c.blocks = append(c.blocks, b)
	c.open = len(c.blocks)
	return b
}

// Finished reports whether the stream's terminal part has come.
func (c *Collector) Finished() bool { return c.finished }

// Response returns what has been collected. It may be called at any time, also
// before the end.
func (c *Collector) Response() *Response {
	r := &Response{Finish: c.finish, Timing: c.timing}
	if r.Timing.Total == 0 && !c.started.IsZero() {
		r.Timing.Total = time.Since(c.started)
	}
	parts := c.parts
	if len(c.blocks) > 0 && !c.finished {
		parts = append([]Part(nil), c.parts...)
	}
	for _, b := range c.blocks {
		switch {
		case b.kind != KindToolCall:
			parts[b.part].Text = b.text.String()
		case !b.whole && b.text.Len() > 0:
			call := *parts[b.part].Call
			call.Arguments = b.text.String()
			parts[b.part].Call = &call
		}
	}
	r.Message = Message{Role: RoleAssistant, Parts: parts, Provider: c.finish.Provider}
	if r.Message.Parts == nil {
		r.Message.Parts = []Part{}
	}
	return r
}
