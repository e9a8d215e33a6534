package aiclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Preference says which of several models is the best.
type Preference string

// The preferences. Models for which the figure is not known come last.
const (
	Cheapest Preference = "cheapest" // the lowest price for three tokens of input to one of output
	Fastest  Preference = "fastest"  // the highest [ModelSpec.Speed]
	Smartest Preference = "smartest" // the highest [ModelSpec.Score], or else the highest price among those that think
)

// Requirements are what a model must offer.
type Requirements struct {
	Names     []string // only these; they may carry features
	Providers []string // only these
	Prefer    Preference

	Context   int64    // at least so many tokens
	MaxOutput int64    // at least so many tokens
	Tools     bool     // it can call tools
	Reasons   bool     // it can think
	Media     []string // it takes these media types, such as "image/png"
	MaxPrice  float64  // USD per million tokens, three of input to one of output
	Cold      bool     // a model that must be loaded first will do
}

// Choice is what [Registry.Resolve] chose.
type Choice[C any] struct {
	Client  C
	Spec    ModelSpec
	Status  Status
	Reason  string
	Refused []Refusal // every other candidate, the best first
}

// Refusal says why a candidate was not chosen.
type Refusal struct {
	Model  Model
	Reason string
}

// Resolve chooses the best model that satisfies q and says why each other
// candidate was refused. Two models that are equally good are an error that
// wraps [ErrAmbiguous], unless q.Names gives an order.
func (r *Registry[C]) Resolve(ctx context.Context, q Requirements) (Choice[C], error) {
	candidates, refused, err := r.candidates(ctx, q)
	if err != nil {
		return Choice[C]{}, err
	}
	var fit []candidate[C]
	for _, c := range candidates {
		if why := q.lacks(c.ref.Spec, c.status, c.err); why != "" {
			refused = append(refused, Refusal{c.ref.Spec.Model(), why})
			continue
		}
		fit = append(fit, c)
	}
	slices.SortStableFunc(fit, func(a, b candidate[C]) int {
		if online := cmp.Compare(b2i(a.status == StatusCold), b2i(b.status == StatusCold)); online != 0 {
			return online
		}
		return q.Prefer.compare(a.ref.Spec, b.ref.Spec)
	})
	for i, c := range fit {
		if i+1 < len(fit) && len(q.Names) == 0 && (q.Prefer.compare(c.ref.Spec, fit[i+1].ref.Spec) == 0 && c.status == fit[i+1].status) {
			return Choice[C]{Refused: refused}, fmt.Errorf("%w: %s and %s satisfy the requirements equally well; give names or a preference",
				ErrAmbiguous, c.ref.Spec.Model(), fit[i+1].ref.Spec.Model())
		}
		client, err := c.p.Open(c.ref.Spec, c.ref.Features)
		if err != nil {
			refused = append(refused, Refusal{c.ref.Spec.Model(), err.Error()})
			continue
		}
		choice := Choice[C]{Client: client, Spec: c.ref.Spec, Status: c.status, Reason: q.Prefer.reason(c.ref.Spec)}
		for _, other := range fit[i+1:] {
			choice.Refused = append(choice.Refused, Refusal{other.ref.Spec.Model(), fmt.Sprintf("%s is better: %s", c.ref.Spec.Model(), choice.Reason)})
		}
		choice.Refused = append(choice.Refused, refused...)
		return choice, nil
	}
	var reasons []string
	for _, x := range refused {
		reasons = append(reasons, x.Model.String()+": "+x.Reason)
	}
	if len(reasons) == 0 {
		reasons = []string{"there are no candidates"}
	}
	return Choice[C]{Refused: refused}, fmt.Errorf("no model satisfies the requirements: %s", strings.Join(reasons, "; "))
}

type candidate[C any] struct {
	p      *provider[C]
	ref    Ref
	status Status
	err    error
}

