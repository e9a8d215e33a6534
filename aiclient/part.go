package aiclient

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Kind says what a [Part] holds.
type Kind uint8

// The kinds of parts. The first group makes up messages; the second appears
// only in streams.
const (
	// KindInvalid is the zero Kind, which no part has.
	KindInvalid Kind = iota

	// KindText is visible text. In a stream it is a delta.
	KindText

	// KindReasoning is the model's thinking, as far as the provider shows it.
	// In a stream it is a delta. Provider carries the signature or the
	// encrypted form, often in a delta of its own whose Text is empty.
	KindReasoning

	// KindFile is an image, a document or audio, in File.
	KindFile

	// KindToolCall is a whole tool call, in Call.
	KindToolCall

	// KindToolResult is the result of a tool call, in Result.
	KindToolResult

	// KindSource is a source that the model cites, in Source.
	KindSource

	// KindOpaque is a block that only the provider understands, in Provider,
	// such as the trace of a search that the provider ran itself. It is sent
	// back to the same provider unchanged and dropped for any other.
	KindOpaque

	// KindToolCallStart announces a tool call in a stream: Call has the ID and
	// Name as far as they are known, and Index identifies the call until its
	// KindToolCall part comes.
	KindToolCallStart

	// KindToolCallDelta is a piece of a call's arguments in a stream: the piece
	// is in Text and the call is the one with the same Index.
	KindToolCallDelta

	// KindFinish is the last part of every complete stream, in Finish.
	KindFinish
)

var kindNames = [...]string{
	KindInvalid:       "invalid",
	KindText:          "text",
	KindReasoning:     "reasoning",
	KindFile:          "file",
	KindToolCall:      "tool-call",
	KindToolResult:    "tool-result",
	KindSource:        "source",
	KindOpaque:        "opaque",
	KindToolCallStart: "tool-call-start",
	KindToolCallDelta: "tool-call-delta",
	KindFinish:        "finish",
}

