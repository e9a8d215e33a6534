package aiclient

import (
	"context"
	"iter"
)

// Chat is a model that one can talk to. Implementations are safe for concurrent
// use.
type Chat interface {
	// Model says which model it is.
	Model() Model

	// Stream sends req and yields the reply as it arrives: deltas of text and
	// reasoning, tool calls (start, deltas, then the whole call), sources,
	// files, and as the last part one of KindFinish. An error ends the stream;
	// a stream that the provider breaks off is an [*APIError] of class
	// [ClassTruncated], never a silent end. The request is made when the
	// iteration starts; breaking out of it releases everything.
	//
	// The request must not be changed while the stream is read, and an
	// implementation must not change it.
	Stream(ctx context.Context, req *Request) iter.Seq2[Part, error]

	// Generate sends req and returns the whole reply. On an error the response
	// is nil or holds what had arrived before it.
	Generate(ctx context.Context, req *Request) (*Response, error)
}

// Model names a model of a provider.
type Model struct {
	Provider string `json:"provider"` // the adapter's name, such as the base of a registry name
	ID       string `json:"id"`       // the provider's own name of the model
}

// String returns "provider:id".
func (m Model) String() string { return m.Provider + ":" + m.ID }
