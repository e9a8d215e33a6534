package openai

import (
	"context"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// Image returns the named image model. A request with images changes them.
func (p *Provider) Image(model string) aiclient.ImageModel {
	return &imageModel{provider: p, model: model}
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
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	out := &aiclient.ImageResponse{}
	if req.Seed != nil {
		out.Warnings = append(out.Warnings, m.provider.name+" has no setting for the seed of images")
	}
	if req.AspectRatio != "" {
		out.Warnings = append(out.Warnings, m.provider.name+" takes a size, not an aspect ratio")
	}
	call, err := m.call(req)
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, call)
	if err != nil {
		return nil, err
	}
	format := req.Format
	if m.old() && format != "" && format != "png" {
		out.Warnings = append(out.Warnings, m.model+" makes PNG only")
	}
	if m.old() || format == "" {
		format = "png"
	}
	var bad error
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "output_format":
			if text := s.Text(); text != "" {
				format = text
			}
		case "data":
			for s.Array(); s.Item(); {
				image := aiclient.File{}
				for s.Object(); s.Key(); {
					switch string(s.Name()) {
					case "b64_json":
						if text := s.Text(); text != "" && bad == nil {
							image.Data, bad = base64.StdEncoding.DecodeString(text)
						}
					case "url":
						image.URL = s.Text()
					case "revised_prompt":
						out.RevisedPrompt = s.Text()
					default:
						s.Skip()
					}
				}
				if len(image.Data) > 0 || image.URL != "" {
					out.Images = append(out.Images, image)
				}
			}
		case "usage":
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "input_tokens":
					out.Usage.Input = s.Int()
				case "output_tokens":
					out.Usage.Output = s.Int()
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
	if bad != nil {
		return nil, client.Malformed(m.model, header, []byte("base64 data of an image"), bad)
	}
	if len(out.Images) == 0 {
		if e := client.BodyError(m.model, answer); e != nil {
			return nil, e
		}
		return nil, client.Missing(m.model, header, "images")
	}
	for i := range out.Images {
		out.Images[i].MediaType = "image/" + format
	}
	return out, nil
}

// old reports whether the model must be asked for bytes and takes no format; the
// newer know nothing but bytes.
func (m *imageModel) old() bool { return strings.HasPrefix(m.model, "dall-e") }

func (m *imageModel) call(req *aiclient.ImageRequest) (transport.Call, error) {
	if len(req.Images) == 0 {
		fields := map[string]any{"model": m.model, "prompt": req.Prompt}
		for name, value := range map[string]string{"size": req.Size, "quality": req.Quality, "output_format": req.Format} {
			if value != "" {
				fields[name] = value
			}
		}
		if req.Count > 0 {
			fields["n"] = req.Count
		}
		if m.old() {
			fields["response_format"] = "b64_json"
			delete(fields, "output_format")
		}
		body, err := transport.Body(fields, req.Options[m.provider.name])
		return transport.Call{Path: "/images/generations", Model: m.model, Body: body}, err
	}
	form := transport.NewForm()
	form.Field("model", m.model)
	form.Field("prompt", req.Prompt)
	form.Field("size", req.Size)
	form.Field("quality", req.Quality)
	if req.Count > 0 {
		form.Field("n", strconv.Itoa(req.Count))
	}
	if m.old() {
		form.Field("response_format", "b64_json")
	} else {
		form.Field("output_format", req.Format)
	}
	form.Extra(req.Options[m.provider.name])
	for _, image := range req.Images {
		form.File("image[]", image)
	}
	body, kind, err := form.Finish()
	return transport.Call{Path: "/images/edits", Model: m.model, Body: body, Type: kind}, err
}
