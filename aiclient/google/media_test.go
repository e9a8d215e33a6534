package google_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/google"
)

func mediaProvider(t *testing.T, path, want, answer string) *google.Provider {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, path, r.URL.Path)
		body, _ := io.ReadAll(r.Body)
		assert.JSONEq(t, want, string(body))
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return google.New(google.Options{BaseURL: server.URL, APIKey: "k", HTTPClient: newClient(t)})
}

func TestEmbed(t *testing.T) {
	p := mediaProvider(t, "/models/e:batchEmbedContents",
		`{"requests":[{"model":"models/e","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_QUERY"},{"model":"models/e","content":{"parts":[{"text":"b"}]},"taskType":"RETRIEVAL_QUERY"}]}`,
		`{"embeddings":[{"values":[1,2]},{"values":[3,4]}]}`)
	resp, err := p.Embedding("e").Embed(t.Context(), &aiclient.EmbeddingRequest{Texts: []string{"a", "b"}, Purpose: "query"})
	require.NoError(t, err)
	assert.Equal(t, [][]float32{{1, 2}, {3, 4}}, resp.Vectors)
	_, err = p.Embedding("e").Embed(t.Context(), &aiclient.EmbeddingRequest{Texts: []string{"a", "b"}, Purpose: "query", Options: map[string]json.RawMessage{"google": []byte(`[]`)}})
	assert.Equal(t, aiclient.ClassBadRequest, aiclient.ClassOf(err))
}

func TestImagen(t *testing.T) {
	p := mediaProvider(t, "/models/imagen-4:predict",
		`{"instances":[{"prompt":"a cat"}],"parameters":{"sampleCount":2,"aspectRatio":"16:9"}}`,
		`{"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"iVBO"}]}`)
	resp, err := p.Image("imagen-4").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat", Count: 2, AspectRatio: "16:9"})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.File{{MediaType: "image/png", Data: []byte("\x89PN")}}, resp.Images[:1:1])
}

func TestGeminiImages(t *testing.T) {
	p := mediaProvider(t, "/models/gemini-image:generateContent",
		`{"contents":[{"role":"user","parts":[{"text":"a cat"}]}],"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}`,
		`{"candidates":[{"content":{"parts":[{"text":"here"},{"inlineData":{"mimeType":"image/png","data":"iVBO"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":7}}`)
	resp, err := p.Image("gemini-image").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat"})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.File{{MediaType: "image/png", Data: []byte("\x89PN")}}, resp.Images)
	assert.EqualValues(t, 7, resp.Usage.Output)
}

// TestImageWarnings asks for more than the models heed.
func TestImageWarnings(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		image := `{"inlineData":{"mimeType":"image/png","data":"iVBO"}}`
		switch n++; n {
		case 2:
			image = `{"text":"one is enough"}`
		case 4:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, `{"candidates":[{"content":{"parts":[`+image+`]},"finishReason":"STOP"}],"predictions":[{"mimeType":"image/png","bytesBase64Encoded":"iVBO"}]}`)
	}))
	t.Cleanup(server.Close)
	p := google.New(google.Options{BaseURL: server.URL, APIKey: "k", HTTPClient: newClient(t)})
	req := &aiclient.ImageRequest{Prompt: "a cat", Count: 2, Size: "1x1", Quality: "high", Format: "webp"}
	heeds := []string{"google takes an aspect ratio, not a size", "google has no setting for the quality of images", "google has no setting for the format of images"}
	for model, want := range map[string][]string{
		"imagen-4":     append(heeds[:3:3], "1 of 2 images came"),
		"gemini-image": append(heeds[:3:3], "1 of 2 images came: one is enough"),
	} {
		n = 0
		resp, err := p.Image(model).GenerateImages(t.Context(), req)
		require.NoError(t, err)
		assert.Len(t, resp.Images, 1)
		assert.Equal(t, want, resp.Warnings)
	}
	n = 2 // the second request is the fourth
	resp, err := p.Image("gemini-image").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat", Count: 2})
	require.NoError(t, err)
	assert.Len(t, resp.Images, 1, "what has come is not lost")
	require.Len(t, resp.Warnings, 1)
	assert.Contains(t, resp.Warnings[0], "1 of 2 images came: google:gemini-image: overloaded")
}
