package openai

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// Speech returns the named speech model. Without a voice it speaks with
// "alloy", and without a format in MP3.
func (p *Provider) Speech(model string) aiclient.SpeechModel {
	return &speech{provider: p, model: model}
}

type speech struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.SpeechModel].
func (m *speech) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// mediaTypes are the types of the audio formats.
var mediaTypes = map[string]string{
	"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm",
}

// Speak implements [aiclient.SpeechModel].
func (m *speech) Speak(ctx context.Context, req *aiclient.SpeechRequest) (*aiclient.SpeechResponse, error) {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	out := &aiclient.SpeechResponse{}
	voice, format := req.Voice, req.Format
	if voice == "" {
		voice = "alloy"
	}
	if format == "" {
		format = "mp3"
	}
	fields := map[string]any{"model": m.model, "input": req.Text, "voice": voice, "response_format": format}
	if req.Instructions != "" {
		fields["instructions"] = req.Instructions
	}
	if req.Speed > 0 {
		fields["speed"] = req.Speed
	}
	if req.Language != "" {
		out.Warnings = append(out.Warnings, m.provider.name+" has no setting for the language of speech")
	}
	body, err := transport.Body(fields, req.Options[m.provider.name])
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	audio, header, err := client.Do(ctx, transport.Call{Path: "/audio/speech", Model: m.model, Body: body, Accept: "*/*"})
	if err != nil {
		return nil, err
	}
	if len(audio) == 0 {
		return nil, client.Missing(m.model, header, "audio")
	}
	out.Audio = aiclient.File{MediaType: mediaTypes[format], Data: audio}
	if kind := header.Get("Content-Type"); strings.HasPrefix(kind, "audio/") {
		out.Audio.MediaType, _, _ = strings.Cut(kind, ";")
	}
	return out, nil
}

// Transcription returns the named transcription model.
func (p *Provider) Transcription(model string) aiclient.TranscriptionModel {
	return &transcription{provider: p, model: model}
}

type transcription struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.TranscriptionModel].
func (m *transcription) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// Transcribe implements [aiclient.TranscriptionModel]. Whisper tells the times
// of segments, too.
func (m *transcription) Transcribe(ctx context.Context, req *aiclient.TranscriptionRequest) (*aiclient.TranscriptionResponse, error) {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	form := transport.NewForm()
	form.Field("model", m.model)
	form.Field("language", req.Language)
	form.Field("prompt", req.Prompt)
	if req.Temperature != nil {
		form.Field("temperature", strconv.FormatFloat(*req.Temperature, 'g', -1, 64))
	}
	if strings.Contains(m.model, "whisper") {
		form.Field("response_format", "verbose_json")
	}
	form.Extra(req.Options[m.provider.name])
	form.File("file", req.Audio)
	body, kind, err := form.Finish()
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: "/audio/transcriptions", Model: m.model, Body: body, Type: kind})
	if err != nil {
		return nil, err
	}
	out := &aiclient.TranscriptionResponse{}
	found := false
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "text":
			found = s.Kind() == jsonscan.String
			out.Text = s.Text()
		case "language":
			out.Language = s.Text()
		case "duration":
			out.Duration = seconds(s.Float())
		case "segments":
			for s.Array(); s.Item(); {
				segment := aiclient.TranscriptionSegment{}
				for s.Object(); s.Key(); {
					switch string(s.Name()) {
					case "text":
						segment.Text = s.Text()
					case "start":
						segment.Start = seconds(s.Float())
					case "end":
						segment.End = seconds(s.Float())
					case "speaker":
						segment.Speaker = s.Text()
					default:
						s.Skip()
					}
				}
				out.Segments = append(out.Segments, segment)
			}
		case "usage":
			for s.Object(); s.Key(); {
				switch string(s.Name()) {
				case "input_tokens":
					out.Usage.Input = s.Int()
				case "output_tokens":
					out.Usage.Output = s.Int()
				case "seconds":
					if d := seconds(s.Float()); out.Duration == 0 {
						out.Duration = d
					}
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
	if !found {
		if e := client.BodyError(m.model, answer); e != nil {
			return nil, e
		}
		return nil, client.Missing(m.model, header, "text")
	}
	return out, nil
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
