package openai

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// responsesDecoder turns the events of a reply into parts.
type responsesDecoder struct {
	provider string
	streamed bool // text and arguments have come as deltas

	part    aiclient.Part   // what the last event held, when it is one part
	parts   []aiclient.Part // what it held otherwise
	finish  aiclient.Finish
	calls   bool
	refused bool
	done    bool   // the terminal event has come
	failure []byte // the document that reports an error
}

// itemData is provider data of a part: what of its item must go back.
type itemData struct {
	ID        string          `json:"id,omitempty"`
	Encrypted string          `json:"encrypted,omitempty"` // reasoning
	Summary   []string        `json:"summary,omitempty"`   // of reasoning, part by part
	Item      json.RawMessage `json:"item,omitempty"`      // an item that only OpenAI understands
}

// event reads one event of a stream and leaves what it holds for emit.
func (d *responsesDecoder) event(data []byte) error {
	d.part, d.parts = aiclient.Part{}, d.parts[:0]
	s := jsonscan.New(data)
	var kind, delta string
	var index, summary int64
	var item, response []byte
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "type":
			kind = string(s.TextBytes())
		case "delta":
			delta = s.Text()
		case "output_index":
			index = s.Int()
		case "summary_index":
			summary = s.Int()
		case "item":
			item = s.Raw()
		case "response":
			response = s.Raw()
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return err
	}
	one := func(kind aiclient.Kind, text string) {
		d.part = aiclient.Part{Kind: kind, Index: int32(index), Text: text}
	}
	switch kind {
	case "response.output_text.delta":
		one(aiclient.KindText, delta)
	case "response.refusal.delta":
		d.refused = true
		one(aiclient.KindText, delta)
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		one(aiclient.KindReasoning, delta)
	case "response.reasoning_summary_part.added":
		if summary > 0 {
			one(aiclient.KindReasoning, summaryBreak)
		}
	case "response.function_call_arguments.delta":
		one(aiclient.KindToolCallDelta, delta)
	case "response.output_item.added":
		d.added(item, int32(index))
	case "response.output_item.done":
		d.item(item, int32(index))
	case "response.created":
		d.response(response)
	case "response.completed", "response.incomplete":
		d.response(response)
		d.done = true
	case "response.failed", "response.cancelled":
		d.failure = response
	case "error":
		d.failure = data
	}
	if d.part.Text == "" {
		d.part = aiclient.Part{}
	}
	return nil
}

// summaryBreak separates the parts of a summary of reasoning.
const summaryBreak = "\n\n"

// added announces a tool call.
func (d *responsesDecoder) added(raw []byte, index int32) {
	call := aiclient.ToolCall{}
	var kind string
	s := jsonscan.New(raw)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "type":
			kind = s.Text()
		case "call_id":
			call.ID = s.Text()
		case "name":
			call.Name = s.Text()
		default:
			s.Skip()
		}
	}
	if kind == "function_call" {
		d.parts = append(d.parts, aiclient.Part{Kind: aiclient.KindToolCallStart, Index: index, Call: &call})
	}
}

// whole reads a reply that is not streamed.
func (d *responsesDecoder) whole(data []byte) error {
	if err := d.response(data); err != nil {
		return err
	}
	s := jsonscan.New(data)
	for s.Object(); s.Key(); {
		if string(s.Name()) != "output" {
			s.Skip()
			continue
		}
		index := int32(0)
		for s.Array(); s.Item(); {
			d.item(s.Raw(), index)
			index++
		}
	}
	return s.End()
}

// response reads what a response says about itself.
func (d *responsesDecoder) response(raw []byte) error {
	s := jsonscan.New(raw)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "id":
			d.finish.ID = s.Text()
		case "model":
			d.finish.Model = s.Text()
		case "status":
			switch status := s.Text(); status {
			case "completed", "incomplete":
				d.done = !d.streamed
				if d.finish.RawReason == "" {
					d.finish.RawReason = status
				}
			case "failed", "cancelled":
				d.failure = raw
			}
		case "error":
			if s.Kind() == jsonscan.Object {
				d.failure = raw
			}
			s.Skip()
		case "incomplete_details":
			for s.Object(); s.Key(); {
				if string(s.Name()) == "reason" {
					d.finish.RawReason = s.Text()
				} else {
					s.Skip()
				}
			}
		case "usage":
			d.usage(&s)
		default:
			s.Skip()
		}
	}
	return s.End()
}

// usage reads OpenAI's counts: input includes what was cached, output includes
// reasoning.
func (d *responsesDecoder) usage(s *jsonscan.Scanner) {
	if s.Kind() != jsonscan.Object {
		s.Skip()
		return
	}
	var input, cached, output, reasoning int64
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "input_tokens":
			input = s.Int()
		case "output_tokens":
			output = s.Int()
		case "input_tokens_details":
			for s.Object(); s.Key(); {
				if string(s.Name()) == "cached_tokens" {
					cached = s.Int()
				} else {
					s.Skip()
				}
			}
		case "output_tokens_details":
			for s.Object(); s.Key(); {
				if string(s.Name()) == "reasoning_tokens" {
					reasoning = s.Int()
				} else {
					s.Skip()
				}
			}
		case "cost_in_usd_ticks": // xAI, in units of 1e-10 USD
			d.finish.Cost = float64(s.Int()) / 1e10
		default:
			s.Skip()
		}
	}
	d.finish.Usage = aiclient.Usage{Input: max(input-cached, 0), CachedRead: cached, Output: output, Reasoning: reasoning}
}

