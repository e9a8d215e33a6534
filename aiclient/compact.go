package aiclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// bytesPerToken is a cautious estimate for text whose tokens no provider has
// counted yet; English prose has about four bytes, code about three.
const bytesPerToken = 3

// fileTokens is what one image or page is taken to cost before it is counted.
const fileTokens = 1500

// compactIfNeeded shortens the history when it comes near the context limit.
func (c *Conversation) compactIfNeeded(ctx context.Context, r *run) error {
	if c.opts.ContextLimit <= 0 || c.contextTokens() < c.compactAt() {
		return nil
	}
	_, err := c.compact(ctx, r, c.keepRecent())
	return err
}

func (c *Conversation) keepRecent() int {
	if c.opts.KeepRecent > 0 {
		return c.opts.KeepRecent
	}
	return DefaultKeepRecent
}

func (c *Conversation) compactAt() int64 {
	at := c.opts.CompactAt
	if at <= 0 || at > 1 {
		at = DefaultCompactAt
	}
	return int64(at * float64(c.opts.ContextLimit))
}

// contextTokens returns what a request costs: the provider's own count for the
// part that it has seen, and an estimate for the rest.
func (c *Conversation) contextTokens() int64 {
	c.mu.Lock()
	s := c.state
	c.mu.Unlock()
	return c.tokensOf(&s)
}

func (c *Conversation) tokensOf(s *state) int64 {
	n := estimate(s.messages[s.contextAt:])
	if s.context == 0 {
		return c.fixed + n
	}
	return s.context + n // the count includes what is fixed
}

// estimateFixed returns roughly how many tokens a request has besides its
// messages.
func estimateFixed(req *Request) int64 {
	bytes := len(req.System)
	for _, text := range req.Context {
		bytes += len(text)
	}
	for i := range req.Tools {
		t := &req.Tools[i]
		bytes += len(t.Name) + len(t.Description) + len(t.Schema)
	}
	return int64(bytes / bytesPerToken)
}

// estimate returns roughly how many tokens messages have.
func estimate(messages []Message) int64 {
	var bytes, files int64
	for i := range messages {
		for j := range messages[i].Parts {
			p := &messages[i].Parts[j]
			bytes += int64(len(p.Text))
			switch {
			case p.Call != nil:
				bytes += int64(len(p.Call.Name) + len(p.Call.Arguments))
			case p.Result != nil:
				bytes += int64(len(p.Result.Text))
				files += int64(len(p.Result.Files))
			case p.File != nil:
				files++
			}
			if p.Provider != nil {
				bytes += int64(len(p.Provider.Data))
			}
		}
	}
	return bytes/bytesPerToken + files*fileTokens + int64(4*len(messages))
}

// Compact shortens the history now: it drops the output of old tool calls, and when that is not enough it replaces the
// older messages by a summary. The last messages, see
// [ConversationOptions.KeepRecent], stay as they are, and calls stay together
// with their results. It reports whether anything changed, and fails with
// [ErrBusy] while a turn runs.
func (c *Conversation) Compact(ctx context.Context) (bool, error) {
	r, err := c.begin(ctx)
	if err != nil {
		return false, err
	}
	defer c.end()
	return c.compact(ctx, r, c.keepRecent())
}

// compact leaves the last keep messages alone. 0 means that even the output that
// the model has not seen yet is dropped.
func (c *Conversation) compact(ctx context.Context, r *run, keep int) (bool, error) {
	c.mu.Lock()
	s, epoch := c.state, c.epoch
	c.mu.Unlock()
	if len(s.open) > 0 {
		return false, nil
	}
	before := c.tokensOf(&s)
	recent := recentFrom(s.messages, max(keep, 1))
	old := recent
	if keep == 0 {
		old = len(s.messages)
	}
	messages, changed := dropOutput(s.messages, old)
	target := c.compactAt() * 3 / 4 // so that the next step does not compact again
	// A single message is worth a summary when it is most of the history and not
	// a summary itself.
	worth := recent > 1 || recent == 1 && keep <= 1 && 2*estimate(messages[:1]) > estimate(messages) &&
		!strings.HasPrefix(messages[0].Text(), summaryHead)
	if saved := estimate(s.messages) - estimate(messages); worth && (!changed || c.opts.ContextLimit > 0 && before-saved > target) {
		summary, err := c.summarize(ctx, r, messages[:recent])
		if err != nil {
			return false, err
		}
		messages = append([]Message{User(summaryHead + summary)}, messages[recent:]...)
		changed = true
	}
	if !changed {
		return false, nil
	}
	c.mu.Lock()
	if c.loads != r.loads || c.epoch != epoch {
		c.mu.Unlock()
		return false, ErrReset
	}
	next := c.state // not s: steering messages may have come in the meantime
	next.messages = messages
	next.context, next.contextAt = 0, 0
	c.rewrite(next)
	c.mu.Unlock()
	if c.opts.Trace.Compacted != nil {
		c.opts.Trace.Compacted(ctx, before, c.tokensOf(&next))
	}
	return true, c.save(ctx, r)
}

