package openai

// Dialect says how a service differs from OpenAI's Chat Completions API. The
// zero value is the most widely understood form.
type Dialect struct {
	// MaxCompletionTokens sends the bound on the reply as
	// max_completion_tokens instead of max_tokens.
	MaxCompletionTokens bool

	// NoStreamOptions leaves out stream_options, for services that refuse it
	// and send the usage anyway.
	NoStreamOptions bool

	// JSONObject asks for structured output with response_format json_object
	// and the schema in the prompt, for services without json_schema.
	JSONObject bool

	// Reasoning says how the effort is asked for.
	Reasoning ReasoningStyle

	// WebSearch says how the service's own search is asked for.
	WebSearch SearchStyle

	// CacheControl sends cache marks with the messages.
	CacheControl bool

	// UsageOption asks for the price of the reply with usage.include.
	UsageOption bool

	// TopK sends top_k, which OpenAI does not know.
	TopK bool

	// NoSeed and NoPenalties leave out what the service refuses.
	NoSeed      bool
	NoPenalties bool

	// SeedName is the name of the seed field; empty means "seed".
	SeedName string

	// RequiredWord is the tool choice that demands a call; empty means
	// "required".
	RequiredWord string

	// NoModelList says that the service does not list its models.
	NoModelList bool

	// NoParallelOption leaves out parallel_tool_calls.
	NoParallelOption bool

	// Alternate joins messages of the user that follow each other, for services
	// that want the user and the model to speak by turns.
	Alternate bool

	// ShortCallIDs sends IDs of tool calls with exactly 9 letters and digits, as
	// Mistral wants them, also those of calls that another model made.
	ShortCallIDs bool

	// ReasoningInCalls sends reasoning with every message that calls tools, even
	// when there is none, as services want that refuse the history otherwise
	// while their model thinks.
	ReasoningInCalls bool
}

// ReasoningStyle says how a service takes the reasoning effort.
type ReasoningStyle int

// The styles of asking for reasoning.
const (
	ReasoningEffort         ReasoningStyle = iota // reasoning_effort: "low"
	ReasoningObject                               // reasoning: {effort, max_tokens, exclude}, as OpenRouter
	ReasoningThinking                             // thinking: {type: "enabled"}, as Moonshot
	ReasoningThinkingEffort                       // the same and reasoning_effort, as DeepSeek and Z.ai
	ReasoningEnable                               // enable_thinking and thinking_budget, as Qwen
	ReasoningTemplate                             // chat_template_kwargs: {enable_thinking}, as vLLM and llama.cpp
	ReasoningNone                                 // not at all
)

// SearchStyle says how a service takes the wish to search the web.
type SearchStyle int

// The styles of asking for a web search.
const (
	SearchNone       SearchStyle = iota
	SearchOptions                // web_search_options, as OpenAI's search models
	SearchParameters             // search_parameters, as xAI
	SearchPlugin                 // plugins, as OpenRouter
	SearchFilter                 // always on; search_domain_filter, as Perplexity
	SearchEnable                 // enable_search, as Qwen
)

// The dialects of OpenAI itself and of a service that nothing is known about.
var (
	OpenAI     = Dialect{MaxCompletionTokens: true, WebSearch: SearchOptions}
	Compatible = Dialect{TopK: true, Alternate: true}
)
