package google

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// maxTexts is how many texts the API takes in one request.
const maxTexts = 100

// Embedding returns the named embedding model. The purposes "query" and
// "document" stand for the task types of a search; any other purpose is sent as
// it is.
func (p *Provider) Embedding(model string) aiclient.EmbeddingModel {
	return &embedding{provider: p, model: strings.TrimPrefix(model, "models/")}
}

type embedding struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.EmbeddingModel].
func (m *embedding) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

var taskTypes = map[string]string{"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}

// Embed implements [aiclient.EmbeddingModel].
func (m *embedding) Embed(ctx context.Context, req *aiclient.EmbeddingRequest) (*aiclient.EmbeddingResponse, error) {
	out := &aiclient.EmbeddingResponse{Model: m.model}
	for from := 0; from < len(req.Texts); from += maxTexts {
		if err := m.embed(ctx, req, out, req.Texts[from:min(from+maxTexts, len(req.Texts))]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *embedding) embed(ctx context.Context, req *aiclient.EmbeddingRequest, out *aiclient.EmbeddingResponse, texts []string) error {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return err
	}
	requests := make([]map[string]any, len(texts))
	for i := range texts {
		one := map[string]any{"model": "models/" + m.model, "content": content{Parts: []part{{Text: &texts[i]}}}}
		if req.Dimensions > 0 {
			one["outputDimensionality"] = req.Dimensions
		}
		if task := req.Purpose; task != "" {
			if known, ok := taskTypes[task]; ok {
				task = known
			}
			one["taskType"] = task
		}
		requests[i] = one
	}
	body, err := transport.Body(map[string]any{"requests": requests}, req.Options[m.provider.name])
	if err != nil {
		return client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: path(m.model, "batchEmbedContents"), Model: m.model, Body: body})
	if err != nil {
		return err
	}
	before := len(out.Vectors)
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		if string(s.Name()) != "embeddings" {
			s.Skip()
			continue
		}
		for s.Array(); s.Item(); {
			var vector []float32
			for s.Object(); s.Key(); {
				if string(s.Name()) != "values" {
					s.Skip()
					continue
				}
				for s.Array(); s.Item(); {
					vector = append(vector, float32(s.Float()))
				}
			}
			out.Vectors = append(out.Vectors, vector)
		}
	}
	if err := s.End(); err != nil {
		return client.Malformed(m.model, header, answer, err)
	}
	if got := len(out.Vectors) - before; got != len(texts) {
		if e := client.BodyError(m.model, answer); e != nil {
			return e
		}
		return client.Missing(m.model, header, fmt.Sprintf("vector for each of %d texts, only %d", len(texts), got))
	}
	return nil
}

// Image returns the named image model: an Imagen model, or a Gemini model that
// answers with images.
func (p *Provider) Image(model string) aiclient.ImageModel {
	return &imageModel{provider: p, model: strings.TrimPrefix(model, "models/")}
}

type imageModel struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.ImageModel].
func (m *imageModel) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// GenerateImages implements [aiclient.ImageModel].
func (m *imageModel) GenerateImages(ctx context.Context, req *aiclient.ImageRequest) (*aiclient.ImageResponse, error) {
	if strings.HasPrefix(m.model, "imagen") {
		return m.imagen(ctx, req)
	}
	return m.gemini(ctx, req)
}