// recentFrom returns the index of the first message that a compaction leaves
// alone: never one that holds results, whose calls stand before it.
func recentFrom(messages []Message, keep int) int {
	i := max(0, len(messages)-keep)
	for i > 0 && messages[i].Role == RoleTool {
		i--
	}
	return i
}

// dropOutput returns messages with shorter tool results before index recent. It
// copies what it changes. Reasoning stays: some providers refuse calls whose
// reasoning is missing.
func dropOutput(messages []Message, recent int) ([]Message, bool) {
	out, changed := messages, false
	for i := range recent {
		m := messages[i]
		touched := slices.ContainsFunc(m.Parts, func(p Part) bool {
			return p.Result != nil && (len(p.Result.Text) > droppedOutputBytes || len(p.Result.Files) > 0)
		})
		if !touched {
			continue
		}
		if !changed {
			out, changed = slices.Clone(messages), true
		}
		parts := slices.Clone(m.Parts)
		for j, p := range parts {
			if p.Result != nil && (len(p.Result.Text) > droppedOutputBytes || len(p.Result.Files) > 0) {
				short := *p.Result
				short.Files = nil
				short.Text = fmt.Sprintf("[%d bytes of output were dropped to save context; call again if it is needed]", len(p.Result.Text))
				parts[j].Result = &short
			}
		}
		out[i].Parts = parts
	}
	return out, changed
}

// summaryHead begins the message that replaces others.
const summaryHead = "Summary of the conversation so far, which replaces the messages themselves:\n\n"

const summaryPrompt = `Summarise this conversation between a person and an assistant who works with tools, so that the assistant can go on with only your summary. Keep: what the person wants, in their own words where they matter; decisions and their reasons; what was done, with exact names of files, functions, commands and errors; what was found out; what is left to do. Leave out greetings and anything that no longer matters. Answer with the summary alone.`

// summarize returns a text that replaces messages.
func (c *Conversation) summarize(ctx context.Context, r *run, messages []Message) (string, error) {
	if c.opts.Summarize != nil {
		text, err := c.opts.Summarize(ctx, messages)
		if err == nil && strings.TrimSpace(text) == "" {
			err = errors.New("the summary is empty")
		}
		if err != nil {
			return "", fmt.Errorf("summarising the conversation: %w", err)
		}
		return text, nil
	}
	transcript := Transcript(messages)
	for {
		summary, err := c.askSummary(ctx, r, transcript)
		if ClassOf(err) == ClassContextLength && len(transcript) > minTranscript {
			transcript = withoutMiddle(transcript, len(transcript)/2)
			continue
		}
		if err != nil {
			return "", fmt.Errorf("summarising the conversation: %w", err)
		}
		return summary, nil
	}
}

// minTranscript is the length in bytes below which a transcript that is too long
// for the model is not cut further.
const minTranscript = 2000

// withoutMiddle leaves about n bytes of text: the beginning says what the person
// wants and the end how far it is.
func withoutMiddle(text string, n int) string {
	head, tail := strings.ToValidUTF8(text[:n/2], ""), strings.ToValidUTF8(text[len(text)-n/2:], "")
	return fmt.Sprintf("%s\n[… %d bytes were left out …]\n%s", head, len(text)-len(head)-len(tail), tail)
}

// askSummary has the conversation's own model summarise a transcript.
func (c *Conversation) askSummary(ctx context.Context, r *run, transcript string) (string, error) {
	req := &Request{System: summaryPrompt, Messages: []Message{User(transcript)}}
	spend, err := c.reserve(ctx, estimate(req.Messages), 0)
	if err != nil {
		return "", err
	}
	defer spend.release()
	reply, err := c.chat.Generate(ctx, req)
	if reply != nil {
		cost := c.opts.Price.of(&reply.Finish)
		spend.settle(reply, cost)
		r.turn.Usage = r.turn.Usage.Add(reply.Usage)
		r.turn.Cost += cost
		if err := c.record(r, entry{Usage: &reply.Usage, Cost: cost}); err != nil {
			return "", err
		}
	}
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(reply.Text()) == "" {
		return "", errors.New("the model returned no text")
	}
	return reply.Text(), nil
}

// Transcript renders messages as plain text for a model or a person to read.
func Transcript(messages []Message) string {
	var b strings.Builder
	for i := range messages {
		for _, p := range messages[i].Parts {
			switch {
			case p.Kind == KindText:
				fmt.Fprintf(&b, "[%s] %s\n", messages[i].Role, p.Text)
			case p.Kind == KindToolCall && p.Call != nil:
				fmt.Fprintf(&b, "[call of %s] %s\n", p.Call.Name, p.Call.Arguments)
			case p.Kind == KindToolResult && p.Result != nil:
				word := "result"
				if p.Result.IsError {
					word = "error"
				}
				fmt.Fprintf(&b, "[%s of %s] %s\n", word, p.Result.Name, p.Result.Text)
			case p.Kind == KindFile && p.File != nil:
				url := p.File.URL
				if strings.HasPrefix(url, "data:") {
					url = "" // its bytes say nothing to a reader
				}
				fmt.Fprintf(&b, "[%s] (a file: %s %s%s)\n", messages[i].Role, p.File.MediaType, p.File.Name, url)
			}
		}
	}
	return b.String()
}
