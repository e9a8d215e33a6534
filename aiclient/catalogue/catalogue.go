// Package catalogue knows facts about models: context windows, prices, what
// they take and how they think.
//
// The facts are embedded in a compact table, which the command in the folder
// generate writes from files of the Catwalk project (MIT). They age: a program
// can read a newer table with [Parse] or correct single models with
// [Catalogue.With].
//
//	c := catalogue.Default()
//	spec, ok := c.Find("anthropic", "claude-sonnet-4-6")
//	cost := spec.Price.Cost(usage)
package catalogue

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

//go:embed models.tsv
var embedded string

// Provider is a provider that the catalogue knows.
type Provider struct {
	ID       string // as in [aiclient.ModelSpec.Provider]
	Name     string // for people
	KeyEnv   string // the conventional environment variable of its key
	Endpoint string // its base URL; empty when the adapter knows it
	Large    string // a model for hard work, by its ID
	Small    string // a model for easy work, by its ID
}

// Catalogue is a set of facts about models. It does not change; it is safe for
// concurrent use.
type Catalogue struct {
	providers []Provider
	models    map[string][]aiclient.ModelSpec
	index     map[aiclient.Model]int
}

// Default returns the embedded catalogue, which is read when it is asked for
// the first time.
func Default() *Catalogue { return readEmbedded() }

var readEmbedded = sync.OnceValue(func() *Catalogue {
	c, err := Parse(strings.NewReader(embedded))
	if err != nil {
		panic("catalogue: the embedded table: " + err.Error())
	}
	return c
})

// Providers returns the providers in alphabetical order.
func (c *Catalogue) Providers() []Provider { return slices.Clone(c.providers) }

// Models returns the models of a provider, nil when it is not known.
func (c *Catalogue) Models(provider string) []aiclient.ModelSpec {
	return slices.Clone(c.models[provider])
}

// Len returns the number of models.
func (c *Catalogue) Len() int { return len(c.index) }

// Find returns what is known of a model. When the name itself is not known, a
// dated name, such as "gpt-4o-2024-08-06", finds the model whose name it extends
// by '-', '@' or ':' and digits, and a name without a date finds the newest
// dated model of that name.
func (c *Catalogue) Find(provider, id string) (aiclient.ModelSpec, bool) {
	for name := id; ; {
		if i, ok := c.index[aiclient.Model{Provider: provider, ID: name}]; ok {
			spec := c.models[provider][i]
			spec.ID = id
			return spec, true
		}
		cut := strings.LastIndexAny(name, "-@:")
		if cut <= 0 || cut+1 == len(name) || strings.Trim(name[cut+1:], "0123456789") != "" || len(name)-cut-1 == 1 {
			return c.newest(provider, id)
		}
		name = name[:cut]
	}
}

// newest finds the model with the latest date of the form 20060102 behind id.
func (c *Catalogue) newest(provider, id string) (found aiclient.ModelSpec, ok bool) {
	date := ""
	for _, s := range c.models[provider] {
		rest, is := strings.CutPrefix(s.ID, id+"-")
		if is && len(rest) == len("20060102") && strings.Trim(rest, "0123456789") == "" && rest > date {
			found, ok, date = s, true, rest
		}
	}
	found.ID = id
	if !ok {
		return aiclient.ModelSpec{}, false
	}
	return found, true
}

// Price returns what a model costs, the zero Price when that is not known.
func (c *Catalogue) Price(m aiclient.Model) aiclient.Price {
	spec, _ := c.Find(m.Provider, m.ID)
	return spec.Price
}

// With returns a catalogue in which specs replace or join the models of the
// same provider and ID.
func (c *Catalogue) With(specs ...aiclient.ModelSpec) *Catalogue {
	out := &Catalogue{providers: slices.Clone(c.providers), models: maps.Clone(c.models), index: maps.Clone(c.index)}
	copied := make(map[string]bool)
	for _, s := range specs {
		if !copied[s.Provider] {
			out.models[s.Provider] = slices.Clone(out.models[s.Provider])
			copied[s.Provider] = true
		}
		out.put(s)
	}
	return out
}

func (c *Catalogue) put(s aiclient.ModelSpec) {
	if i, ok := c.index[s.Model()]; ok {
		c.models[s.Provider][i] = s
		return
	}
	if !slices.ContainsFunc(c.providers, func(p Provider) bool { return p.ID == s.Provider }) {
		c.providers = append(c.providers, Provider{ID: s.Provider, Name: s.Provider})
	}
	c.index[s.Model()] = len(c.models[s.Provider])
	c.models[s.Provider] = append(c.models[s.Provider], s)
}

// Parse reads a table. Its lines are, with fields separated by tabs:
//
//	@id name key-variable endpoint large small       a provider
//	id name context max-output input output cached-read cache-write flags efforts effort
//
// Prices are USD per million tokens. Flags are r for a model that thinks and i
// for one that takes images. Efforts are separated by commas. Fields at the end
// may be missing. Lines that begin with # are comments.
func Parse(r io.Reader) (*Catalogue, error) {
	c := &Catalogue{models: make(map[string][]aiclient.ModelSpec), index: make(map[aiclient.Model]int)}
	in := bufio.NewScanner(r)
	provider := ""
	for n := 1; in.Scan(); n++ {
		line := in.Text()
		f := strings.Split(line, "\t")
		f = append(f, make([]string, max(0, 11-len(f)))...)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '@':
			provider = f[0][1:]
			c.providers = append(c.providers, Provider{provider, f[1], f[2], f[3], f[4], f[5]})
		case provider == "":
			return nil, fmt.Errorf("catalogue, line %d: a model before any provider", n)
		default:
			spec, err := parseModel(f)
			if err != nil {
				return nil, fmt.Errorf("catalogue, line %d: %s: %w", n, f[0], err)
			}
			spec.Provider = provider
			c.put(spec)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	return c, nil
}

func parseModel(f []string) (aiclient.ModelSpec, error) {
	var numbers [6]float64
	for i := range numbers {
		if f[i+2] == "" {
			continue
		}
		n, err := strconv.ParseFloat(f[i+2], 64)
		if err != nil || n < 0 || n != n || n > 1e15 {
			return aiclient.ModelSpec{}, fmt.Errorf("field %d is %q, want a number", i+3, f[i+2])
		}
		numbers[i] = n
	}
	s := aiclient.ModelSpec{
		ID: f[0], Name: f[1], Context: int64(numbers[0]), MaxOutput: int64(numbers[1]),
		Price:   aiclient.Price{Input: numbers[2], Output: numbers[3], CachedRead: numbers[4], CacheWrite: numbers[5]},
		Reasons: strings.Contains(f[8], "r"), Effort: f[10],
	}
	if s.Name == "" {
		s.Name = s.ID
	}
	s.Input = []string{}
	if strings.Contains(f[8], "i") {
		s.Input = []string{"image/*"}
	}
	if f[9] != "" {
		s.Efforts = strings.Split(f[9], ",")
	}
	return s, nil
}
