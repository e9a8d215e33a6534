package peerbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"charm.land/fantasy"
	fantasyanthropic "charm.land/fantasy/providers/anthropic"
	fantasyopenai "charm.land/fantasy/providers/openai"
	anthropicsdk "github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	einoopenai "github.com/cloudwego/eino-ext/components/model/openai"
	"github.com/cloudwego/eino/schema"
	openaisdk "github.com/openai/openai-go/v3"
	openaioption "github.com/openai/openai-go/v3/option"
	"github.com/tmc/langchaingo/llms"
	langchainanthropic "github.com/tmc/langchaingo/llms/anthropic"
	langchainopenai "github.com/tmc/langchaingo/llms/openai"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/anthropic"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// chunks is the number of text deltas of a streamed reply.
const chunks = 20_000

// openaiStream is a reply of many chunks, as OpenAI words them.
func openaiStream() []byte {
	const head = `data: {"id":"chatcmpl-DuLdCoxuLDs8HRMlOuz0Bi4wgi4XJ","object":"chat.completion.chunk","created":1782321890,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_86f87dc6f1",`
	var body bytes.Buffer
	for i := range chunks {
		fmt.Fprintf(&body, head+`"choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"kGEVHK9STFy0L"}`+"\n\n", i%100)
	}
	body.WriteString(head + `"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}` + "\n\n")
	body.WriteString(head + `"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":20000,"total_tokens":20020}}` + "\n\ndata: [DONE]\n\n")
	return body.Bytes()
}

// anthropicStream is a reply of many chunks, as Anthropic words them.
func anthropicStream() []byte {
	var body bytes.Buffer
	event := func(name, data string) { fmt.Fprintf(&body, "event: %s\ndata: %s\n\n", name, data) }
	event("message_start", `{"type":"message_start","message":{"model":"claude-sonnet-4-6","id":"msg_01HwTDwaKCyL9yMQzcQXrwZA","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}`)
	event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for i := range chunks {
		event("content_block_delta", fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word%d"}}`, i%100))
	}
	event("content_block_stop", `{"type":"content_block_stop","index":0}`)
	event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":20000}}`)
	event("message_stop", `{"type":"message_stop"}`)
	return body.Bytes()
}

// streamServer answers every request with body. It writes pieces of the size
// that a TCP segment has over loopback.
func streamServer(b *testing.B, body []byte) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			if _, err := w.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}))
	b.Cleanup(server.Close)
	return server
}

// streamer asks a model once and returns how many pieces of text came.
type streamer func(ctx context.Context) (int, error)

// BenchmarkStream reads one streamed reply of 20,000 pieces per iteration.
// Each peer keeps its own client and connection over all iterations.
func BenchmarkStream(b *testing.B) {
	for _, c := range []struct {
		wire  string
		body  []byte
		peers []streamPeer
	}{
		{"openai", openaiStream(), []streamPeer{
			{"tokenring", ourOpenAI}, {"openai-go", openAIGo}, {"fantasy", fantasyOpenAI},
			{"langchaingo", langchainOpenAI}, {"eino", einoOpenAI}, {"hand-written", handWrittenOpenAI},
		}},
		{"anthropic", anthropicStream(), []streamPeer{
			{"tokenring", ourAnthropic}, {"anthropic-sdk-go", anthropicSDK}, {"fantasy", fantasyAnthropic},
			{"langchaingo", langchainAnthropic}, {"hand-written", handWrittenAnthropic},
		}},
	} {
		server := streamServer(b, c.body)
		for _, peer := range c.peers {
			b.Run(c.wire+"/"+peer.name, func(b *testing.B) {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				read, err := peer.open(server.URL, client)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(c.body)))
				for b.Loop() {
					if n, err := read(b.Context()); err != nil || n != chunks {
						b.Fatalf("%d pieces of %d: %v", n, chunks, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks, "ns/chunk")
			})
		}
	}
}

type streamPeer struct {
	name string
	open func(url string, client *http.Client) (streamer, error)
}

// ours

func ourOpenAI(url string, client *http.Client) (streamer, error) {
	return ours(openai.New(openai.Options{BaseURL: url, HTTPClient: client}).Chat("gpt-4o")), nil
}

func ourAnthropic(url string, client *http.Client) (streamer, error) {
	return ours(anthropic.New(anthropic.Options{BaseURL: url, HTTPClient: client}).Chat("claude-sonnet-4-6")), nil
}

func ours(chat aiclient.Chat) streamer {
	req := &aiclient.Request{Messages: []aiclient.Message{aiclient.User("Write a lot.")}}
	return func(ctx context.Context) (n int, err error) {
		for part, err := range chat.Stream(ctx, req) {
			if err != nil {
				return n, err
			}
			if part.Kind == aiclient.KindText && part.Text != "" {
				n++
			}
		}
		return n, nil
	}
}

// openai-go and anthropic-sdk-go

