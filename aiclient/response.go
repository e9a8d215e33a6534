package aiclient

import (
	"net/http"
	"time"
)

// FinishReason says why a reply ended.
type FinishReason string

// The reasons. Adapters map theirs to one of these and keep their own word in
// [Finish.RawReason].
const (
	FinishStop          FinishReason = "stop"           // the model was done
	FinishToolCalls     FinishReason = "tool-calls"     // the model waits for results
	FinishLength        FinishReason = "length"         // MaxTokens or the context was reached
	FinishContentFilter FinishReason = "content-filter" // the provider withheld the rest
	FinishPause         FinishReason = "pause"          // the provider wants the reply sent back to go on
	FinishOther         FinishReason = "other"
)

// Finish is the end of a reply.
type Finish struct {
	Reason    FinishReason `json:"reason"`
	RawReason string       `json:"rawReason,omitempty"`

	// ID is the provider's ID of the reply and Model the name of the model that
	// wrote it, which may be more exact than the one asked for.
	ID    string `json:"id,omitempty"`
	Model string `json:"model,omitempty"`

	Usage Usage `json:"usage"`

	// Cost is the price of the reply in USD: what the provider states, or else
	// what [WithPrice] computes. Models of a [ChatRegistry] compute it from their
	// specs. 0 when no price is known.
	Cost float64 `json:"cost,omitempty"`

	// Warnings say what of the request was not honoured.
	Warnings []string `json:"warnings,omitempty"`

	// Headers are the HTTP headers of the reply, such as rate limits.
	Headers http.Header `json:"headers,omitempty"`

	// Provider is provider data of the reply as a whole; [Collect] puts it into
	// [Message.Provider].
	Provider *ProviderData `json:"provider,omitempty"`
}

// Response is a whole reply.
type Response struct {
	// Message is the reply as it goes into the history.
	Message Message `json:"message"`

	// Finish says how it ended. Its Reason is empty when it did not.
	Finish

	Timing Timing `json:"timing,omitzero"`
}

// Text returns the reply's visible text.
func (r *Response) Text() string { return r.Message.Text() }

// Calls returns the reply's tool calls.
func (r *Response) Calls() []*ToolCall { return r.Message.Calls() }

// Sources returns what the reply cites.
func (r *Response) Sources() []*Source {
	var sources []*Source
	for _, p := range r.Message.Parts {
		if p.Kind == KindSource && p.Source != nil {
			sources = append(sources, p.Source)
		}
	}
	return sources
}

// Timing says how long a reply took.
type Timing struct {
	FirstPart time.Duration `json:"firstPart,omitempty"` // until the first part
	Total     time.Duration `json:"total,omitempty"`
}

// TokensPerSecond returns the speed at which output arrived after the first
// part, 0 when it cannot be told.
func (t Timing) TokensPerSecond(u Usage) float64 {
	d := t.Total - t.FirstPart
	if d <= 0 || u.Output == 0 {
		return 0
	}
	return float64(u.Output) / d.Seconds()
}

// Usage counts tokens in one way for all providers: the three kinds of input
// exclude each other, and Output includes Reasoning.
type Usage struct {
	Input      int64 `json:"input"`                // neither read from nor written to a cache
	CachedRead int64 `json:"cachedRead,omitempty"` // read from a prompt cache
	CacheWrite int64 `json:"cacheWrite,omitempty"` // written to a prompt cache
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning,omitempty"` // of Output
}

// Add returns the sum of u and v.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		Input:      u.Input + v.Input,
		CachedRead: u.CachedRead + v.CachedRead,
		CacheWrite: u.CacheWrite + v.CacheWrite,
		Output:     u.Output + v.Output,
		Reasoning:  u.Reasoning + v.Reasoning,
	}
}

// Prompt returns all input tokens, cached or not.
func (u Usage) Prompt() int64 { return u.Input + u.CachedRead + u.CacheWrite }

// Total returns all tokens.
func (u Usage) Total() int64 { return u.Prompt() + u.Output }

// Price is what a model costs, in USD per million tokens. A zero cache price
// means that of Input.
type Price struct {
	Input      float64 `json:"input"`
	CachedRead float64 `json:"cachedRead,omitempty"`
	CacheWrite float64 `json:"cacheWrite,omitempty"`
	Output     float64 `json:"output"`
	Request    float64 `json:"request,omitempty"` // USD per request
}

// Cost returns the price in USD of one request with usage u.
func (p Price) Cost(u Usage) float64 {
	read, write := p.CachedRead, p.CacheWrite
	if read == 0 {
		read = p.Input
	}
	if write == 0 {
		write = p.Input
	}
	tokens := float64(u.Input)*p.Input + float64(u.CachedRead)*read +
		float64(u.CacheWrite)*write + float64(u.Output)*p.Output
	return tokens/1e6 + p.Request
}

// of returns the cost of a reply: what the provider states, or else what follows
// from its usage.
func (p Price) of(f *Finish) float64 {
	if f.Cost != 0 || f.Usage == (Usage{}) {
		return f.Cost
	}
	return p.Cost(f.Usage)
}

// IsZero reports whether p is not known.
func (p Price) IsZero() bool { return p == Price{} }
