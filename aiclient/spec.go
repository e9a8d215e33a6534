package aiclient

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ModelSpec is what is known about a model. Zero fields are not known.
type ModelSpec struct {
	Provider string // the name of the provider's adapter
	ID       string // the provider's name of the model
	Name     string // for people

	Context   int64 // tokens of the context window
	MaxOutput int64 // tokens of a reply, reasoning included
	Price     Price

	// Input are the media that the model takes besides text, as patterns of
	// media types such as "image/*". It may take others; empty and not nil means
	// none at all.
	Input []string

	NoTools    bool     // the model cannot call tools
	Reasons    bool     // the model can think before it answers
	Efforts    []string // the words for [ReasoningOptions.Effort]
	Effort     string   // the effort that the provider takes by default
	Score      float64  // how capable the model is, on any one scale of the program
	Speed      float64  // output tokens per second
	Deprecated bool

	// Features are settings that a name may carry: "provider:model?effort=low".
	// Nil means [ChatFeatures] for chat models.
	Features map[string]Feature
}

// Model returns the model's name.
func (s ModelSpec) Model() Model { return Model{Provider: s.Provider, ID: s.ID} }

// FeatureKind is the type of a feature's value.
type FeatureKind string

// The kinds of features.
const (
	FeatureBool   FeatureKind = "bool"   // true, false, 1 or 0; a bare name means true
	FeatureInt    FeatureKind = "int"    // a whole number from Min to Max
	FeatureFloat  FeatureKind = "number" // a number from Min to Max
	FeatureChoice FeatureKind = "choice" // one of Values
	FeatureText   FeatureKind = "text"   // anything
)

// Feature is a setting of a model that its name may carry.
type Feature struct {
	Kind     FeatureKind
	Values   []string // of FeatureChoice
	Min, Max float64  // of FeatureInt and FeatureFloat; both 0 means any
	Default  string   // used when the name does not say; empty means none
	About    string
}

// Describe says which values f takes.
func (f Feature) Describe() string {
	switch f.Kind {
	case FeatureBool:
		return "true or false"
	case FeatureChoice:
		return "one of " + strings.Join(f.Values, ", ")
	case FeatureInt, FeatureFloat:
		what := "a number"
		if f.Kind == FeatureInt {
			what = "a whole number"
		}
		if f.Min != 0 || f.Max != 0 {
			what += fmt.Sprintf(" from %v to %v", f.Min, f.Max)
		}
		return what
	}
	return "any text"
}

// check returns value in its canonical form.
func (f Feature) check(value string) (string, bool) {
	switch f.Kind {
	case FeatureBool:
		if value == "" {
			return "true", true
		}
		b, err := strconv.ParseBool(value)
		return strconv.FormatBool(b), err == nil
	case FeatureChoice:
		return value, slices.Contains(f.Values, value)
	case FeatureInt:
		n, err := strconv.ParseInt(value, 10, 64)
		return value, err == nil && f.within(float64(n))
	case FeatureFloat:
		n, err := strconv.ParseFloat(value, 64)
		return value, err == nil && n-n == 0 && f.within(n) // neither NaN nor infinite
	}
	return value, true
}

func (f Feature) within(n float64) bool {
	return f.Min == 0 && f.Max == 0 || n >= f.Min && n <= f.Max
}

// Features are the settings that a name carried, checked against a spec. The
// methods return the zero value for a feature that was not given.
type Features map[string]string

// Has reports whether the feature was given or has a default.
func (f Features) Has(name string) bool { _, ok := f[name]; return ok }

// Text returns the feature as it was given.
func (f Features) Text(name string) string { return f[name] }

// Bool returns a feature of [FeatureBool].
func (f Features) Bool(name string) bool { return f[name] == "true" }

// Int returns a feature of [FeatureInt].
func (f Features) Int(name string) int64 {
	n, _ := strconv.ParseInt(f[name], 10, 64)
	return n
}

// Float returns a feature of [FeatureFloat].
func (f Features) Float(name string) float64 {
	n, _ := strconv.ParseFloat(f[name], 64)
	return n
}

