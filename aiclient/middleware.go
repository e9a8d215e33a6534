package aiclient

import (
	"context"
	"iter"
)

// Middleware wraps a Chat to change what it does.
type Middleware func(Chat) Chat

// Wrap applies middleware to chat. The first is the outermost: it sees a request
// first and a reply last.
func Wrap(chat Chat, middleware ...Middleware) Chat {
	for i := len(middleware) - 1; i >= 0; i-- {
		chat = middleware[i](chat)
	}
	return chat
}

// ChatFunc is a Chat made of its Stream function; Generate collects the stream.
type ChatFunc struct {
	Name Model
	Func func(ctx context.Context, req *Request) iter.Seq2[Part, error]
}

// Model implements [Chat].
func (c ChatFunc) Model() Model { return c.Name }

// Stream implements [Chat].
func (c ChatFunc) Stream(ctx context.Context, req *Request) iter.Seq2[Part, error] {
	return c.Func(ctx, req)
}

// Generate implements [Chat].
func (c ChatFunc) Generate(ctx context.Context, req *Request) (*Response, error) {
	return Collect(c.Func(ctx, req))
}

// wrapped is a Chat whose calls go through functions.
type wrapped struct {
	Chat
	stream   func(ctx context.Context, req *Request) iter.Seq2[Part, error]
	generate func(ctx context.Context, req *Request) (*Response, error)
}

// onStream returns a Chat like next but with another Stream, which its Generate
// collects.
func onStream(next Chat, stream func(ctx context.Context, req *Request) iter.Seq2[Part, error]) Chat {
	return &wrapped{
		Chat: next, stream: stream,
		generate: func(ctx context.Context, req *Request) (*Response, error) { return Collect(stream(ctx, req)) },
	}
}

// Rules returns the rules of the Chat that is wrapped.
func (w *wrapped) Rules() Rules { return RulesOf(w.Chat) }

func (w *wrapped) Stream(ctx context.Context, req *Request) iter.Seq2[Part, error] {
	return w.stream(ctx, req)
}

func (w *wrapped) Generate(ctx context.Context, req *Request) (*Response, error) {
	return w.generate(ctx, req)
}

// WithRequest returns a middleware that lets change alter a copy of each
// request. What the request refers to must be replaced, not changed.
func WithRequest(change func(r *Request)) Middleware {
	return func(next Chat) Chat {
		return &wrapped{
			Chat: next,
			stream: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
				r := *req
				change(&r)
				return next.Stream(ctx, &r)
			},
			generate: func(ctx context.Context, req *Request) (*Response, error) {
				r := *req
				change(&r)
				return next.Generate(ctx, &r)
			},
		}
	}
}

// WithPrice returns a middleware that puts the cost of each reply into
// [Finish.Cost], as far as the provider does not state it.
func WithPrice(p Price) Middleware {
	if p.IsZero() {
		return func(c Chat) Chat { return c }
	}
	return func(next Chat) Chat {
		return &wrapped{
			Chat: next,
			stream: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
				return func(yield func(Part, error) bool) {
					for part, err := range next.Stream(ctx, req) {
						if part.Kind == KindFinish && part.Finish != nil {
							finish := *part.Finish
							finish.Cost = p.of(&finish)
							part.Finish = &finish
						}
						if !yield(part, err) {
							return
						}
					}
				}
			},
			generate: func(ctx context.Context, req *Request) (*Response, error) {
				reply, err := next.Generate(ctx, req)
				if reply != nil {
					reply.Cost = p.of(&reply.Finish)
				}
				return reply, err
			},
		}
	}
}

// WithoutStreaming returns a middleware that asks for whole replies and hands out
// their parts as a stream, for services whose streams are broken and for
// comparing the two. It belongs next to the Chat itself, last in [Wrap]: most
// other middleware makes whole replies of streams.
func WithoutStreaming() Middleware {
	return func(next Chat) Chat {
		return &wrapped{
			Chat: next,
			stream: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
				return func(yield func(Part, error) bool) {
					r, err := next.Generate(ctx, req)
					if err != nil {
						yield(Part{}, err)
						return
					}
					for i, p := range r.Message.Parts {
						p.Index = int32(i) // keeps neighbours of a kind apart
						if !yield(p, nil) {
							return
						}
					}
					finish := r.Finish
					finish.Provider = r.Message.Provider
					yield(Part{Kind: KindFinish, Finish: &finish}, nil)
				}
			},
			generate: next.Generate,
		}
	}
}

// WithValidation returns a middleware that refuses requests that cannot be sent,
// see [Validate], with an [*APIError] of class [ClassBadRequest]: what rules
// forbid, such as those of a [ModelSpec], and what the rules of the Chat itself do.
func WithValidation(rules Rules) Middleware {
	return func(next Chat) Chat {
		check := func(req *Request) error {
			err := Validate(req, rules)
			if err == nil {
				err = Validate(req, RulesOf(next))
			}
			if err != nil {
				m := next.Model()
				return &APIError{Provider: m.Provider, Model: m.ID, Class: ClassBadRequest, Err: err}
			}
			return nil
		}
		return &wrapped{
			Chat: next,
			stream: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
				if err := check(req); err != nil {
					return failed(err)
				}
				return next.Stream(ctx, req)
			},
			generate: func(ctx context.Context, req *Request) (*Response, error) {
				if err := check(req); err != nil {
					return nil, err
				}
				return next.Generate(ctx, req)
			},
		}
	}
}

// failed is a stream that fails at once.
func failed(err error) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) { yield(Part{}, err) }
}
