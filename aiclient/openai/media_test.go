package openai_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/openai"
)

// mediaProvider returns a provider whose service answers with handle.
func mediaProvider(t *testing.T, handle http.HandlerFunc) *openai.Provider {
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return openai.New(openai.Options{BaseURL: server.URL + "/v1", APIKey: "sk-secret", HTTPClient: newClient(t)})
}

func TestEmbed(t *testing.T) {
	requests := 0
	p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		assert.Equal(t, "/v1/embeddings", r.URL.Path)
		var in struct {
			Model      string
			Input      []string
			Dimensions int
		}
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&in))
		assert.Equal(t, 2, in.Dimensions)
		var data []string
		for i := range in.Input { // last first: the index counts, not the order
			i = len(in.Input) - 1 - i
			data = append(data, fmt.Sprintf(`{"object":"embedding","index":%d,"embedding":[%s,-0.5]}`, i, in.Input[i]))
		}
		_, _ = fmt.Fprintf(w, `{"data":[%s],"model":"%s-exact","usage":{"prompt_tokens":%d}}`, strings.Join(data, ","), in.Model, len(in.Input))
	})
	req := &aiclient.EmbeddingRequest{Dimensions: 2}
	for i := range 5000 {
		req.Texts = append(req.Texts, fmt.Sprint(i))
	}
	resp, err := p.Embedding("small").Embed(t.Context(), req)
	require.NoError(t, err)
	assert.Equal(t, 3, requests)
	assert.Equal(t, "small-exact", resp.Model)
	assert.EqualValues(t, 5000, resp.Usage.Input)
	for i, v := range resp.Vectors {
		require.Equal(t, []float32{float32(i), -0.5}, v)
	}
	resp, err = p.Embedding("small").Embed(t.Context(), &aiclient.EmbeddingRequest{})
	require.NoError(t, err)
	assert.Empty(t, resp.Vectors)
}

