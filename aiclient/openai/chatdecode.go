package openai

import (
	"crypto/rand"
	"encoding/json"
	"mime"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// decoder turns the chunks of a reply into parts. A reply that is not streamed
// is one chunk, whose message has the form of a delta.
type decoder struct {
	provider string

	// What the last chunk held.
	text      string
	reasoning string
	parts     []aiclient.Part // sources and files
	deltas    []callDelta

	// What all chunks held.
	calls    []call
	details  []json.RawMessage // OpenRouter's reasoning_details
	field    string            // in which reasoning came, to send it back in
	thought  bool              // some reasoning has been emitted
	seen     map[string]bool   // URLs of sources
	finish   aiclient.Finish
	refused  bool
	choice   bool // a choice has come
	stopped  bool // a reason for stopping has come
	hasUsage bool
	failed   bool // the chunk reports an error
}

// call is a tool call that is being put together.
type call struct {
	index   int64 // the provider's
	id      string
	name    string
	args    []byte
	started bool
}

type callDelta struct {
	slot int
	text string
	head bool // brought the ID or the name
}

// chunk reads one chunk and leaves what it holds for emit.
func (d *decoder) chunk(data []byte) error {
	d.text, d.reasoning, d.parts, d.deltas = "", "", d.parts[:0], d.deltas[:0]
	s := jsonscan.New(data)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "choices":
			for s.Array(); s.Item(); {
				d.readChoice(&s)
			}
		case "id":
			keep(&d.finish.ID, &s)
		case "model":
			keep(&d.finish.Model, &s)
		case "usage":
			d.readUsage(&s)
		case "error":
			switch s.Kind() {
			case jsonscan.Object:
				d.failed = true
				s.Skip()
			default:
				d.failed = s.Text() != ""
			}
		case "citations": // URLs, of xAI and Perplexity
			for s.Array(); s.Item(); {
				d.source(aiclient.Source{URL: s.Text()})
			}
		case "search_results": // Perplexity
			for s.Array(); s.Item(); {
				d.readSource(&s)
			}
		default:
			s.Skip()
		}
	}
	return s.End()
}

// keep reads a string that every chunk repeats, once.
func keep(into *string, s *jsonscan.Scanner) {
	if *into != "" {
		s.Skip()
		return
	}
	*into = s.Text()
}

func (d *decoder) readChoice(s *jsonscan.Scanner) {
	// Only the first choice counts; n > 1 can be asked for by options only.
	index := int64(0)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "index":
			index = s.Int()
		case "delta", "message":
			if index != 0 {
				s.Skip()
				continue
			}
			d.choice = true
			d.readDelta(s)
		case "finish_reason":
			if reason := s.Text(); reason != "" && index == 0 {
				d.choice, d.stopped = true, true
				d.finish.RawReason = reason
			}
		default:
			s.Skip()
		}
	}
}

func (d *decoder) readDelta(s *jsonscan.Scanner) {
	for s.Object(); s.Key(); {
		switch name := s.Name(); string(name) {
		case "content":
			if s.Kind() == jsonscan.Array {
				d.readContent(s)
			} else {
				d.text += s.Text()
			}
		case "reasoning_content", "reasoning":
			// Some services send the same text in both.
			if d.reasoning != "" || s.Kind() != jsonscan.String {
				s.Skip()
				continue
			}
			field := "reasoning"
			if len(name) > len(field) {
				field = "reasoning_content"
			}
			if d.reasoning = s.Text(); d.reasoning != "" {
				d.field = field
			}
		case "reasoning_details":
			for s.Array(); s.Item(); {
				d.details = append(d.details, slices.Clone(s.Raw()))
			}
		case "tool_calls":
			for s.Array(); s.Item(); {
				d.readCall(s)
			}
		case "refusal":
			if text := s.Text(); text != "" {
				d.text += text
				d.refused = true
			}
		case "annotations":
			for s.Array(); s.Item(); {
				d.readSource(s)
			}
		case "images":
			for s.Array(); s.Item(); {
				d.readImage(s)
			}
		default:
			s.Skip()
		}
	}
}

// readCall reads a piece of a tool call. Name and ID may come only once, the
// index may be missing, and some services use one index for every call.
func (d *decoder) readCall(s *jsonscan.Scanner) {
	index := int64(-1)
	var id, name, args string
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "index":
			if s.Kind() == jsonscan.Number {
				index = s.Int()
			} else {
				s.Skip()
			}
		case "id":
			id = s.Text()
		case "function":
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "name":
					name = s.Text()
				case "arguments":
					if s.Kind() == jsonscan.Object {
						args = string(s.Raw())
					} else {
						args = s.Text()
					}
				default:
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
	slot := d.slot(index, id, name)
	c := &d.calls[slot]
	head := !c.started
	c.started = true
	if id != "" && c.id == "" {
		c.id, head = id, true
	}
	if name != "" && c.name == "" {
		c.name, head = name, true
	}
	c.args = append(c.args, args...)
	d.deltas = append(d.deltas, callDelta{slot: slot, text: args, head: head})
}