// item reads a whole item of the output.
func (d *responsesDecoder) item(raw []byte, index int32) {
	var kind, result string
	call := aiclient.ToolCall{}
	data := itemData{}
	var content []aiclient.Part
	s := jsonscan.New(raw)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "type":
			kind = s.Text()
		case "id":
			data.ID = s.Text()
		case "call_id":
			call.ID = s.Text()
		case "name":
			call.Name = s.Text()
		case "arguments":
			call.Arguments = s.Text()
		case "encrypted_content":
			data.Encrypted = s.Text()
		case "summary":
			for s.Array(); s.Item(); {
				for s.Object(); s.Key(); {
					if string(s.Name()) == "text" {
						data.Summary = append(data.Summary, s.Text())
					} else {
						s.Skip()
					}
				}
			}
		case "result":
			result = s.Text()
		case "content":
			content = d.content(&s)
		default:
			s.Skip()
		}
	}
	switch kind {
	case "message":
		for _, p := range content {
			if p.Kind == aiclient.KindText && d.streamed {
				continue // it has come in deltas
			}
			if p.Kind == aiclient.KindText {
				p.Index = index
			}
			d.parts = append(d.parts, p)
		}
	case "reasoning":
		p := aiclient.Part{Kind: aiclient.KindReasoning, Index: index}
		if !d.streamed {
			texts := []string{strings.Join(data.Summary, summaryBreak)}
			for _, c := range content {
				texts = append(texts, c.Text)
			}
			p.Text = strings.Join(texts, "")
		}
		if data.Encrypted != "" {
			p.Provider = aiclient.NewProviderData(d.provider, data)
		}
		if p.Text != "" || p.Provider != nil {
			d.parts = append(d.parts, p)
		}
	case "function_call":
		d.calls = true
		d.parts = append(d.parts, aiclient.Part{Kind: aiclient.KindToolCall, Index: index, Call: &call})
	case "image_generation_call":
		if image, err := base64.StdEncoding.DecodeString(result); err == nil && len(image) > 0 {
			kind := http.DetectContentType(image)
			if !strings.HasPrefix(kind, "image/") {
				kind = "image/png"
			}
			d.parts = append(d.parts, aiclient.Image(kind, image))
		}
	default:
		p := aiclient.Part{Kind: aiclient.KindOpaque}
		p.Provider = aiclient.NewProviderData(d.provider, itemData{Item: slices.Clone(raw)})
		d.parts = append(d.parts, p)
	}
}

// content reads the content of a message or of reasoning: texts, and sources
// from their annotations.
func (d *responsesDecoder) content(s *jsonscan.Scanner) []aiclient.Part {
	var parts []aiclient.Part
	for s.Array(); s.Item(); {
		var text string
		var sources []aiclient.Part
		for s.Object(); s.Key(); {
			switch string(s.Name()) {
			case "text":
				text = s.Text()
			case "refusal":
				text = s.Text()
				d.refused = d.refused || text != ""
			case "annotations":
				for s.Array(); s.Item(); {
					source := aiclient.Source{}
					for s.Object(); s.Key(); {
						switch string(s.Name()) {
						case "url":
							source.URL = s.Text()
						case "title", "filename":
							source.Title = s.Text()
						case "file_id":
							source.ID = s.Text()
						default:
							s.Skip()
						}
					}
					if source.URL != "" || source.ID != "" {
						sources = append(sources, aiclient.Part{Kind: aiclient.KindSource, Source: &source})
					}
				}
			default:
				s.Skip()
			}
		}
		if text != "" {
			parts = append(parts, aiclient.Part{Kind: aiclient.KindText, Text: text})
		}
		parts = append(parts, sources...)
	}
	return parts
}

// emit yields what the last event held. It returns false when the consumer has
// stopped.
func (d *responsesDecoder) emit(yield func(aiclient.Part, error) bool) bool {
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
func (d *responsesDecoder) end(yield func(aiclient.Part, error) bool) bool {
	switch {
	case d.finish.RawReason == "max_output_tokens":
		d.finish.Reason = aiclient.FinishLength
	case d.finish.RawReason == "content_filter", d.refused:
		d.finish.Reason = aiclient.FinishContentFilter
	case d.finish.RawReason != "completed":
		d.finish.Reason = aiclient.FinishOther
	case d.calls:
		d.finish.Reason = aiclient.FinishToolCalls
	default:
		d.finish.Reason = aiclient.FinishStop
	}
	finish := d.finish
	return yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &finish}, nil)
}
