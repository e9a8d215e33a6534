package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/utility/text"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// session is one conversation.
type session struct {
	conv *aiclient.Conversation
	out  *printer
}

// attempts is how often a request is sent before an error of the provider or the
// network counts.
const attempts = 3

// open opens the model. ctx bounds the question which model an endpoint serves.
func open(ctx context.Context, cfg config, out *printer) (*session, error) {
	opts := cfg.providerOptions()
	if cfg.model == "" {
		var err error
		if cfg.model, err = providers.Default(ctx, opts); err != nil {
			return nil, err
		}
	}
	chat, spec, err := providers.Chat(cfg.model, opts)
	if err != nil {
		return nil, err
	}
	if !cfg.stream {
		chat = aiclient.Wrap(chat, aiclient.WithoutStreaming())
	}
	chat = aiclient.Wrap(chat, aiclient.WithRetry(aiclient.RetryOptions{
		Attempts: attempts,
		OnRetry: func(_ context.Context, _ int, err error, wait time.Duration) {
			out.note("%v; trying again in %s", err, text.Duration(wait))
		},
	}))
	var chosen []tool.Tool
	for _, name := range cfg.tools {
		chosen = append(chosen, tools[name])
	}
	return &session{out: out, conv: aiclient.NewConversation(chat, aiclient.ConversationOptions{
		System:       cfg.system,
		Tools:        chosen,
		Price:        spec.Price,
		ContextLimit: spec.Context,
		Trace: aiclient.ConversationTrace{
			OnPart: func(_ context.Context, p aiclient.Part) { out.part(p) },
			ToolEnd: func(_ context.Context, call aiclient.ToolCall, result aiclient.ToolResult, took time.Duration) {
				out.tool(call, result, took)
			},
			Compacted: func(_ context.Context, before, after int64) {
				out.note("the conversation was shortened from %d to %d tokens", before, after)
			},
		},
	})}, nil
}

// say sends a message and prints the answer.
func (s *session) say(ctx context.Context, message string) error {
	turn, err := s.conv.Send(ctx, message)
	s.out.end(s.conv.Chat().Model(), turn, err)
	return err
}

const help = `Type a message and press Enter. Ctrl-C cancels a reply; what was said stays.
/new begins anew, /exit or Ctrl-D ends.`

// interact converses with the person at the terminal until the input ends.
func (s *session) interact(ctx context.Context, interrupts <-chan os.Signal, stdin io.Reader) error {
	s.out.note("%s; /help for help", s.conv.Chat().Model())
	lines := readLines(ctx, stdin)
	for {
		s.out.prompt()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-interrupts:
			s.out.note("\nCtrl-D or /exit ends")
		case line, ok := <-lines:
			if !ok {
				s.out.note("")
				return nil
			}
			if line = strings.TrimSpace(line); line == "/exit" {
				return nil
			}
			if err := s.enter(ctx, interrupts, line); err != nil {
				return err
			}
		}
	}
}

// enter takes one line. Only the end of ctx is an error: a person can try again.
func (s *session) enter(ctx context.Context, interrupts <-chan os.Signal, line string) error {
	switch line {
	case "":
	case "/help":
		s.out.note(help)
	case "/new":
		s.conv.Reset("chat")
	default:
		turn, stop := cancelOn(ctx, interrupts)
		defer stop()
		if err := s.say(turn, line); errors.Is(err, context.Canceled) {
			s.out.note("cancelled")
		} else if err != nil {
			s.out.note("%v", err)
		}
	}
	return ctx.Err()
}

// readLines hands out the lines of r until it ends. Its goroutine ends with the
// input, or with the process when nobody types any more.
func readLines(ctx context.Context, r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		in := bufio.NewReader(r)
		for {
			line, err := in.ReadString('\n')
			if line != "" {
				select {
				case lines <- strings.ToValidUTF8(line, "\uFFFD"):
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}
