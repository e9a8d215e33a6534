package google

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// decoder turns the chunks of a reply into parts. A reply that is not streamed
// is one chunk.
type decoder struct {
	provider string
	parts    []aiclient.Part // what the last chunk held
	finish   aiclient.Finish
	calls    int32
	sources  []aiclient.Source
	stopped  bool   // a reason for finishing has come
	failed   bool   // the chunk reports an error
	blocked  string // why the prompt was refused
	message  string // of the finish
}

// partData is provider data of a part.
type partData struct {
	Signature string          `json:"signature,omitempty"` // thoughtSignature
	ID        string          `json:"id,omitempty"`        // of a call, where Google gave one
	Part      json.RawMessage `json:"part,omitempty"`      // a part that only Google understands
}

// chunk reads one chunk and leaves what it holds for emit.
func (d *decoder) chunk(data []byte) error {
	d.parts = d.parts[:0]
	s := jsonscan.New(data)
	if s.Kind() == jsonscan.Array { // an error, as some gateways wrap it
		d.failed = true
		s.Skip()
		return s.End()
	}
	candidates := false
	var blocked string
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "candidates":
			first := true
			for s.Array(); s.Item(); {
				candidates = true
				if first {
					d.candidate(&s)
				} else {
					s.Skip()
				}
				first = false
			}
		case "usageMetadata":
			d.usage(&s)
		case "modelVersion":
			keep(&d.finish.Model, &s)
		case "responseId":
			keep(&d.finish.ID, &s)
		case "promptFeedback":
			for s.Object(); s.Key(); {
				if string(s.Name()) == "blockReason" {
					blocked = s.Text()
				} else {
					s.Skip()
				}
			}
		case "error":
			d.failed = s.Kind() == jsonscan.Object
			s.Skip()
		default:
			s.Skip()
		}
	}
	if !candidates {
		d.blocked = blocked
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

func (d *decoder) candidate(s *jsonscan.Scanner) {
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "content":
			for s.Object(); s.Key(); {
				if string(s.Name()) != "parts" {
					s.Skip()
					continue
				}
				for s.Array(); s.Item(); {
					d.readPart(s.Raw())
				}
			}
		case "finishReason":
			if reason := s.Text(); reason != "" && reason != "FINISH_REASON_UNSPECIFIED" {
				d.stopped = true
				d.finish.RawReason = reason
			}
		case "finishMessage":
			d.message = s.Text()
		case "groundingMetadata":
			d.grounding(s)
		case "citationMetadata":
			d.citations(s)
		default:
			s.Skip()
		}
	}
}

func (d *decoder) readPart(raw []byte) {
	var text, signature string
	var hasText, thought, other bool
	var call *aiclient.ToolCall
	var callID string
	var file *aiclient.File
	s := jsonscan.New(raw)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "text":
			hasText = true
			text = s.Text()
		case "thought":
			thought = s.Bool()
		case "thoughtSignature":
			signature = s.Text()
		case "functionCall":
			call = &aiclient.ToolCall{Arguments: "{}"}
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "id":
					callID = s.Text()
				case "name":
					call.Name = s.Text()
				case "args":
					if s.Kind() == jsonscan.Object {
						call.Arguments = string(s.Raw())
					} else {
						s.Skip()
					}
				default:
					s.Skip()
				}
			}
		case "inlineData", "fileData":
			file = readFile(&s)
		default:
			other = true
			s.Skip()
		}
	}
	if s.Err() != nil {
		return // reported by chunk, which reads the same bytes
	}
	p := aiclient.Part{}
	data := partData{Signature: signature}
	switch {
	case call != nil:
		call.ID, data.ID = callID, callID
		if call.ID == "" {
			call.ID = "call_" + rand.Text()[:20]
		}
		start := *call
		start.Arguments = ""
		d.parts = append(d.parts,
			aiclient.Part{Kind: aiclient.KindToolCallStart, Index: d.calls, Call: &start},
			aiclient.Part{Kind: aiclient.KindToolCallDelta, Index: d.calls, Text: call.Arguments})
		p.Kind, p.Index, p.Call = aiclient.KindToolCall, d.calls, call
		d.calls++
	case file != nil:
		p.Kind, p.File = aiclient.KindFile, file
	case thought:
		p.Kind, p.Text = aiclient.KindReasoning, text
	case hasText || !other:
		p.Kind, p.Text = aiclient.KindText, text
	default:
		p.Kind = aiclient.KindOpaque
		data.Part = slices.Clone(raw)
	}
	if data.Signature != "" || data.ID != "" || data.Part != nil {
		p.Provider = aiclient.NewProviderData(d.provider, data)
	}
	if p.Text == "" && p.Provider == nil && (p.Kind == aiclient.KindText || p.Kind == aiclient.KindReasoning) {
		return
	}
	d.parts = append(d.parts, p)
}

