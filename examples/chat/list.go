package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strconv"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/providers"
	"github.com/tokenring-ai/tokenring-go/utility/text"
)

// listed is a model in the output of -list -json.
type listed struct {
	Model     string          `json:"model"`
	Name      string          `json:"name,omitempty"`
	Status    aiclient.Status `json:"status"`
	Context   int64           `json:"context,omitempty"`   // tokens
	MaxOutput int64           `json:"maxOutput,omitempty"` // tokens
	Price     *aiclient.Price `json:"price,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// list prints the models of the named providers, or of all that can be used.
func list(ctx context.Context, cfg config, stdout, stderr io.Writer) error {
	opts := cfg.providerOptions()
	opts.Logger = slog.New(slog.DiscardHandler) // what goes wrong is printed
	var reg *aiclient.ChatRegistry
	var err error
	if len(cfg.prompt) > 0 {
		reg, err = providers.Registry(opts, cfg.prompt...)
	} else {
		reg, err = providers.Available(opts)
	}
	if err != nil {
		return err
	}
	defer reg.Close(context.WithoutCancel(ctx))
	models := reg.List(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	for err := range failures(ctx, reg, models, len(cfg.prompt) > 0 || cfg.baseURL != "") {
		if api, ok := errors.AsType[*aiclient.APIError](err); ok {
			err = api // it names the provider
		}
		fmt.Fprintf(stderr, "chat: %s\n", harmless(err.Error()))
	}
	if len(models) == 0 {
		return errors.New("no models: set the key of a provider, such as OPENAI_API_KEY, or start a local server")
	}
	if cfg.json {
		return listJSON(stdout, models)
	}
	rows := make([][]string, len(models))
	for i, m := range models {
		rows[i] = []string{harmless(m.Spec.Model().String()), string(m.Status), tokens(m.Spec.Context), price(m.Spec.Price.Input, m.Spec), price(m.Spec.Price.Output, m.Spec)}
	}
	_, err = fmt.Fprint(stdout, text.Table([]string{"model", "status", "context", "USD/M in", "USD/M out"}, rows))
	return err
}

// failures yields why providers do not list their models. Those of which no model
// is known, such as local servers that do not run, are left out unless all are
// asked for.
func failures(ctx context.Context, reg *aiclient.ChatRegistry, models []aiclient.ModelStatus, all bool) iter.Seq[error] {
	return func(yield func(error) bool) {
		for name := range reg.Providers() {
			shown := slices.ContainsFunc(models, func(m aiclient.ModelStatus) bool { return m.Spec.Provider == name })
			if !shown && !all {
				continue
			}
			i := slices.IndexFunc(models, func(m aiclient.ModelStatus) bool {
				return m.Spec.Provider == name && aiclient.ClassOf(m.Err) != ""
			})
			if i >= 0 {
				if !yield(models[i].Err) {
					return
				}
			} else if !shown {
				if _, err := reg.Status(ctx, name+":any"); err != nil && !yield(err) {
					return
				}
			}
		}
	}
}

func listJSON(out io.Writer, models []aiclient.ModelStatus) error {
	enc := json.NewEncoder(out)
	for _, m := range models {
		l := listed{Model: m.Spec.Model().String(), Name: m.Spec.Name, Status: m.Status, Context: m.Spec.Context, MaxOutput: m.Spec.MaxOutput}
		if !m.Spec.Price.IsZero() {
			l.Price = &m.Spec.Price
		}
		if m.Err != nil {
			l.Error = m.Err.Error()
		}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return nil
}

// tokens shortens a number of tokens, as in 200k.
func tokens(n int64) string {
	switch {
	case n == 0:
		return ""
	case n%1_000_000 == 0:
		return strconv.FormatInt(n/1_000_000, 10) + "M"
	case n >= 10_000:
		return strconv.FormatInt(n/1000, 10) + "k"
	}
	return strconv.FormatInt(n, 10)
}

// price is a price in USD per million tokens.
func price(usd float64, spec aiclient.ModelSpec) string {
	if spec.Price.IsZero() {
		return ""
	}
	return strconv.FormatFloat(usd, 'f', -1, 64)
}
