package openai

import (
	"encoding/json"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
)

// readContent reads content that is a list of parts, as Mistral's reasoning
// models send it.
func (d *decoder) readContent(s *jsonscan.Scanner) {
	var texts, thoughts []string
	for s.Array(); s.Item(); {
		for s.Object(); s.Key(); {
			switch string(s.Name()) {
			case "text":
				texts = append(texts, s.Text())
			case "thinking":
				d.field = "thinking"
				if s.Kind() == jsonscan.String {
					thoughts = append(thoughts, s.Text())
					continue
				}
				for s.Array(); s.Item(); {
					for s.Object(); s.Key(); {
						if string(s.Name()) == "text" {
							thoughts = append(thoughts, s.Text())
						} else {
							s.Skip()
						}
					}
				}
			default:
				s.Skip()
			}
		}
	}
	d.text += strings.Join(texts, "")
	d.reasoning += strings.Join(thoughts, "")
}

// reasoningIndex makes all reasoning of a reply one block, also what comes after
// the text.
const reasoningIndex = 1

// reasoningData is how reasoning goes back to where it came from.
type reasoningData struct {
	Field   string            `json:"field,omitempty"`   // the text, in this field of the message
	Details []json.RawMessage `json:"details,omitempty"` // OpenRouter's list, as it is
}

// mergeDetails joins the pieces of OpenRouter's reasoning_details: pieces of
// the same type and index are one entry whose texts are joined.
func mergeDetails(pieces []json.RawMessage) []json.RawMessage {
	type entry struct {
		key    string
		fields map[string]json.RawMessage
		texts  map[string]*strings.Builder // of fields that come in pieces
	}
	var entries []*entry
	for _, piece := range pieces {
		var fields map[string]json.RawMessage
		if json.Unmarshal(piece, &fields) != nil {
			continue
		}
		key := string(fields["type"]) + string(fields["index"])
		if n := len(entries); n == 0 || entries[n-1].key != key {
			entries = append(entries, &entry{key: key, fields: map[string]json.RawMessage{}, texts: map[string]*strings.Builder{}})
		}
		e := entries[len(entries)-1]
		for name, value := range fields {
			var text string
			switch name {
			case "text", "summary", "data":
				if json.Unmarshal(value, &text) == nil && string(value) != "null" {
					if e.texts[name] == nil {
						e.texts[name] = &strings.Builder{}
					}
					e.texts[name].WriteString(text)
					continue
				}
			}
			if e.fields[name] == nil || string(value) != "null" {
				e.fields[name] = value
			}
		}
	}
	merged := make([]json.RawMessage, 0, len(entries))
	for _, e := range entries {
		for name, text := range e.texts {
			e.fields[name], _ = json.Marshal(text.String())
		}
		if data, err := json.Marshal(e.fields); err == nil {
			merged = append(merged, data)
		}
	}
	return merged
}