// SplitName splits "provider:model?feature=value&…" into its parts. The
// provider ends at the first colon, so that a model's name may have colons; it
// is empty when there is none. Nothing is lower-cased.
func SplitName(name string) (provider, model string, features url.Values, err error) {
	base, query, _ := strings.Cut(name, "?")
	features, err = url.ParseQuery(query)
	if err != nil {
		return "", "", nil, fmt.Errorf("model %q: features: %w", name, err)
	}
	provider, model, ok := strings.Cut(base, ":")
	if !ok {
		provider, model = "", base
	}
	if model == "" {
		return "", "", nil, fmt.Errorf("model %q: the name of the model is missing; want provider:model", name)
	}
	for feature, values := range features {
		if len(values) > 1 {
			return "", "", nil, fmt.Errorf("model %q: feature %q is given %d times", name, feature, len(values))
		}
	}
	return provider, model, features, nil
}

// Check checks the features of a name against the spec and adds defaults. An
// unknown feature or a bad value is an error that lists the valid ones.
func (s ModelSpec) Check(given url.Values) (Features, error) {
	known := s.Features
	if known == nil {
		known = ChatFeatures(s)
	}
	out := Features{}
	for name, f := range known {
		if f.Default != "" {
			out[name] = f.Default
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		f, ok := known[name]
		if !ok {
			return nil, fmt.Errorf("model %s: unknown feature %q; it has: %s", s.Model(), name, describe(known))
		}
		value, ok := f.check(given.Get(name))
		if !ok {
			return nil, fmt.Errorf("model %s: feature %s=%q: want %s", s.Model(), name, given.Get(name), f.Describe())
		}
		out[name] = value
	}
	return out, nil
}

func describe(features map[string]Feature) string {
	if len(features) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(features)) {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(name + " (" + features[name].Describe() + ")")
	}
	return b.String()
}

// ChatFeatures are the features that any chat model can take, as far as s
// allows: they are the fields of [Request]. [WithFeatures] applies them.
func ChatFeatures(s ModelSpec) map[string]Feature {
	features := map[string]Feature{
		"websearch":   {Kind: FeatureBool, About: "the provider's own search"},
		"maxsearches": {Kind: FeatureInt, Min: 1, Max: 100, About: "bounds the searches of one reply; without websearch=false it allows them"},
		"temperature": {Kind: FeatureFloat, Min: 0, Max: 2},
		"topp":        {Kind: FeatureFloat, Min: 0, Max: 1},
		"maxtokens":   {Kind: FeatureInt, Min: 1, Max: 1 << 31},
		"seed":        {Kind: FeatureInt},
	}
	if s.MaxOutput > 0 {
		f := features["maxtokens"]
		f.Max = float64(s.MaxOutput)
		features["maxtokens"] = f
	}
	if s.Reasons || len(s.Efforts) > 0 {
		effort := Feature{Kind: FeatureText, About: "how much the model thinks"}
		if len(s.Efforts) > 0 {
			effort = Feature{Kind: FeatureChoice, Values: s.Efforts, About: effort.About}
		}
		features["effort"] = effort
		features["thinking"] = Feature{Kind: FeatureInt, Min: 1, Max: 1 << 31, About: "bounds the thinking in tokens"}
	}
	return features
}

// WithFeatures returns a middleware that applies the features of [ChatFeatures]
// to every request that does not set them itself.
func WithFeatures(f Features) Middleware {
	if len(f) == 0 {
		return func(c Chat) Chat { return c }
	}
	return WithRequest(func(r *Request) {
		search := f.Bool("websearch") || f.Has("maxsearches") && !f.Has("websearch")
		if search && r.WebSearch == nil {
			r.WebSearch = &WebSearch{MaxUses: int(f.Int("maxsearches"))}
		}
		if f.Has("temperature") && r.Temperature == nil {
			r.Temperature = new(f.Float("temperature"))
		}
		if f.Has("topp") && r.TopP == nil {
			r.TopP = new(f.Float("topp"))
		}
		if f.Has("seed") && r.Seed == nil {
			r.Seed = new(f.Int("seed"))
		}
		if r.MaxTokens == 0 {
			r.MaxTokens = f.Int("maxtokens")
		}
		if r.Reasoning == (ReasoningOptions{}) {
			r.Reasoning = ReasoningOptions{Effort: f.Text("effort"), Budget: f.Int("thinking")}
		}
	})
}
