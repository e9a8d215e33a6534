package aiclient

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/utility/cache"
)

// ChatRegistry holds chat models.
type ChatRegistry = Registry[Chat]

// Registry holds the models of providers under names of the form
// "provider:model?feature=value", and knows which of them can be used now. C is
// the kind of client, such as [Chat].
//
// The zero value is empty and ready. A Registry is safe for concurrent use. It
// owns no goroutine but those that ask a provider for its models; Close ends
// them.
type Registry[C any] struct {
	providers registry.Keyed[*provider[C]]
}

// Provider is a provider of models.
type Provider[C any] struct {
	// Name stands before the colon in the names of its models.
	Name string

	// Models are what is known of its models.
	Models []ModelSpec

	// AnyModel lets names through that Models does not list.
	AnyModel bool

	// Open makes the client of a model. It must be cheap: nothing is asked of
	// the provider before the client is used.
	Open func(spec ModelSpec, features Features) (C, error)

	// List asks the provider which models it has now, all of them in one
	// request. Nil means that nothing is known about their status.
	List func(ctx context.Context) ([]Listed, error)

	// TTL is how long the answer of List holds, and Timeout how long it may
	// take. 0 means the defaults of package cache: 30 s and 1 s.
	TTL, Timeout time.Duration

	// Logger receives failures of List in the background. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Listed is a model as its provider lists it.
type Listed struct {
	ID   string
	Cold bool // available, but it must be loaded first
}

// Status says whether a model can be used now.
type Status string

// The statuses.
const (
	StatusOnline  Status = "online"
	StatusCold    Status = "cold"    // it can be used after it has been loaded
	StatusOffline Status = "offline" // the provider cannot be reached or does not have it
	StatusUnknown Status = "unknown" // the provider does not say
)

// Usable reports whether it makes sense to try.
func (s Status) Usable() bool { return s != StatusOffline }

type provider[C any] struct {
	Provider[C]
	specs  map[string]int // index into Models
	listed *cache.Value[map[string]Status]
}

// Add registers a provider. A name that is taken is an error that wraps
// [registry.ErrExists].
func (r *Registry[C]) Add(p Provider[C]) error {
	if p.Name == "" || strings.ContainsAny(p.Name, ":?") {
		return fmt.Errorf("provider %q: the name must not be empty or have ':' or '?'", p.Name)
	}
	if p.Open == nil {
		return fmt.Errorf("provider %q: Open is missing", p.Name)
	}
	added := &provider[C]{Provider: p, specs: make(map[string]int, len(p.Models))}
	added.Models = slices.Clone(p.Models)
	for i := range added.Models {
		m := &added.Models[i]
		if _, taken := added.specs[m.ID]; taken || m.ID == "" {
			return fmt.Errorf("provider %q: model %q is given twice or has no ID", p.Name, m.ID)
		}
		*m = specFor[C](p.Name, *m)
		added.specs[m.ID] = i
	}
	if p.List != nil {
		ttl := p.TTL
		if ttl == 0 {
			ttl = cache.DefaultTTL
		}
		added.listed = cache.NewValue(added.ask, cache.Options{
			TTL: p.TTL, Timeout: p.Timeout, RefreshAhead: ttl / 3, NegativeTTL: ttl / 6, StaleFor: ttl, Logger: p.Logger,
		})
	}
	return r.providers.Register(p.Name, added)
}

// specFor completes a spec. A model that is no chat model has only the features
// that its spec names.
func specFor[C any](provider string, spec ModelSpec) ModelSpec {
	spec.Provider = provider
	switch any((*C)(nil)).(type) {
	case *EmbeddingModel, *ImageModel, *SpeechModel, *TranscriptionModel, *RerankModel:
		if spec.Features == nil {
			spec.Features = map[string]Feature{}
		}
	}
	return spec
}

func (p *provider[C]) ask(ctx context.Context) (map[string]Status, error) {
	list, err := p.List(ctx)
	if err != nil {
		return nil, err
	}
	status := make(map[string]Status, len(list))
	for _, l := range list {
		status[l.ID] = StatusOnline
		if l.Cold {
			status[l.ID] = StatusCold
		}
	}
	return status, nil
}

// Remove unregisters a provider and reports whether it was there.
func (r *Registry[C]) Remove(ctx context.Context, name string) bool {
	p, ok := r.providers.Get(name)
	if !ok || !r.providers.Unregister(name) {
		return false
	}
	if p.listed != nil {
		_ = p.listed.Close(ctx)
	}
	return true
}

// Close removes all providers and ends what is being asked of them.
func (r *Registry[C]) Close(ctx context.Context) error {
	var errs []error
	for name, p := range r.providers.All() {
		r.providers.Unregister(name)
		if p.listed != nil {
			errs = append(errs, p.listed.Close(ctx))
		}
	}
	return errors.Join(errs...)
}

// Providers yields the names of the providers in the order of registration.
func (r *Registry[C]) Providers() iter.Seq[string] { return r.providers.Names() }

// Ref is a model that a name refers to.
type Ref struct {
	Spec     ModelSpec
	Features Features
}

// Parse finds the model that name refers to and checks its features. A name
// without a provider is accepted when exactly one provider lists that model;
// with more than one it is an error that wraps [ErrAmbiguous].
func (r *Registry[C]) Parse(name string) (Ref, error) {
	_, ref, err := r.parse(name)
	return ref, err
}

// ErrAmbiguous is wrapped by errors about names that several models have.
var ErrAmbiguous = errors.New("the name is ambiguous")

func (r *Registry[C]) parse(name string) (*provider[C], Ref, error) {
	from, model, given, err := SplitName(name)
	if err != nil {
		return nil, Ref{}, err
	}
	var p *provider[C]
	if from == "" {
		if p, err = r.only(model); err != nil {
			return nil, Ref{}, err
		}
	} else if p, err = r.providers.Require(from); err != nil {
		// A model's own name may have a colon, such as "qwen3:8b".
		base, _, _ := strings.Cut(name, "?")
		whole, only := r.only(base)
		if only != nil {
			if errors.Is(only, ErrAmbiguous) {
				err = only
			}
			return nil, Ref{}, fmt.Errorf("model %q: provider: %w", name, err)
		}
		p, model = whole, base
	}
	spec := specFor[C](p.Name, ModelSpec{ID: model})
	if i, ok := p.specs[model]; ok {
		spec = p.Models[i]
	} else if !p.AnyModel {
		return nil, Ref{}, fmt.Errorf("model %q: %s has no model %q: %w%s", name, p.Name, model, registry.ErrNotFound, p.near(model))
	}
	features, err := spec.Check(given)
	if err != nil {
		return nil, Ref{}, err
	}
	return p, Ref{Spec: spec, Features: features}, nil
}

// only returns the one provider that lists model.
func (r *Registry[C]) only(model string) (*provider[C], error) {
	var found []*provider[C]
	for _, p := range r.providers.All() {
		if _, ok := p.specs[model]; ok {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("model %q: no provider lists it: %w; want provider:model", model, registry.ErrNotFound)
	}
	names := make([]string, len(found))
	for i, p := range found {
		names[i] = p.Name + ":" + model
	}
	return nil, fmt.Errorf("model %q: %w: it may be %s", model, ErrAmbiguous, strings.Join(names, " or "))
}

// near lists models whose names resemble model.
func (p *provider[C]) near(model string) string {
	var near []string
	for _, m := range p.Models {
		if len(near) < 5 && (strings.Contains(m.ID, model) || strings.Contains(model, m.ID) || strings.EqualFold(m.ID, model)) {
			near = append(near, m.ID)
		}
	}
	if len(near) == 0 {
		return fmt.Sprintf("; it has %d models", len(p.Models))
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// Get returns the client of the model that name refers to. It asks nothing of
// the provider.
func (r *Registry[C]) Get(name string) (C, error) {
	var none C
	p, ref, err := r.parse(name)
	if err != nil {
		return none, err
	}
	client, err := p.Open(ref.Spec, ref.Features)
	if err != nil {
		return none, fmt.Errorf("model %q: %w", name, err)
	}
	return client, nil
}

// Status says whether the model that name refers to can be used now. The error
// says why it is offline.
func (r *Registry[C]) Status(ctx context.Context, name string) (Status, error) {
	p, ref, err := r.parse(name)
	if err != nil {
		return StatusOffline, err
	}
	return p.status(ctx, ref.Spec.ID)
}

func (p *provider[C]) status(ctx context.Context, model string) (Status, error) {
	if p.listed == nil {
		return StatusUnknown, nil
	}
	list, err := p.listed.Get(ctx)
	if err != nil {
		return StatusOffline, fmt.Errorf("models of %s: %w", p.Name, err)
	}
	if s, ok := list[model]; ok {
		return s, nil
	}
	for id, s := range list {
		if rest, ok := strings.CutPrefix(id, model); ok && isVersion(rest) {
			return s, nil // a name without a version stands for one with it
		}
	}
	return StatusOffline, fmt.Errorf("%s does not list the model %q now", p.Name, model)
}

// isVersion reports whether s is what providers append to a model's name to name
// a version of it: a date, or the tag of the newest.
func isVersion(s string) bool {
	if s == ":latest" || s == "-latest" {
		return true
	}
	date, ok := strings.CutPrefix(s, "-")
	date = strings.ReplaceAll(date, "-", "")
	return ok && len(date) == len("20060102") && strings.HasPrefix(date, "20") && strings.Trim(date, "0123456789") == ""
}

// ModelStatus is a model of a registry with its status.
type ModelStatus struct {
	Spec   ModelSpec
	Status Status
	Err    error // why it is offline
}

// List returns the models of the named providers, or of all, in the order of
// registration. It asks all providers at the same time and once each.
func (r *Registry[C]) List(ctx context.Context, providers ...string) []ModelStatus {
	var chosen []*provider[C]
	for name, p := range r.providers.All() {
		if len(providers) == 0 || slices.Contains(providers, name) {
			chosen = append(chosen, p)
		}
	}
	askAll(ctx, chosen)
	var out []ModelStatus
	for _, p := range chosen {
		for _, m := range p.Models {
			status, err := p.status(ctx, m.ID)
			out = append(out, ModelStatus{Spec: m, Status: status, Err: err})
		}
		out = append(out, p.unlisted(ctx)...)
	}
	return out
}

// unlisted returns the models that the provider has and Models does not know.
func (p *provider[C]) unlisted(ctx context.Context) []ModelStatus {
	if !p.AnyModel || p.listed == nil {
		return nil
	}
	list, err := p.listed.Get(ctx)
	if err != nil {
		return nil
	}
	var out []ModelStatus
	for id, status := range list {
		if _, known := p.specs[id]; !known {
			out = append(out, ModelStatus{Spec: specFor[C](p.Name, ModelSpec{ID: id, Name: id}), Status: status})
		}
	}
	slices.SortFunc(out, func(a, b ModelStatus) int { return strings.Compare(a.Spec.ID, b.Spec.ID) })
	return out
}

// askAll asks providers for their models at the same time, so that one that is
// slow or fails does not hold up the others.
func askAll[C any](ctx context.Context, providers []*provider[C]) {
	done := make(chan struct{}, len(providers))
	n := 0
	for _, p := range providers {
		if p.listed != nil {
			n++
			go func() {
				_, _ = p.listed.Get(ctx) // remembered; the error too
				done <- struct{}{}
			}()
		}
	}
	for range n {
		<-done
	}
}

// First returns the first of names that can be used now. A model that must be
// loaded first is taken when none is online. When no name can be used, the error
// says for each why.
func (r *Registry[C]) First(ctx context.Context, names ...string) (C, error) {
	var none C
	if len(names) == 0 {
		return none, errors.New("no names of models are given")
	}
	var providers []*provider[C]
	var refused []error
	type candidate struct {
		p   *provider[C]
		ref Ref
	}
	var candidates []candidate
	for _, name := range names {
		p, ref, err := r.parse(name)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		candidates = append(candidates, candidate{p, ref})
		if !slices.Contains(providers, p) {
			providers = append(providers, p)
		}
	}
	askAll(ctx, providers)
	var cold []candidate
	for _, c := range candidates {
		status, err := c.p.status(ctx, c.ref.Spec.ID)
		switch {
		case status == StatusCold:
			cold = append(cold, c)
		case !status.Usable():
			refused = append(refused, err)
		default:
			client, err := c.p.Open(c.ref.Spec, c.ref.Features)
			if err == nil {
				return client, nil
			}
			refused = append(refused, fmt.Errorf("%s: %w", c.ref.Spec.Model(), err))
		}
	}
	for _, c := range cold {
		client, err := c.p.Open(c.ref.Spec, c.ref.Features)
		if err == nil {
			return client, nil
		}
		refused = append(refused, fmt.Errorf("%s: %w", c.ref.Spec.Model(), err))
	}
	return none, fmt.Errorf("none of %d models can be used: %w", len(names), errors.Join(refused...))
}
