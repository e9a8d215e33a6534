package openai

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Preset is a service that speaks OpenAI's API.
type Preset struct {
	Name    string
	BaseURL string
	KeyEnv  []string // environment variables that may hold the key; empty means no key is needed
	Dialect Dialect
}

// presets are in the order of Presets.
var presets = []Preset{
	{"openai", DefaultBaseURL, []string{"OPENAI_API_KEY"}, OpenAI},
	{"xai", "https://api.x.ai/v1", []string{"XAI_API_KEY"}, Dialect{WebSearch: SearchParameters}},
	{"groq", "https://api.groq.com/openai/v1", []string{"GROQ_API_KEY"}, Dialect{MaxCompletionTokens: true}},
	{"deepseek", "https://api.deepseek.com/v1", []string{"DEEPSEEK_API_KEY"}, Dialect{JSONObject: true, Reasoning: ReasoningThinkingEffort, NoParallelOption: true, NoSeed: true, ReasoningInCalls: true}},
	{"cerebras", "https://api.cerebras.ai/v1", []string{"CEREBRAS_API_KEY"}, Dialect{MaxCompletionTokens: true}},
	{"openrouter", "https://openrouter.ai/api/v1", []string{"OPENROUTER_API_KEY"}, Dialect{Reasoning: ReasoningObject, WebSearch: SearchPlugin, CacheControl: true, UsageOption: true, TopK: true}},
	{"perplexity", "https://api.perplexity.ai", []string{"PERPLEXITY_API_KEY"}, Dialect{WebSearch: SearchFilter, NoStreamOptions: true, NoModelList: true, TopK: true, NoSeed: true, Alternate: true}},
	{"mistral", "https://api.mistral.ai/v1", []string{"MISTRAL_API_KEY"}, Dialect{NoStreamOptions: true, SeedName: "random_seed", RequiredWord: "any", Reasoning: ReasoningNone, ShortCallIDs: true}},
	{"qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", []string{"DASHSCOPE_API_KEY", "ALIBABA_SINGAPORE_API_KEY"}, Dialect{JSONObject: true, Reasoning: ReasoningEnable, WebSearch: SearchEnable, TopK: true}},
	{"moonshot", "https://api.moonshot.ai/v1", []string{"MOONSHOT_API_KEY"}, Dialect{JSONObject: true, Reasoning: ReasoningThinking, NoParallelOption: true, ReasoningInCalls: true}},
	{"zai", "https://api.z.ai/api/paas/v4", []string{"ZAI_API_KEY"}, Dialect{JSONObject: true, Reasoning: ReasoningThinkingEffort, NoParallelOption: true, NoSeed: true, NoPenalties: true}},
	{"minimax", "https://api.minimax.io/v1", []string{"MINIMAX_API_KEY"}, Dialect{Reasoning: ReasoningNone, NoModelList: true}},
	{"huggingface", "https://router.huggingface.co/v1", []string{"HF_TOKEN"}, Dialect{}},
	{"together", "https://api.together.xyz/v1", []string{"TOGETHER_API_KEY"}, Dialect{TopK: true}},
	{"fireworks", "https://api.fireworks.ai/inference/v1", []string{"FIREWORKS_API_KEY"}, Dialect{TopK: true}},
	{"nvidia", "https://integrate.api.nvidia.com/v1", []string{"NVIDIA_API_KEY"}, Dialect{NoParallelOption: true}},
	{"ollama", "http://localhost:11434/v1", nil, Dialect{NoParallelOption: true, Alternate: true}},
	{"llamacpp", "http://localhost:8080/v1", nil, Dialect{Reasoning: ReasoningTemplate, TopK: true, Alternate: true}},
	{"vllm", "http://localhost:8000/v1", nil, Dialect{Reasoning: ReasoningTemplate, TopK: true, Alternate: true}},
	{"lmstudio", "http://localhost:1234/v1", nil, Dialect{TopK: true, Alternate: true}},
}

// Presets returns the services that [NewPreset] knows.
func Presets() []Preset {
	out := slices.Clone(presets)
	for i := range out {
		out[i].KeyEnv = slices.Clone(out[i].KeyEnv)
	}
	return out
}

// NewPreset returns the provider of the named service: its base URL, its
// dialect, and its key from the environment. Fields that opts sets win; a key
// from the environment goes only to the service's own base URL.
func NewPreset(name string, opts Options) (*Provider, error) {
	i := slices.IndexFunc(presets, func(p Preset) bool { return p.Name == name })
	if i < 0 {
		var names []string
		for _, p := range presets {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("openai: no preset %q; there are %s", name, strings.Join(names, ", "))
	}
	p := presets[i]
	if opts.Name == "" {
		opts.Name = name
	}
	if opts.BaseURL == "" {
		opts.BaseURL = p.BaseURL
		for _, variable := range p.KeyEnv {
			if opts.APIKey == "" {
				opts.APIKey = os.Getenv(variable)
			}
		}
		if len(p.KeyEnv) > 0 {
			opts.KeyName = p.KeyEnv[0]
		}
	}
	if opts.Dialect == nil {
		opts.Dialect = &p.Dialect
	}
	return New(opts), nil
}
