package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/aitest"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// openModel opens the model of that name, or the script.
func openModel(name string) (chat aiclient.Chat, release func(), err error) {
	if name != "" {
		chat, _, err = providers.Chat(name, providers.Options{})
		return chat, func() {}, err
	}
	server := aitest.NewServer(nil, script)
	provider := openai.New(openai.Options{Name: "scripted", BaseURL: server.URL + "/v1"})
	return provider.Chat("scripted"), server.Close, nil
}

// script does what the task names, a tool and its arguments, or else ticks the
// tea off the list, with a look where it must not look.
func script(req aitest.Request) aitest.Reply {
	step := len(req.Calls(""))
	if name, args, ok := strings.Cut(req.LastUser(), " {"); ok {
		if step == 0 {
			return aitest.Call(strings.TrimSpace(name), "{"+args)
		}
		return aitest.Text("That was it.")
	}
	switch step {
	case 0:
		return aitest.Call("read", `{"path":"todo.txt"}`)
	case 1:
		return aitest.Call("edit", `{"path":"todo.txt","edits":[{"old":"buy tea","new":"buy tea (done)"}]}`)
	case 2:
		return aitest.Call("read", `{"path":"../secret.txt"}`)
	default:
		return aitest.Text("The tea is ticked off. Files elsewhere are out of my reach.")
	}
}

// person asks on the terminal whether a call may be made. No answer means no.
func person(in io.Reader, out io.Writer) approve {
	lines := bufio.NewScanner(in)
	return func(_ context.Context, q aiclient.Approval) (aiclient.Decision, error) {
		fmt.Fprintf(out, "May the model call %s %s? [y/N] ", plain(q.Call.Name), plain(q.Call.Arguments))
		answer := ""
		if lines.Scan() {
			answer = strings.ToLower(strings.TrimSpace(lines.Text()))
		}
		fmt.Fprintln(out)
		if answer == "y" || answer == "yes" {
			return aiclient.Decision{Allow: true}, nil
		}
		return aiclient.Decision{Reason: "the person does not want it"}, nil
	}
}

// hints puts what a tool claims into words.
func hints(a tool.Annotations) string {
	var words []string
	for _, h := range []struct {
		holds bool
		word  string
	}{{a.ReadOnly, "read-only"}, {a.Destructive, "destructive"}, {a.Idempotent, "idempotent"}, {a.OpenWorld, "open world"}} {
		if h.holds {
			words = append(words, h.word)
		}
	}
	return strings.Join(words, ", ")
}

// plain takes out what a terminal could obey instead of showing it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}
