package aiclient

// WithSpec returns a middleware that makes use of what is known of a model. It
// puts the cost into each reply, see [WithPrice], adds what the model cannot take
// to its [RulesOf], and tells a model that takes text only about the files of tool
// results and of earlier messages of the user instead of sending them, which would
// be refused again and again.
func WithSpec(s ModelSpec) Middleware {
	return func(next Chat) Chat {
		chat := WithPrice(s.Price)(next)
		if s.textOnly() {
			chat = WithRequest(func(r *Request) {
				messages, last := r.Messages, lastUser(r.Messages)
				r.Messages = withoutFiles(messages, "this model takes text only", func(i int, p *Part) bool {
					return p.Result != nil || messages[i].Role == RoleUser && i < last
				})
			})(chat)
		}
		return known{chat, s}
	}
}

// known is a Chat with the rules of its model.
type known struct {
	Chat
	spec ModelSpec
}

func (k known) Rules() Rules { return k.spec.add(RulesOf(k.Chat)) }