// slot finds the call that a piece belongs to, by index and then by ID, or
// opens one.
func (d *decoder) slot(index int64, id, name string) int {
	last := len(d.calls) - 1
	for i := last; i >= 0; i-- {
		c := &d.calls[i]
		switch {
		case id != "" && c.id == id:
			return i
		case index >= 0 && c.index != index:
		case id == "" && (index >= 0 || name == "" && i == last):
			return i
		case id != "" && c.id == "" && index >= 0:
			return i
		}
	}
	d.calls = append(d.calls, call{index: index})
	return len(d.calls) - 1
}

// readSource reads a citation: OpenAI's annotation or Perplexity's result.
func (d *decoder) readSource(s *jsonscan.Scanner) {
	source := aiclient.Source{}
	read := func() {
		switch string(s.Name()) {
		case "url":
			source.URL = s.Text()
		case "title":
			source.Title = s.Text()
		case "content", "snippet":
			source.Text = s.Text()
		default:
			s.Skip()
		}
	}
	for s.Object(); s.Key(); {
		if string(s.Name()) == "url_citation" {
			for s.Object(); s.Key(); {
				read()
			}
			continue
		}
		read()
	}
	d.source(source)
}

// source keeps a source that has not come before: streams repeat the list with
// every chunk.
func (d *decoder) source(source aiclient.Source) {
	if source.URL == "" || d.seen[source.URL] {
		return
	}
	if d.seen == nil {
		d.seen = map[string]bool{}
	}
	d.seen[source.URL] = true
	d.parts = append(d.parts, aiclient.Part{Kind: aiclient.KindSource, Source: &source})
}

// readImage reads an image that OpenRouter sends as a data URL.
func (d *decoder) readImage(s *jsonscan.Scanner) {
	for s.Object(); s.Key(); {
		if string(s.Name()) != "image_url" {
			s.Skip()
			continue
		}
		for s.Object(); s.Key(); {
			if string(s.Name()) != "url" {
				s.Skip()
				continue
			}
			if file, ok := imageOf(s.Text()); ok {
				d.parts = append(d.parts, aiclient.Part{Kind: aiclient.KindFile, File: &file})
			}
		}
	}
}

// emit yields what the last chunk held. It returns false when the consumer has
// stopped.
func (d *decoder) emit(yield func(aiclient.Part, error) bool) bool {
	if d.reasoning != "" {
		p := aiclient.Part{Kind: aiclient.KindReasoning, Index: reasoningIndex, Text: d.reasoning}
		if !d.thought {
			d.thought = true
			p.Provider = aiclient.NewProviderData(d.provider, reasoningData{Field: d.field})
		}
		if !yield(p, nil) {
			return false
		}
	}
	if d.text != "" && !yield(aiclient.Part{Kind: aiclient.KindText, Text: d.text}, nil) {
		return false
	}
	for _, p := range d.parts {
		if !yield(p, nil) {
			return false
		}
	}
	for _, delta := range d.deltas {
		c := &d.calls[delta.slot]
		if delta.head && !yield(aiclient.Part{Kind: aiclient.KindToolCallStart, Index: int32(delta.slot),
			Call: &aiclient.ToolCall{ID: c.id, Name: c.name}}, nil) {
			return false
		}
		if delta.text != "" && !yield(aiclient.Part{Kind: aiclient.KindToolCallDelta, Index: int32(delta.slot), Text: delta.text}, nil) {
			return false
		}
	}
	return true
}

// end yields the whole calls and the finish.
func (d *decoder) end(yield func(aiclient.Part, error) bool) bool {
	if len(d.details) > 0 {
		data := aiclient.NewProviderData(d.provider, reasoningData{Field: d.field, Details: mergeDetails(d.details)})
		if !yield(aiclient.Part{Kind: aiclient.KindReasoning, Index: reasoningIndex, Provider: data}, nil) {
			return false
		}
	}
	for i := range d.calls {
		c := &d.calls[i]
		if c.id == "" {
			c.id = "call_" + rand.Text()[:20]
		}
		if !yield(aiclient.Part{Kind: aiclient.KindToolCall, Index: int32(i),
			Call: &aiclient.ToolCall{ID: c.id, Name: c.name, Arguments: string(c.args)}}, nil) {
			return false
		}
	}
	switch d.finish.RawReason {
	case "stop", "tool_calls", "function_call", "tool_use", "eos", "end_turn", "":
		d.finish.Reason = aiclient.FinishStop
		if len(d.calls) > 0 {
			d.finish.Reason = aiclient.FinishToolCalls
		}
	case "length", "max_tokens", "model_length":
		d.finish.Reason = aiclient.FinishLength
	case "content_filter":
		d.finish.Reason = aiclient.FinishContentFilter
	default:
		d.finish.Reason = aiclient.FinishOther
	}
	if d.refused && d.finish.Reason == aiclient.FinishStop {
		d.finish.Reason = aiclient.FinishContentFilter
	}
	finish := d.finish
	return yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &finish}, nil)
}

// imageOf returns the image that a URL, often a data: URL, stands for. One whose
// name does not tell its type counts as PNG: a file without a type is of no use.
func imageOf(address string) (aiclient.File, bool) {
	if strings.HasPrefix(address, "data:") {
		return dataFile(address)
	}
	file := aiclient.File{URL: address, MediaType: "image/png"}
	if u, err := url.Parse(address); err == nil {
		if kind := mime.TypeByExtension(path.Ext(u.Path)); strings.HasPrefix(kind, "image/") {
			file.MediaType = kind
		}
	}
	return file, address != ""
}
