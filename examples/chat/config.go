package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
)

// config is what the user asked for.
type config struct {
	model   string
	baseURL string
	system  string
	tools   []string
	stream  bool
	json    bool
	list    bool
	prompt  []string // as it stands on the command line, or the providers to list
	text    string   // the prompt itself; empty for a conversation
}

// keyVariable holds the key of the endpoint at -base-url.
const keyVariable = "CHAT_API_KEY"

const usage = `chat talks to any model from a terminal.

usage: chat [flags] [prompt]
       chat [flags] -list [provider ...]

A prompt of "-" stands for the standard input. Without a prompt it is read from
there, or a conversation begins when that is a terminal.

`

// parseConfig reads the command line.
func parseConfig(args []string, stderr io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.model, "model", "", "use `provider:model`, with settings as in anthropic:claude-sonnet-4-6?effort=high (default: a good one of the provider whose key is set)")
	flags.StringVar(&c.baseURL, "base-url", "", "talk to the endpoint at `url`, with the key in "+keyVariable+" if it needs one; the provider in -model says which API it speaks: anthropic, google, or else OpenAI's")
	flags.StringVar(&c.system, "system", "", "give the model `instructions`")
	flags.Func("tool", "let the model call the tool `name`: "+strings.Join(toolNames(), ", ")+" (may be repeated)", func(name string) error {
		if !slices.Contains(toolNames(), name) {
			return errors.New("want one of " + strings.Join(toolNames(), ", "))
		}
		if !slices.Contains(c.tools, name) {
			c.tools = append(c.tools, name)
		}
		return nil
	})
	flags.BoolVar(&c.stream, "stream", true, "show the reply as it is written")
	flags.BoolVar(&c.json, "json", false, "print JSON: each part of the reply on a line, then usage and cost")
	flags.BoolVar(&c.list, "list", false, "list the models with status, context and price")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stderr, usage)
			flags.SetOutput(stderr)
			flags.PrintDefaults()
			return c, flag.ErrHelp
		}
		return c, err
	}
	c.prompt = flags.Args()
	if c.baseURL != "" {
		if u, err := url.Parse(c.baseURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return c, fmt.Errorf("-base-url %s: want a URL such as http://localhost:11434/v1", c.baseURL)
		}
	}
	return c, nil
}

// providerOptions say how providers are reached.
func (c *config) providerOptions() providers.Options {
	o := providers.Options{BaseURL: c.baseURL}
	if c.baseURL != "" {
		o.APIKey = os.Getenv(keyVariable)
	}
	return o
}

// readPrompt joins the words of the command line, in which "-" stands for stdin;
// without words the prompt is stdin.
func readPrompt(words []string, stdin io.Reader) (string, error) {
	if len(words) == 0 {
		words = []string{"-"}
	}
	words = slices.Clone(words)
	separator := " "
	if i := slices.Index(words, "-"); i >= 0 {
		piped, err := io.ReadAll(stdin)
		if err != nil {
			return "", fmt.Errorf("reading the prompt: %w", err)
		}
		words[i] = strings.TrimSpace(strings.ToValidUTF8(string(piped), "\uFFFD"))
		separator = "\n\n"
	}
	text := strings.TrimSpace(strings.Join(words, separator))
	if text == "" {
		return "", errors.New("there is no prompt: give it as an argument or on the standard input")
	}
	return text, nil
}