func readFile(s *jsonscan.Scanner) *aiclient.File {
	f := &aiclient.File{}
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "mimeType":
			f.MediaType = s.Text()
		case "data":
			text := s.TextBytes()
			f.Data = make([]byte, base64.StdEncoding.DecodedLen(len(text)))
			n, err := base64.StdEncoding.Decode(f.Data, text)
			if err != nil {
				n = 0
			}
			f.Data = f.Data[:n]
		case "fileUri":
			f.URL = s.Text()
		default:
			s.Skip()
		}
	}
	return f
}

// usage reads Google's counts: the prompt includes what was cached, the
// candidates exclude the thoughts.
func (d *decoder) usage(s *jsonscan.Scanner) {
	var prompt, cached, output, thoughts, toolPrompt int64
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "promptTokenCount":
			prompt = s.Int()
		case "cachedContentTokenCount":
			cached = s.Int()
		case "candidatesTokenCount":
			output = s.Int()
		case "thoughtsTokenCount":
			thoughts = s.Int()
		case "toolUsePromptTokenCount":
			toolPrompt = s.Int()
		default:
			s.Skip()
		}
	}
	d.finish.Usage = aiclient.Usage{Input: max(prompt-cached, 0) + toolPrompt, CachedRead: cached,
		Output: output + thoughts, Reasoning: thoughts}
}

// grounding reads what a search found, with the passages of the reply that rest
// on it.
func (d *decoder) grounding(s *jsonscan.Scanner) {
	type support struct {
		start, end int
		chunks     []int
	}
	var sources []aiclient.Source
	var supports []support
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "groundingChunks":
			for s.Array(); s.Item(); {
				source := aiclient.Source{}
				for s.Object(); s.Key(); {
					for s.Object(); s.Key(); {
						switch string(s.Name()) {
						case "uri":
							source.URL = s.Text()
						case "title":
							source.Title = s.Text()
						case "text":
							source.Text = s.Text()
						default:
							s.Skip()
						}
					}
				}
				sources = append(sources, source)
			}
		case "groundingSupports":
			for s.Array(); s.Item(); {
				one := support{}
				for s.Object(); s.Key(); {
					switch string(s.Name()) {
					case "segment":
						for s.Object(); s.Key(); {
							switch string(s.Name()) {
							case "startIndex":
								one.start = int(s.Int())
							case "endIndex":
								one.end = int(s.Int())
							default:
								s.Skip()
							}
						}
					case "groundingChunkIndices":
						for s.Array(); s.Item(); {
							one.chunks = append(one.chunks, int(s.Int()))
						}
					default:
						s.Skip()
					}
				}
				supports = append(supports, one)
			}
		default:
			s.Skip()
		}
	}
	for _, one := range supports {
		for _, i := range one.chunks {
			if i >= 0 && i < len(sources) && sources[i].End == 0 {
				sources[i].Start, sources[i].End = one.start, one.end
			}
		}
	}
	if len(sources) > 0 {
		d.sources = sources // later chunks repeat and extend the list
	}
}

// citations reads the sources that a reply quotes.
func (d *decoder) citations(s *jsonscan.Scanner) {
	var sources []aiclient.Source
	for s.Object(); s.Key(); {
		if name := string(s.Name()); name != "citations" && name != "citationSources" {
			s.Skip()
			continue
		}
		for s.Array(); s.Item(); {
			source := aiclient.Source{}
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "uri":
					source.URL = s.Text()
				case "title":
					source.Title = s.Text()
				case "startIndex":
					source.Start = int(s.Int())
				case "endIndex":
					source.End = int(s.Int())
				default:
					s.Skip()
				}
			}
			sources = append(sources, source)
		}
	}
	if len(sources) > 0 && len(d.sources) == 0 {
		d.sources = sources
	}
}

// emit yields what the last chunk held. It returns false when the consumer has
// stopped.
func (d *decoder) emit(yield func(aiclient.Part, error) bool) bool {
	for _, p := range d.parts {
		if !yield(p, nil) {
			return false
		}
	}
	return true
}

// end yields the sources and the finish.
func (d *decoder) end(yield func(aiclient.Part, error) bool) bool {
	for i := range d.sources {
		if !yield(aiclient.Part{Kind: aiclient.KindSource, Source: &d.sources[i]}, nil) {
			return false
		}
	}
	switch d.finish.RawReason {
	case "STOP":
		d.finish.Reason = aiclient.FinishStop
		if d.calls > 0 {
			d.finish.Reason = aiclient.FinishToolCalls
		}
	case "MAX_TOKENS":
		d.finish.Reason = aiclient.FinishLength
	case "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
		"IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		d.finish.Reason = aiclient.FinishContentFilter
	default:
		d.finish.Reason = aiclient.FinishOther
	}
	finish := d.finish
	return yield(aiclient.Part{Kind: aiclient.KindFinish, Finish: &finish}, nil)
}