// gemini asks a chat model for images.
func (m *imageModel) gemini(ctx context.Context, req *aiclient.ImageRequest) (*aiclient.ImageResponse, error) {
	config := map[string]any{"responseModalities": []string{"TEXT", "IMAGE"}}
	if req.AspectRatio != "" {
		config["imageConfig"] = map[string]any{"aspectRatio": req.AspectRatio}
	}
	options, err := transport.Body(map[string]any{"generationConfig": config}, req.Options[m.provider.name])
	if err != nil {
		return nil, m.provider.client.Refuse(m.model, err)
	}
	user := aiclient.User(req.Prompt)
	for i := range req.Images {
		user.Parts = append(user.Parts, aiclient.Part{Kind: aiclient.KindFile, File: &req.Images[i]})
	}
	chatRequest := &aiclient.Request{Messages: []aiclient.Message{user}, Seed: req.Seed,
		Options: map[string]json.RawMessage{m.provider.name: options}}
	out := &aiclient.ImageResponse{Warnings: m.unheeded(req)}
	why := ""
	for range max(req.Count, 1) {
		resp, err := m.provider.Chat(m.model).Generate(ctx, chatRequest)
		if err != nil && (len(out.Images) == 0 || ctx.Err() != nil) {
			return nil, err
		}
		if err != nil { // what has come is paid for
			why = ": " + err.Error()
			break
		}
		before := len(out.Images)
		for _, p := range resp.Message.Parts {
			if p.Kind == aiclient.KindFile {
				out.Images = append(out.Images, *p.File)
			}
		}
		out.Usage = out.Usage.Add(resp.Usage)
		if len(out.Images) == 0 {
			return nil, &aiclient.APIError{Provider: m.provider.name, Model: m.model, Class: aiclient.ClassContentFilter,
				Message: "the answer has no image: " + resp.Text()}
		}
		if len(out.Images) == before {
			why = ": " + resp.Text()
		}
	}
	out.Warnings = append(out.Warnings, missing(req, out, why)...)
	return out, nil
}

// unheeded says which settings the models do not have.
func (m *imageModel) unheeded(req *aiclient.ImageRequest) []string {
	var warnings []string
	for _, setting := range [][2]string{
		{req.Size, "takes an aspect ratio, not a size"},
		{req.Quality, "has no setting for the quality of images"},
		{req.Format, "has no setting for the format of images"},
	} {
		if setting[0] != "" {
			warnings = append(warnings, m.provider.name+" "+setting[1])
		}
	}
	return warnings
}

// missing says that fewer images came than were asked for, and why.
func missing(req *aiclient.ImageRequest, out *aiclient.ImageResponse, why string) []string {
	if len(out.Images) >= req.Count {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d images came%s", len(out.Images), req.Count, why)}
}

func (m *imageModel) imagen(ctx context.Context, req *aiclient.ImageRequest) (*aiclient.ImageResponse, error) {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	out := &aiclient.ImageResponse{Warnings: m.unheeded(req)}
	if len(req.Images) > 0 {
		return nil, client.Refuse(m.model, fmt.Errorf("%s makes images from words only", m.model))
	}
	parameters := map[string]any{"sampleCount": max(req.Count, 1)}
	if req.AspectRatio != "" {
		parameters["aspectRatio"] = req.AspectRatio
	}
	if req.Seed != nil {
		parameters["seed"] = *req.Seed
	}
	body, err := transport.Body(map[string]any{"instances": []any{map[string]any{"prompt": req.Prompt}}, "parameters": parameters},
		req.Options[m.provider.name])
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: path(m.model, "predict"), Model: m.model, Body: body})
	if err != nil {
		return nil, err
	}
	var bad error
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		if string(s.Name()) != "predictions" {
			s.Skip()
			continue
		}
		for s.Array(); s.Item(); {
			image := aiclient.File{}
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "mimeType":
					image.MediaType = s.Text()
				case "bytesBase64Encoded":
					data, err := base64.StdEncoding.DecodeString(s.Text())
					if err != nil {
						bad = err
					}
					image.Data = data
				case "prompt":
					out.RevisedPrompt = s.Text()
				default:
					s.Skip()
				}
			}
			if len(image.Data) > 0 {
				out.Images = append(out.Images, image)
			}
		}
	}
	if err := s.End(); err != nil {
		return nil, client.Malformed(m.model, header, answer, err)
	}
	if bad != nil {
		return nil, client.Malformed(m.model, header, []byte("base64 data of an image"), bad)
	}
	if len(out.Images) == 0 {
		if e := client.BodyError(m.model, answer); e != nil {
			return nil, e
		}
		return nil, client.Missing(m.model, header, "images")
	}
	out.Warnings = append(out.Warnings, missing(req, out, "")...)
	return out, nil
}
