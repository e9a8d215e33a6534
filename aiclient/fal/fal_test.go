package fal_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/fal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newModel(t *testing.T, handle http.HandlerFunc) aiclient.ImageModel {
	server := httptest.NewServer(handle)
	transport := &http.Transport{}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close() })
	return fal.New(fal.Options{BaseURL: server.URL, APIKey: "fal-secret", HTTPClient: &http.Client{Transport: transport}}).Image("fal-ai/flux/dev")
}

func TestImages(t *testing.T) {
	model := newModel(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/fal-ai/flux/dev", r.URL.Path)
		assert.Equal(t, "Key fal-secret", r.Header.Get("Authorization"))
		body, _ := io.ReadAll(r.Body)
		assert.JSONEq(t, `{"prompt":"a cat","sync_mode":true,"num_images":2,"image_size":{"width":512,"height":256},"seed":7,"image_url":"data:image/png;base64,iVBO"}`, string(body))
		_, _ = io.WriteString(w, `{"images":[{"url":"data:image/png;base64,iVBO","content_type":"image/png"},{"url":"https://fal.media/x.jpg","content_type":"image/jpeg"}],"seed":7,"prompt":"a cat"}`)
	})
	resp, err := model.GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat", Count: 2, Size: "512x256", Seed: new(int64(7)),
		Images: []aiclient.File{{MediaType: "image/png", Data: []byte("\x89PN")}}})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.File{{MediaType: "image/png", Data: []byte("\x89PN")}, {MediaType: "image/jpeg", URL: "https://fal.media/x.jpg"}}, resp.Images)
}

func TestErrors(t *testing.T) {
	for body, class := range map[string]aiclient.Class{
		`{"detail":[{"loc":["body","prompt"],"msg":"field required"}]}`: aiclient.ClassBadRequest,
		`{"detail":"Invalid key fal-secret"}`:                           aiclient.ClassBadRequest,
	} {
		model := newModel(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, body)
		})
		_, err := model.GenerateImages(t.Context(), &aiclient.ImageRequest{})
		assert.Equal(t, class, aiclient.ClassOf(err))
		assert.NotContains(t, err.Error(), "fal-secret")
	}
	model := newModel(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"images":[]}`) })
	_, err := model.GenerateImages(t.Context(), &aiclient.ImageRequest{})
	assert.Equal(t, aiclient.ClassProtocol, aiclient.ClassOf(err))
}