func TestRerank(t *testing.T) {
	p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v1/rerank", r.URL.Path)
		_, _ = io.WriteString(w, `{"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1},{"index":7,"relevance_score":1}],"usage":{"total_tokens":12}}`)
	})
	resp, err := p.Rerank("m").Rerank(t.Context(), &aiclient.RerankRequest{Query: "q", Documents: []string{"a", "b"}})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.Ranked{{Index: 1, Score: 0.9}, {Index: 0, Score: 0.1}}, resp.Results)
	assert.EqualValues(t, 12, resp.Usage.Input)

	// Older servers answer in the order of the documents and with all of them.
	p = mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"results":[{"index":0,"relevance_score":0.1},{"index":1,"relevance_score":0.9},{"index":2,"relevance_score":0.5}]}`)
	})
	resp, err = p.Rerank("m").Rerank(t.Context(), &aiclient.RerankRequest{Query: "q", Documents: []string{"a", "b", "c"}, Top: 2})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.Ranked{{Index: 1, Score: 0.9}, {Index: 2, Score: 0.5}}, resp.Results)
}

func TestImagesThatAreMissing(t *testing.T) {
	answer := ""
	p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, answer) })
	answer = `{"data":[{"url":"https://example.com/1"},{"b64_json":null,"url":null}],"output_format":null}`
	resp, err := p.Image("m").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat"})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.File{{MediaType: "image/png", URL: "https://example.com/1"}}, resp.Images)
	resp, err = p.Image("dall-e-3").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat", Format: "webp"})
	require.NoError(t, err)
	assert.Equal(t, "image/png", resp.Images[0].MediaType, "it makes nothing else")
	assert.NotEmpty(t, resp.Warnings)
	answer = `{"data":[{}]}`
	_, err = p.Image("m").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat"})
	require.ErrorIs(t, err, aiclient.ClassProtocol)
}

func TestImages(t *testing.T) {
	png := []byte("\x89PNG")
	p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/images/generations":
			var in map[string]any
			assert.NoError(t, json.NewDecoder(r.Body).Decode(&in))
			assert.Equal(t, map[string]any{"model": "gpt-image-1", "prompt": "a cat", "n": 2.0, "size": "1024x1024"}, in)
		case "/v1/images/edits":
			assert.NoError(t, r.ParseMultipartForm(1<<20))
			assert.Equal(t, "a hat", r.FormValue("prompt"))
			assert.Len(t, r.MultipartForm.File["image[]"], 1)
		}
		_, _ = fmt.Fprintf(w, `{"data":[{"b64_json":%q,"revised_prompt":"a nice cat"}],"usage":{"input_tokens":3,"output_tokens":4}}`, base64.StdEncoding.EncodeToString(png))
	})
	resp, err := p.Image("gpt-image-1").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a cat", Count: 2, Size: "1024x1024"})
	require.NoError(t, err)
	assert.Equal(t, []aiclient.File{{MediaType: "image/png", Data: png}}, resp.Images)
	assert.Equal(t, "a nice cat", resp.RevisedPrompt)
	assert.Equal(t, aiclient.Usage{Input: 3, Output: 4}, resp.Usage)

	_, err = p.Image("gpt-image-1").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a hat", Images: resp.Images})
	require.NoError(t, err)
	_, err = p.Image("gpt-image-1").GenerateImages(t.Context(), &aiclient.ImageRequest{Images: []aiclient.File{{URL: "https://example.com/x.png"}}})
	assert.Equal(t, aiclient.ClassBadRequest, aiclient.ClassOf(err))
}

func TestSpeech(t *testing.T) {
	p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		assert.JSONEq(t, `{"model":"tts-1","input":"hello","voice":"nova","response_format":"wav","speed":1.5}`, string(body))
		w.Header().Set("Content-Type", "audio/wav")
		_, _ = io.WriteString(w, "RIFF")
	})
	resp, err := p.Speech("tts-1").Speak(t.Context(), &aiclient.SpeechRequest{Text: "hello", Voice: "nova", Format: "wav", Speed: 1.5})
	require.NoError(t, err)
	assert.Equal(t, aiclient.File{MediaType: "audio/wav", Data: []byte("RIFF")}, resp.Audio)
}

func TestTranscription(t *testing.T) {
	p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
		assert.NoError(t, r.ParseMultipartForm(1<<20))
		assert.Equal(t, "whisper-1", r.FormValue("model"))
		assert.Equal(t, "verbose_json", r.FormValue("response_format"))
		assert.Equal(t, "file.mp3", r.MultipartForm.File["file"][0].Filename)
		_, _ = io.WriteString(w, `{"text":"hi there","language":"english","duration":2.5,"segments":[{"start":0,"end":1.5,"text":"hi"},{"start":1.5,"end":2.5,"text":" there"}]}`)
	})
	resp, err := p.Transcription("whisper-1").Transcribe(t.Context(), &aiclient.TranscriptionRequest{Audio: aiclient.File{MediaType: "audio/mpeg", Data: []byte("x")}})
	require.NoError(t, err)
	assert.Equal(t, "hi there", resp.Text)
	assert.Equal(t, 2500*time.Millisecond, resp.Duration)
	assert.Equal(t, 1500*time.Millisecond, resp.Segments[1].Start)
}

// TestMediaErrors proves that no kind of model takes a broken answer for a good
// one.
func TestMediaErrors(t *testing.T) {
	for body, class := range map[string]aiclient.Class{
		`{}`:                          aiclient.ClassProtocol,
		`{"data":[{"b64_json":"aaaa"`: aiclient.ClassTruncated,
		`<html>`:                      aiclient.ClassProtocol,
		`{"error":{"message":"quota used up","code":"insufficient_quota"}}`: aiclient.ClassQuota,
	} {
		p := mediaProvider(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
		_, err := p.Embedding("m").Embed(t.Context(), &aiclient.EmbeddingRequest{Texts: []string{"a"}})
		assert.Equal(t, class, aiclient.ClassOf(err), "%s: %v", body, err)
		_, err = p.Image("m").GenerateImages(t.Context(), &aiclient.ImageRequest{Prompt: "a"})
		assert.Equal(t, class, aiclient.ClassOf(err), "%s: %v", body, err)
		_, err = p.Transcription("m").Transcribe(t.Context(), &aiclient.TranscriptionRequest{Audio: aiclient.File{Data: []byte("x")}})
		assert.Equal(t, class, aiclient.ClassOf(err), "%s: %v", body, err)
		_, err = p.Rerank("m").Rerank(t.Context(), &aiclient.RerankRequest{Query: "a", Documents: []string{"b"}})
		assert.Equal(t, class, aiclient.ClassOf(err), "%s: %v", body, err)
	}
}

// TestImagesOfResponses reads an image that the Responses API made, whose type
// only its bytes tell.
func TestImagesOfResponses(t *testing.T) {
	for want, data := range map[string]string{"image/png": "\x89PNG\r\n\x1a\n", "image/webp": "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/jpeg": "\xff\xd8\xff"} {
		p := mediaProvider(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"id":"r","status":"completed","output":[{"type":"image_generation_call","result":%q}]}`, base64.StdEncoding.EncodeToString([]byte(data)))
		})
		resp, err := p.Responses("gpt-5").Generate(t.Context(), &aiclient.Request{Messages: []aiclient.Message{aiclient.User("a cat")}})
		require.NoError(t, err)
		assert.Equal(t, aiclient.File{MediaType: want, Data: []byte(data)}, *resp.Message.Parts[0].File)
	}
}
