// Package aiclient talks to models of any provider through one set of types.
//
// A [Chat] is a model. [Chat.Stream] yields a reply as it arrives, as an
// iterator over flat [Part] values, and [Chat.Generate] returns it whole. The
// adapters in the packages below make Chats: openai, anthropic, google and
// others; none of them is linked unless it is imported.
//
// A [Conversation] runs the tool loop over a Chat: it keeps the history, runs
// the tools that the model calls, asks for approval, counts usage and cost, and
// can be saved at every step and continued after a crash without running
// anything twice.
//
// Messages are provider-neutral. What only one provider understands, such as
// the signature of a reasoning block, travels in [Part.Provider]: it goes back
// to that provider unchanged and is dropped for any other, so that a
// conversation can move between providers.
package aiclient