// candidates returns the models that q speaks of, with their status.
func (r *Registry[C]) candidates(ctx context.Context, q Requirements) (out []candidate[C], refused []Refusal, err error) {
	var providers []*provider[C]
	for name, p := range r.providers.All() {
		if len(q.Providers) == 0 || slices.Contains(q.Providers, name) {
			providers = append(providers, p)
		}
	}
	if len(q.Names) == 0 {
		for _, p := range providers {
			for _, spec := range p.Models {
				features, err := spec.Check(nil)
				if err != nil {
					refused = append(refused, Refusal{spec.Model(), err.Error()})
					continue
				}
				out = append(out, candidate[C]{p: p, ref: Ref{spec, features}})
			}
		}
	}
	for _, name := range q.Names {
		p, ref, err := r.parse(name)
		switch {
		case errors.Is(err, ErrAmbiguous):
			return nil, nil, err
		case err != nil:
			refused = append(refused, Refusal{Model{ID: name}, err.Error()})
		case !slices.Contains(providers, p):
			refused = append(refused, Refusal{ref.Spec.Model(), "its provider is excluded"})
		default:
			out = append(out, candidate[C]{p: p, ref: ref})
		}
	}
	var ask []*provider[C]
	for _, c := range out {
		if !slices.Contains(ask, c.p) {
			ask = append(ask, c.p)
		}
	}
	askAll(ctx, ask)
	for i := range out {
		out[i].status, out[i].err = out[i].p.status(ctx, out[i].ref.Spec.ID)
	}
	return out, refused, nil
}

// lacks says why a model does not satisfy q, or nothing.
func (q Requirements) lacks(s ModelSpec, status Status, err error) string {
	switch {
	case !status.Usable():
		return "offline: " + err.Error()
	case status == StatusCold && !q.Cold:
		return "it must be loaded first"
	case q.Context > s.Context:
		return fmt.Sprintf("its context is %d tokens, %d are needed", s.Context, q.Context)
	case q.MaxOutput > 0 && q.MaxOutput > s.MaxOutput:
		return fmt.Sprintf("its replies have at most %d tokens, %d are needed", s.MaxOutput, q.MaxOutput)
	case q.Tools && s.NoTools:
		return "it cannot call tools"
	case q.Reasons && !s.Reasons:
		return "it cannot think"
	case q.MaxPrice > 0 && s.Price.IsZero():
		return "its price is not known"
	case q.MaxPrice > 0 && s.Price.blend() > q.MaxPrice:
		return fmt.Sprintf("it costs %.2f USD per million tokens, at most %.2f are allowed", s.Price.blend(), q.MaxPrice)
	}
	for _, media := range q.Media {
		if !slices.ContainsFunc(s.Input, func(pattern string) bool { return wildcard(pattern, media) }) {
			return "it does not take " + media
		}
	}
	return ""
}

// blend is the price of a million tokens, three of input to one of output,
// which is about what a conversation with tools has.
func (p Price) blend() float64 { return (3*p.Input + p.Output) / 4 }

func (p Preference) compare(a, b ModelSpec) int {
	switch p {
	case Cheapest:
		if c := cmp.Compare(b2i(a.Price.IsZero()), b2i(b.Price.IsZero())); c != 0 {
			return c
		}
		return cmp.Compare(a.Price.blend(), b.Price.blend())
	case Fastest:
		return cmp.Compare(b.Speed, a.Speed)
	case Smartest:
		if c := cmp.Compare(b.Score, a.Score); c != 0 {
			return c
		}
		if c := cmp.Compare(b2i(b.Reasons), b2i(a.Reasons)); c != 0 {
			return c
		}
		return cmp.Compare(b.Price.blend(), a.Price.blend())
	}
	return 0
}

func (p Preference) reason(s ModelSpec) string {
	switch p {
	case Cheapest:
		return fmt.Sprintf("%.2f USD per million tokens", s.Price.blend())
	case Fastest:
		return fmt.Sprintf("%.0f tokens per second", s.Speed)
	case Smartest:
		return fmt.Sprintf("score %.1f, %.2f USD per million tokens", s.Score, s.Price.blend())
	}
	return "it comes first"
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
