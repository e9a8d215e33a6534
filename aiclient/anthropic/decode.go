package anthropic

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// decoder turns the events of a reply into parts.
type decoder struct {
	provider   string
	outputTool string // calls of this tool are the text of a structured reply

	finish  aiclient.Finish
	done    bool // the terminal event has come
	stopped bool // a reason for stopping has come
	failed  bool // the event reports an error
	calls   bool // the reply calls tools

	block  block
	length int             // of the text so far, in bytes
	part   aiclient.Part   // what the last event held, when it is one part
	parts  []aiclient.Part // what it held otherwise
}

// block is a content block that is being received.
type block struct {
	open      bool
	index     int64
	kind      string
	raw       []byte // as it was started
	id, name  string
	input     []byte
	output    bool // is the text of a structured reply
	start     int  // where its text starts in the text of the reply
	citations []json.RawMessage
}

// blockData is provider data of a block.
type blockData struct {
	Signature string            `json:"signature,omitempty"` // of thinking
	Redacted  string            `json:"redacted,omitempty"`  // thinking that is not shown
	Citations []json.RawMessage `json:"citations,omitempty"` // of text
	Block     json.RawMessage   `json:"block,omitempty"`     // a block that only Anthropic understands
}

// event reads one event of a stream and leaves what it holds for emit.
func (d *decoder) event(data []byte) error {
	d.part, d.parts = aiclient.Part{}, d.parts[:0]
	s := jsonscan.New(data)
	var kind, started []byte
	index := d.block.index
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "type":
			kind = s.TextBytes() // a part of data, so that no event allocates for it
		case "message":
			d.readMessage(&s, nil)
		case "index":
			index = s.Int()
		case "content_block":
			started = s.Raw()
		case "delta":
			d.readDelta(&s)
		case "usage":
			d.readUsage(&s)
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return err
	}
	d.part.Index = int32(index)
	switch string(kind) {
	case "content_block_start":
		d.open(started, index)
	case "content_block_stop":
		d.close()
	case "message_stop":
		d.close()
		d.done = true
	case "error":
		d.failed = true
	}
	return nil
}

// message reads a reply that is not streamed.
func (d *decoder) message(data []byte, yield func(aiclient.Part, error) bool) error {
	s := jsonscan.New(data)
	d.readMessage(&s, yield)
	return s.End()
}

func (d *decoder) readMessage(s *jsonscan.Scanner, yield func(aiclient.Part, error) bool) {
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "type":
			d.failed = d.failed || s.Text() == "error"
		case "id":
			d.finish.ID = s.Text()
		case "model":
			d.finish.Model = s.Text()
		case "usage":
			d.readUsage(s)
		case "stop_reason":
			d.readReason(s)
		case "content":
			index := int64(0)
			for s.Array(); s.Item(); {
				d.parts = d.parts[:0]
				d.open(s.Raw(), index)
				d.close()
				index++
				if yield != nil {
					d.emit(yield)
				}
			}
		default:
			s.Skip()
		}
	}
}

func (d *decoder) readReason(s *jsonscan.Scanner) {
	if reason := s.Text(); reason != "" {
		d.stopped = true
		d.finish.RawReason = reason
	}
}

func (d *decoder) readUsage(s *jsonscan.Scanner) {
	// Anthropic's counts exclude each other already. Those of the last event
	// are totals; zero there means that a count is not repeated.
	u := &d.finish.Usage
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "input_tokens":
			u.Input = max(u.Input, s.Int())
		case "cache_read_input_tokens":
			u.CachedRead = max(u.CachedRead, s.Int())
		case "cache_creation_input_tokens":
			u.CacheWrite = max(u.CacheWrite, s.Int())
		case "output_tokens":
			u.Output = max(u.Output, s.Int())
		default:
			s.Skip()
		}
	}
}

// open starts a block with what it holds already: nothing yet in a stream,
// everything otherwise.
func (d *decoder) open(raw []byte, index int64) {
	d.close()
	b := block{open: true, index: index, raw: slices.Clone(raw), start: d.length}
	var text, thinking, signature, redacted string
	s := jsonscan.New(raw)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "type":
			b.kind = s.Text()
		case "id":
			b.id = s.Text()
		case "name":
			b.name = s.Text()
		case "text":
			text = s.Text()
		case "thinking":
			thinking = s.Text()
		case "signature":
			signature = s.Text()
		case "data":
			redacted = s.Text()
		case "input":
			b.input = slices.Clone(s.Raw())
		case "citations":
			for s.Array(); s.Item(); {
				b.citations = append(b.citations, slices.Clone(s.Raw()))
			}
		default:
			s.Skip()
		}
	}
	d.block = b
	switch b.kind {
	case "text":
		d.text(text)
	case "thinking":
		if thinking != "" || signature != "" {
			p := d.newPart(aiclient.KindReasoning, thinking)
			if signature != "" {
				p.Provider = aiclient.NewProviderData(d.provider, blockData{Signature: signature})
			}
			d.parts = append(d.parts, p)
		}
	case "redacted_thinking":
		p := d.newPart(aiclient.KindReasoning, "")
		p.Provider = aiclient.NewProviderData(d.provider, blockData{Redacted: redacted})
		d.parts = append(d.parts, p)
	case "tool_use":
		if d.outputTool != "" && b.name == d.outputTool {
			d.block.output = true
			if len(b.input) > 2 {
				d.text(string(b.input))
			}
			return
		}
		d.calls = true
		p := d.newPart(aiclient.KindToolCallStart, "")
		p.Call = &aiclient.ToolCall{ID: b.id, Name: b.name}
		d.parts = append(d.parts, p)
	}
}