// String returns the kind's name as it stands in JSON, such as "tool-call".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText implements [encoding.TextMarshaler].
func (k Kind) MarshalText() ([]byte, error) {
	if k == KindInvalid || int(k) >= len(kindNames) {
		return nil, fmt.Errorf("aiclient: part of %s cannot be encoded", k)
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if i > 0 && name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("aiclient: unknown kind of part %q", text)
}

// Part is one piece of a message or of a stream. It is a flat value, passed by
// value, so that a text delta costs nothing besides its string. Only the fields
// that its Kind names are set.
//
// What the pointers refer to must not be changed once the part is in use:
// messages, requests and saved states share it.
type Part struct {
	Kind Kind `json:"kind"`

	// Index tells the blocks of a stream apart: deltas of the same kind and
	// Index belong together. It is zero in messages.
	Index int32 `json:"index,omitempty"`

	// Text is the text of KindText and KindReasoning and the piece of
	// KindToolCallDelta. It must be valid UTF-8.
	Text string `json:"text,omitempty"`

	Call   *ToolCall   `json:"call,omitempty"`
	Result *ToolResult `json:"result,omitempty"`
	File   *File       `json:"file,omitempty"`
	Source *Source     `json:"source,omitempty"`
	Finish *Finish     `json:"finish,omitempty"`

	// Provider is data that only the provider understands and that must come
	// back to it: signatures, encrypted reasoning, item IDs. Adapters read it
	// with [ProviderData.For], which drops another provider's.
	Provider *ProviderData `json:"provider,omitempty"`
}

// Text returns a text part.
func Text(text string) Part { return Part{Kind: KindText, Text: text} }

// Reasoning returns a reasoning part.
func Reasoning(text string) Part { return Part{Kind: KindReasoning, Text: text} }

// Image returns a file part that holds the bytes of an image, document or
// audio clip of the given media type, such as "image/png".
func Image(mediaType string, data []byte) Part {
	return Part{Kind: KindFile, File: &File{MediaType: mediaType, Data: data}}
}

// FileURL returns a file part that refers to a URL, which the provider fetches.
func FileURL(mediaType, url string) Part {
	return Part{Kind: KindFile, File: &File{MediaType: mediaType, URL: url}}
}

// ToolCallPart returns a part that holds call.
func ToolCallPart(call ToolCall) Part { return Part{Kind: KindToolCall, Call: &call} }

// ToolResultPart returns a part that holds result.
func ToolResultPart(result ToolResult) Part {
	return Part{Kind: KindToolResult, Result: &result}
}

// ToolCall is a model's request to run a tool.
type ToolCall struct {
	// ID ties the result to the call. Adapters invent one where the provider
	// gives none.
	ID string `json:"id"`

	// Name is the tool's name as the model gave it; it may be unknown.
	Name string `json:"name"`

	// Arguments are what the model sent, verbatim: normally a JSON object, but
	// possibly empty or malformed.
	Arguments string `json:"arguments,omitempty"`
}

// Input returns the arguments as a JSON object that every provider accepts in a
// request: {} for none, and an object that quotes them when they are not a JSON
// object, so that a malformed call can stay in the history.
func (c *ToolCall) Input() json.RawMessage {
	if object, ok := jsonObject(c.Arguments); ok {
		return object
	}
	quoted, _ := json.Marshal(map[string]string{"malformed_arguments": c.Arguments})
	return quoted
}

// ToolResult is what a tool call gave.
type ToolResult struct {
	CallID string `json:"callId"`
	Name   string `json:"name"`

	// Text is the result as the model reads it; a JSON result is its text.
	Text string `json:"text,omitempty"`

	// Files are images and other media that belong to the result.
	Files []File `json:"files,omitempty"`

	// IsError says that Text describes a failure.
	IsError bool `json:"isError,omitempty"`
}

// File is an image, a document or audio: bytes, a URL, or an ID that a provider
// gave to a file uploaded before. Exactly one of Data, URL and ID is set.
type File struct {
	MediaType string `json:"mediaType,omitempty"` // such as "application/pdf"
	Name      string `json:"name,omitempty"`
	Data      []byte `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
	ID        string `json:"id,omitempty"`
}

// check says why nobody can take the file.
func (f *File) check() error {
	given := 0
	for _, ok := range []bool{len(f.Data) > 0, f.URL != "", f.ID != ""} {
		if ok {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("a file needs exactly one of Data, URL and ID, this has %d", given)
	}
	if f.MediaType == "" && f.ID == "" {
		return errors.New("a file without a media type")
	}
	return nil
}

// Source is something that the model cites.
type Source struct {
	ID    string `json:"id,omitempty"`
	URL   string `json:"url,omitempty"`
	Title string `json:"title,omitempty"`

	// Text is the cited passage, where the provider gives it.
	Text string `json:"text,omitempty"`

	// Start and End delimit, in bytes, the part of the reply's text that rests
	// on the source. Both are zero when the provider does not say.
	Start int `json:"start,omitempty"`
	End   int `json:"end,omitempty"`
}

// ProviderData is a value that only one provider understands.
type ProviderData struct {
	// Provider is the name of the adapter that made it, such as
	// [Model.Provider].
	Provider string `json:"provider"`

	// Data is the adapter's own JSON document.
	Data json.RawMessage `json:"data"`
}

// NewProviderData encodes v as provider's data. It returns nil when v cannot be
// encoded, which is a mistake in the adapter.
func NewProviderData(provider string, v any) *ProviderData {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return &ProviderData{Provider: provider, Data: data}
}

// For decodes d into v and reports whether it could: it returns false, and
// leaves v alone, when d is nil or belongs to another provider.
func (d *ProviderData) For(provider string, v any) bool {
	if d == nil || d.Provider != provider {
		return false
	}
	return json.Unmarshal(d.Data, v) == nil
}
