package aiclient

import (
	"context"
	"encoding/json"
	"time"
)

// The registries of the other kinds of models.
type (
	EmbeddingRegistry     = Registry[EmbeddingModel]
	ImageRegistry         = Registry[ImageModel]
	SpeechRegistry        = Registry[SpeechModel]
	TranscriptionRegistry = Registry[TranscriptionModel]
	RerankRegistry        = Registry[RerankModel]
)

// EmbeddingModel turns texts into vectors. Implementations are safe for
// concurrent use.
type EmbeddingModel interface {
	Model() Model

	// Embed returns one vector per text, in order. Lists that are longer than
	// the provider takes at once are sent in pieces.
	Embed(ctx context.Context, req *EmbeddingRequest) (*EmbeddingResponse, error)
}

// EmbeddingRequest is what an embedding model is asked.
type EmbeddingRequest struct {
	Texts      []string
	Dimensions int    // of the vectors; 0 means the model's own
	Purpose    string // such as "query" or "document", where the model tells them apart
	Options    map[string]json.RawMessage
}

// EmbeddingResponse holds the vectors of an [EmbeddingRequest].
type EmbeddingResponse struct {
	Vectors [][]float32
	Model   string
	Usage   Usage
}

// ImageModel makes images. Implementations are safe for concurrent use.
type ImageModel interface {
	Model() Model

	// GenerateImages makes images from a description, or changes the images of
	// the request.
	GenerateImages(ctx context.Context, req *ImageRequest) (*ImageResponse, error)
}

// ImageRequest is what an image model is asked. Empty fields leave the choice
// to the provider.
type ImageRequest struct {
	Prompt      string
	Images      []File // to change or to follow
	Count       int
	Size        string // such as "1024x1024"
	AspectRatio string // such as "16:9"
	Quality     string
	Format      string // such as "png"
	Seed        *int64
	Options     map[string]json.RawMessage
}

// ImageResponse holds the images of an [ImageRequest].
type ImageResponse struct {
	Images        []File // by their bytes, or by a URL that does not live long
	RevisedPrompt string // what the provider made of the prompt
	Usage         Usage
	Warnings      []string
}

// SpeechModel reads texts aloud. Implementations are safe for concurrent use.
type SpeechModel interface {
	Model() Model
	Speak(ctx context.Context, req *SpeechRequest) (*SpeechResponse, error)
}

// SpeechRequest is what a speech model is asked. Empty fields leave the choice
// to the provider or the adapter.
type SpeechRequest struct {
	Text         string
	Voice        string
	Format       string  // such as "mp3"
	Instructions string  // how to speak
	Language     string  // an ISO 639-1 code
	Speed        float64 // 1 is normal
	Options      map[string]json.RawMessage
}

// SpeechResponse holds the audio of a [SpeechRequest].
type SpeechResponse struct {
	Audio    File
	Warnings []string
}

// TranscriptionModel writes down what is said. Implementations are safe for
// concurrent use.
type TranscriptionModel interface {
	Model() Model
	Transcribe(ctx context.Context, req *TranscriptionRequest) (*TranscriptionResponse, error)
}

// TranscriptionRequest is what a transcription model is asked.
type TranscriptionRequest struct {
	Audio       File   // by its bytes
	Language    string // an ISO 639-1 code; empty means any
	Prompt      string // words that may occur
	Temperature *float64
	Options     map[string]json.RawMessage
}

// TranscriptionResponse holds the text of a [TranscriptionRequest]. What the
// provider does not tell is empty.
type TranscriptionResponse struct {
	Text     string
	Language string
	Duration time.Duration
	Segments []TranscriptionSegment
	Usage    Usage
}

// TranscriptionSegment is a piece of a transcription with its time.
type TranscriptionSegment struct {
	Text       string
	Start, End time.Duration
	Speaker    string
}

// RerankModel orders documents by how well they answer a query. Implementations
// are safe for concurrent use.
type RerankModel interface {
	Model() Model
	Rerank(ctx context.Context, req *RerankRequest) (*RerankResponse, error)
}

// RerankRequest is what a rerank model is asked.
type RerankRequest struct {
	Query     string
	Documents []string
	Top       int // how many results to return; 0 means all
	Options   map[string]json.RawMessage
}

// RerankResponse holds the order of a [RerankRequest], best first.
type RerankResponse struct {
	Results []Ranked
	Usage   Usage
}

// Ranked is a document with its score, by its index in the request.
type Ranked struct {
	Index int
	Score float64
}