func (d *decoder) newPart(kind aiclient.Kind, text string) aiclient.Part {
	return aiclient.Part{Kind: kind, Index: int32(d.block.index), Text: text}
}

func (d *decoder) text(text string) {
	if text != "" {
		d.length += len(text)
		d.parts = append(d.parts, d.newPart(aiclient.KindText, text))
	}
}

// readDelta reads the delta of a block or of the message. Deltas of text are
// nearly all events of a stream, so they take the short way through part.
func (d *decoder) readDelta(s *jsonscan.Scanner) {
	b := &d.block
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "text":
			text := s.Text()
			d.length += len(text)
			d.part = d.newPart(aiclient.KindText, text)
		case "thinking":
			d.part = d.newPart(aiclient.KindReasoning, s.Text())
		case "signature":
			p := d.newPart(aiclient.KindReasoning, "")
			p.Provider = aiclient.NewProviderData(d.provider, blockData{Signature: s.Text()})
			d.parts = append(d.parts, p)
		case "partial_json":
			piece := s.Text()
			if string(b.input) == "{}" {
				b.input = b.input[:0]
			}
			b.input = append(b.input, piece...)
			switch {
			case piece == "":
			case b.output:
				d.text(piece)
			case b.kind == "tool_use":
				d.part = d.newPart(aiclient.KindToolCallDelta, piece)
			}
		case "citation":
			b.citations = append(b.citations, slices.Clone(s.Raw()))
		case "stop_reason":
			d.readReason(s)
		default:
			s.Skip()
		}
	}
}

// close ends the open block.
func (d *decoder) close() {
	b := &d.block
	if !b.open {
		return
	}
	b.open = false
	switch b.kind {
	case "text":
		if len(b.citations) == 0 {
			return
		}
		p := d.newPart(aiclient.KindText, "")
		p.Provider = aiclient.NewProviderData(d.provider, blockData{Citations: b.citations})
		d.parts = append(d.parts, p)
		for _, raw := range b.citations {
			if source := d.source(raw); source != nil {
				p := aiclient.Part{Kind: aiclient.KindSource, Source: source}
				d.parts = append(d.parts, p)
			}
		}
	case "thinking", "redacted_thinking":
	case "tool_use":
		if b.output {
			return
		}
		arguments := string(b.input)
		if len(bytes.TrimSpace(b.input)) == 0 {
			arguments = "{}"
		}
		p := d.newPart(aiclient.KindToolCall, "")
		p.Call = &aiclient.ToolCall{ID: b.id, Name: b.name, Arguments: arguments}
		d.parts = append(d.parts, p)
	default:
		p := aiclient.Part{Kind: aiclient.KindOpaque}
		p.Provider = aiclient.NewProviderData(d.provider, blockData{Block: b.whole()})
		d.parts = append(d.parts, p)
	}
}

// whole returns the block as it goes back: as it was started, with the input
// that came in pieces.
func (b *block) whole() json.RawMessage {
	if len(b.input) == 0 || !json.Valid(b.input) {
		return b.raw
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(b.raw, &fields) != nil {
		return b.raw
	}
	fields["input"] = b.input
	raw, err := json.Marshal(fields)
	if err != nil {
		return b.raw
	}
	return raw
}

// source reads a citation of a web page or a document.
func (d *decoder) source(raw []byte) *aiclient.Source {
	source := &aiclient.Source{Start: d.block.start, End: d.length}
	s := jsonscan.New(raw)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "url", "source":
			source.URL = s.Text()
		case "title", "document_title":
			source.Title = s.Text()
		case "cited_text":
			source.Text = s.Text()
		case "file_id":
			source.ID = s.Text()
		default:
			s.Skip()
		}
	}
	if s.Err() != nil {
		return nil
	}
	return source
}

// emit yields what the last event held. It returns false when the consumer has
// stopped.
func (d *decoder) emit(yield func(aiclient.Part, error) bool) bool {
	if d.part.Kind != aiclient.KindInvalid && !yield(d.part, nil) {
		return false
	}
	for _, p := range d.parts {
		if !yield(p, nil) {
			return false
		}
	}
	return true
}

// end yields the finish.
func (d *decoder) end(yield func(aiclient.Part, error) bool) bool {
	switch d.finish.RawReason {
	case "end_turn", "stop_sequence":
		d.finish.Reason = aiclient.FinishStop
	case "tool_use":
		d.finish.Reason = aiclient.FinishToolCalls
		if !d.calls {
			d.finish.Reason = aiclient.FinishStop // the structured reply
		}
	case "max_tokens", "model_context_window_exceeded":
		d.finish.Reason = aiclient.FinishLength
	case "pause_turn":
		d.finish.Reason = aiclient.FinishPause
	case "refusal":
		d.finish.Reason = aiclient.FinishContentFilter
	default:
		d.finish.Reason = aiclient.FinishOther
	}
	finish := d.finish
	return yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &finish}, nil)
}