func openAIGo(url string, client *http.Client) (streamer, error) {
	sdk := openaisdk.NewClient(openaioption.WithBaseURL(url), openaioption.WithAPIKey("key"), openaioption.WithHTTPClient(client))
	return func(ctx context.Context) (n int, err error) {
		stream := sdk.Chat.Completions.NewStreaming(ctx, openaisdk.ChatCompletionNewParams{
			Model:    openaisdk.ChatModelGPT4o,
			Messages: []openaisdk.ChatCompletionMessageParamUnion{openaisdk.UserMessage("Write a lot.")},
		})
		defer stream.Close()
		for stream.Next() {
			if choices := stream.Current().Choices; len(choices) > 0 && choices[0].Delta.Content != "" {
				n++
			}
		}
		return n, stream.Err()
	}, nil
}

func anthropicSDK(url string, client *http.Client) (streamer, error) {
	sdk := anthropicsdk.NewClient(anthropicoption.WithBaseURL(url), anthropicoption.WithAPIKey("key"), anthropicoption.WithHTTPClient(client))
	return func(ctx context.Context) (n int, err error) {
		stream := sdk.Messages.NewStreaming(ctx, anthropicsdk.MessageNewParams{
			Model: "claude-sonnet-4-6", MaxTokens: 16384,
			Messages: []anthropicsdk.MessageParam{anthropicsdk.NewUserMessage(anthropicsdk.NewTextBlock("Write a lot."))},
		})
		defer stream.Close()
		for stream.Next() {
			if delta, ok := stream.Current().AsAny().(anthropicsdk.ContentBlockDeltaEvent); ok {
				if text, ok := delta.Delta.AsAny().(anthropicsdk.TextDelta); ok && text.Text != "" {
					n++
				}
			}
		}
		return n, stream.Err()
	}, nil
}

// Fantasy

func fantasyOpenAI(url string, client *http.Client) (streamer, error) {
	provider, err := fantasyopenai.New(fantasyopenai.WithBaseURL(url), fantasyopenai.WithAPIKey("key"), fantasyopenai.WithHTTPClient(client))
	return fantasyStream(provider, err, "gpt-4o")
}

func fantasyAnthropic(url string, client *http.Client) (streamer, error) {
	provider, err := fantasyanthropic.New(fantasyanthropic.WithBaseURL(url), fantasyanthropic.WithAPIKey("key"), fantasyanthropic.WithHTTPClient(client))
	return fantasyStream(provider, err, "claude-sonnet-4-6")
}

func fantasyStream(provider fantasy.Provider, err error, name string) (streamer, error) {
	if err != nil {
		return nil, err
	}
	model, err := provider.LanguageModel(context.Background(), name)
	if err != nil {
		return nil, err
	}
	call := fantasy.Call{Prompt: fantasy.Prompt{fantasy.NewUserMessage("Write a lot.")}}
	return func(ctx context.Context) (n int, err error) {
		stream, err := model.Stream(ctx, call)
		if err != nil {
			return 0, err
		}
		for part := range stream {
			switch {
			case part.Type == fantasy.StreamPartTypeError:
				err = part.Error
			case part.Type == fantasy.StreamPartTypeTextDelta && part.Delta != "":
				n++
			}
		}
		return n, err
	}, nil
}

// langchaingo

func langchainOpenAI(url string, client *http.Client) (streamer, error) {
	model, err := langchainopenai.New(langchainopenai.WithBaseURL(url), langchainopenai.WithToken("key"),
		langchainopenai.WithModel("gpt-4o"), langchainopenai.WithHTTPClient(client))
	return langchainStream(model), err
}

func langchainAnthropic(url string, client *http.Client) (streamer, error) {
	model, err := langchainanthropic.New(langchainanthropic.WithBaseURL(url), langchainanthropic.WithToken("key"),
		langchainanthropic.WithModel("claude-sonnet-4-6"), langchainanthropic.WithHTTPClient(client))
	return langchainStream(model), err
}

func langchainStream(model llms.Model) streamer {
	messages := []llms.MessageContent{llms.TextParts(llms.ChatMessageTypeHuman, "Write a lot.")}
	return func(ctx context.Context) (n int, err error) {
		_, err = model.GenerateContent(ctx, messages, llms.WithStreamingFunc(func(_ context.Context, piece []byte) error {
			if len(piece) > 0 {
				n++
			}
			return nil
		}))
		return n, err
	}
}

// Eino

func einoOpenAI(url string, client *http.Client) (streamer, error) {
	model, err := einoopenai.NewChatModel(context.Background(), &einoopenai.ChatModelConfig{
		BaseURL: url, APIKey: "key", Model: "gpt-4o", HTTPClient: client,
	})
	if err != nil {
		return nil, err
	}
	messages := []*schema.Message{schema.UserMessage("Write a lot.")}
	return func(ctx context.Context) (n int, err error) {
		stream, err := model.Stream(ctx, messages)
		if err != nil {
			return 0, err
		}
		defer stream.Close()
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return n, nil
			}
			if err != nil {
				return n, err
			}
			if message.Content != "" {
				n++
			}
		}
	}, nil
}
