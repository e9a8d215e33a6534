package openai

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// maxTexts is how many texts the API takes in one request.
const maxTexts = 2048

// Embedding returns the named embedding model.
func (p *Provider) Embedding(model string) aiclient.EmbeddingModel {
	return &embedding{provider: p, model: model}
}

type embedding struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.EmbeddingModel].
func (m *embedding) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// Embed implements [aiclient.EmbeddingModel].
func (m *embedding) Embed(ctx context.Context, req *aiclient.EmbeddingRequest) (*aiclient.EmbeddingResponse, error) {
	out := &aiclient.EmbeddingResponse{Vectors: make([][]float32, len(req.Texts))}
	for from := 0; from < len(req.Texts); from += maxTexts {
		to := min(from+maxTexts, len(req.Texts))
		if err := m.embed(ctx, req, out, from, to); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *embedding) embed(ctx context.Context, req *aiclient.EmbeddingRequest, out *aiclient.EmbeddingResponse, from, to int) error {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return err
	}
	fields := map[string]any{"model": m.model, "input": req.Texts[from:to]}
	if req.Dimensions > 0 {
		fields["dimensions"] = req.Dimensions
	}
	body, err := transport.Body(fields, req.Options[m.provider.name])
	if err != nil {
		return client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: "/embeddings", Model: m.model, Body: body})
	if err != nil {
		return err
	}
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "model":
			out.Model = s.Text()
		case "data":
			position := 0
			for s.Array(); s.Item(); {
				index := position
				position++
				var vector []float32
				for s.Object(); s.Key(); {
					switch string(s.Name()) {
					case "index":
						index = int(s.Int())
					case "embedding":
						vector = make([]float32, 0, max(req.Dimensions, 256))
						for s.Array(); s.Item(); {
							vector = append(vector, float32(s.Float()))
						}
					default:
						s.Skip()
					}
				}
				if index >= 0 && index < to-from {
					out.Vectors[from+index] = vector
				}
			}
		case "usage":
			for s.Object(); s.Key(); {
				if string(s.Name()) == "prompt_tokens" {
					out.Usage.Input += s.Int()
				} else {
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return client.Malformed(m.model, header, answer, err)
	}
	for i := from; i < to; i++ {
		if len(out.Vectors[i]) == 0 {
			if e := client.BodyError(m.model, answer); e != nil {
				return e
			}
			return client.Missing(m.model, header, fmt.Sprintf("vector for text %d", i))
		}
	}
	return nil
}

// Rerank returns the named rerank model of a service that has the /rerank
// endpoint, such as vLLM, llama.cpp and Together.
func (p *Provider) Rerank(model string) aiclient.RerankModel {
	return &rerank{provider: p, model: model}
}

type rerank struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.RerankModel].
func (m *rerank) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// Rerank implements [aiclient.RerankModel].
func (m *rerank) Rerank(ctx context.Context, req *aiclient.RerankRequest) (*aiclient.RerankResponse, error) {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	fields := map[string]any{"model": m.model, "query": req.Query, "documents": req.Documents}
	if req.Top > 0 {
		fields["top_n"] = req.Top
	}
	body, err := transport.Body(fields, req.Options[m.provider.name])
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: "/rerank", Model: m.model, Body: body})
	if err != nil {
		return nil, err
	}
	out := &aiclient.RerankResponse{}
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "results":
			for s.Array(); s.Item(); {
				one := aiclient.Ranked{Index: -1}
				for s.Object(); s.Key(); {
					switch string(s.Name()) {
					case "index":
						one.Index = int(s.Int())
					case "relevance_score":
						one.Score = s.Float()
					default:
						s.Skip()
					}
				}
				if one.Index >= 0 && one.Index < len(req.Documents) {
					out.Results = append(out.Results, one)
				}
			}
		case "usage":
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "prompt_tokens", "total_tokens":
					out.Usage.Input = s.Int()
				default:
					s.Skip()
				}
			}
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return nil, client.Malformed(m.model, header, answer, err)
	}
	if len(out.Results) == 0 && len(req.Documents) > 0 {
		if e := client.BodyError(m.model, answer); e != nil {
			return nil, e
		}
		return nil, client.Missing(m.model, header, "results")
	}
	// Not every server sorts and cuts the list.
	slices.SortStableFunc(out.Results, func(a, b aiclient.Ranked) int { return cmp.Compare(b.Score, a.Score) })
	if req.Top > 0 && len(out.Results) > req.Top {
		out.Results = out.Results[:req.Top]
	}
	return out, nil
}
