// Package fal talks to fal.ai, which runs image models.
//
//	model := fal.New(fal.Options{}).Image("fal-ai/flux/dev") // key from FAL_KEY
//	images, err := model.GenerateImages(ctx, &aiclient.ImageRequest{Prompt: "a lighthouse"})
package fal

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// DefaultBaseURL is fal's API for answers without a queue.
const DefaultBaseURL = "https://fal.run"

// Options configure a [Provider]. The zero value has the key from the
// environment.
type Options struct {
	Name       string       // of the provider; empty means "fal"
	BaseURL    string       // empty means DefaultBaseURL
	APIKey     string       // empty means FAL_KEY, unless BaseURL is given
	HTTPClient *http.Client // nil means one without a time limit
	Logger     *slog.Logger // nil means slog.Default()
}

// Provider is fal.ai. It is safe for concurrent use.
type Provider struct {
	name    string
	client  *transport.Client
	needKey bool
}

// New returns a provider. It makes no request.
func New(opts Options) *Provider {
	base, key := opts.BaseURL, opts.APIKey
	if base == "" {
		base = DefaultBaseURL
		if key == "" {
			key = os.Getenv("FAL_KEY")
		}
	}
	p := &Provider{name: opts.Name, needKey: key == "" && opts.BaseURL == ""}
	if p.name == "" {
		p.name = "fal"
	}
	p.client = transport.New(p.name, base, opts.HTTPClient, opts.Logger)
	p.client.Secret("Authorization", "Key ", key)
	return p
}

// Name returns the provider's name.
func (p *Provider) Name() string { return p.name }

// Image returns the model at a path of fal, such as "fal-ai/flux/dev".
func (p *Provider) Image(model string) aiclient.ImageModel {
	return &imageModel{p, strings.Trim(model, "/")}
}

type imageModel struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.ImageModel].
func (m *imageModel) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// GenerateImages implements [aiclient.ImageModel]. The images come with their
// bytes where the model can put them into its answer, and by URL otherwise.
func (m *imageModel) GenerateImages(ctx context.Context, req *aiclient.ImageRequest) (*aiclient.ImageResponse, error) {
	client := m.provider.client
	if m.provider.needKey {
		return nil, client.NoKey(m.model, "FAL_KEY")
	}
	out := &aiclient.ImageResponse{}
	body, err := transport.Body(m.fields(req, out), req.Options[m.provider.name])
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: "/" + m.model, Model: m.model, Body: body})
	if err != nil {
		return nil, err
	}
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "images":
			for s.Array(); s.Item(); {
				readImage(&s, out)
			}
		case "image":
			readImage(&s, out)
		case "prompt":
			out.RevisedPrompt = s.Text()
		default:
			s.Skip()
		}
	}
	if err := s.End(); err != nil {
		return nil, client.Malformed(m.model, header, answer, err)
	}
	if len(out.Images) == 0 {
		if e := client.BodyError(m.model, answer); e != nil {
			return nil, e
		}
		return nil, client.Missing(m.model, header, "images")
	}
	return out, nil
}

func (m *imageModel) fields(req *aiclient.ImageRequest, out *aiclient.ImageResponse) map[string]any {
	fields := map[string]any{"prompt": req.Prompt, "sync_mode": true}
	if req.Count > 0 {
		fields["num_images"] = req.Count
	}
	if width, height, ok := strings.Cut(req.Size, "x"); ok {
		w, errW := strconv.Atoi(width)
		h, errH := strconv.Atoi(height)
		if errW == nil && errH == nil {
			fields["image_size"] = map[string]int{"width": w, "height": h}
		}
	} else if req.Size != "" {
		fields["image_size"] = req.Size // one of fal's names, such as "landscape_4_3"
	}
	if req.AspectRatio != "" {
		fields["aspect_ratio"] = req.AspectRatio
	}
	if req.Seed != nil {
		fields["seed"] = *req.Seed
	}
	if req.Format != "" {
		fields["output_format"] = req.Format
	}
	if req.Quality != "" {
		out.Warnings = append(out.Warnings, m.provider.name+" has no setting for the quality")
	}
	var urls []string
	for _, image := range req.Images {
		u := image.URL
		if u == "" {
			u = transport.DataURL(image.MediaType, image.Data)
		}
		urls = append(urls, u)
	}
	switch len(urls) {
	case 0:
	case 1:
		fields["image_url"] = urls[0]
	default:
		fields["image_urls"] = urls
	}
	return fields
}

func readImage(s *jsonscan.Scanner, out *aiclient.ImageResponse) {
	image := aiclient.File{}
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "url":
			image.URL = s.Text()
		case "content_type":
			image.MediaType = s.Text()
		case "file_name":
			image.Name = s.Text()
		default:
			s.Skip()
		}
	}
	if head, encoded, ok := strings.Cut(image.URL, ","); ok && strings.HasPrefix(head, "data:") {
		if data, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			image.Data, image.URL = data, ""
			if image.MediaType == "" {
				image.MediaType, _, _ = strings.Cut(strings.TrimPrefix(head, "data:"), ";")
			}
		}
	}
	if image.URL != "" || len(image.Data) > 0 {
		out.Images = append(out.Images, image)
	}
}
