// Package elevenlabs talks to ElevenLabs: speech and transcription.
//
//	speech := elevenlabs.New(elevenlabs.Options{}).Speech("eleven_multilingual_v2") // key from ELEVENLABS_API_KEY
//	audio, err := speech.Speak(ctx, &aiclient.SpeechRequest{Text: "Olá"})
package elevenlabs

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/aiclient"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/jsonscan"
	"github.com/tokenring-ai/tokenring-go/aiclient/internal/transport"
)

// DefaultBaseURL is ElevenLabs' API.
const DefaultBaseURL = "https://api.elevenlabs.io/v1"

// DefaultVoice is the ID of the voice that speaks when a request names none:
// "Rachel", which every account has.
const DefaultVoice = "21m00Tcm4TlvDq8ikWAM"

// Options configure a [Provider]. The zero value has the key from the
// environment.
type Options struct {
	Name       string       // of the provider; empty means "elevenlabs"
	BaseURL    string       // empty means DefaultBaseURL
	APIKey     string       // empty means ELEVENLABS_API_KEY, unless BaseURL is given
	HTTPClient *http.Client // nil means one without a time limit
	Logger     *slog.Logger // nil means slog.Default()
}

// Provider is ElevenLabs. It is safe for concurrent use.
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
			key = os.Getenv("ELEVENLABS_API_KEY")
		}
	}
	p := &Provider{name: opts.Name, needKey: key == "" && opts.BaseURL == ""}
	if p.name == "" {
		p.name = "elevenlabs"
	}
	p.client = transport.New(p.name, base, opts.HTTPClient, opts.Logger)
	p.client.Secret("Xi-Api-Key", "", key)
	return p
}

// Name returns the provider's name.
func (p *Provider) Name() string { return p.name }

func (p *Provider) ready(model string) error {
	if p.needKey {
		return p.client.NoKey(model, "ELEVENLABS_API_KEY")
	}
	return nil
}

// List returns the models that the service has now.
func (p *Provider) List(ctx context.Context) ([]aiclient.Listed, error) {
	if err := p.ready(""); err != nil {
		return nil, err
	}
	return p.client.List(ctx, "/models")
}

// Speech returns the named speech model. Voices are named by their IDs; the
// formats are "mp3", "pcm", "opus" and "ulaw", or exact ones such as
// "mp3_44100_192".
func (p *Provider) Speech(model string) aiclient.SpeechModel { return &speech{p, model} }

type speech struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.SpeechModel].
func (m *speech) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// formats are the exact formats that the short names stand for.
var formats = map[string]string{
	"": "mp3_44100_128", "mp3": "mp3_44100_128", "pcm": "pcm_24000", "opus": "opus_48000_128", "ulaw": "ulaw_8000",
}

var mediaTypes = map[string]string{"mp3": "audio/mpeg", "pcm": "audio/pcm", "opus": "audio/ogg", "ulaw": "audio/basic"}

// Speak implements [aiclient.SpeechModel].
func (m *speech) Speak(ctx context.Context, req *aiclient.SpeechRequest) (*aiclient.SpeechResponse, error) {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	out := &aiclient.SpeechResponse{}
	voice, format := req.Voice, req.Format
	if voice == "" {
		voice = DefaultVoice
	}
	if exact, ok := formats[format]; ok {
		format = exact
	}
	fields := map[string]any{"text": req.Text, "model_id": m.model}
	if req.Language != "" {
		fields["language_code"] = req.Language
	}
	if req.Speed > 0 {
		fields["voice_settings"] = map[string]any{"speed": req.Speed}
	}
	if req.Instructions != "" {
		out.Warnings = append(out.Warnings, m.provider.name+" has no setting for how to speak")
	}
	body, err := transport.Body(fields, req.Options[m.provider.name])
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	path := "/text-to-speech/" + url.PathEscape(voice) + "?output_format=" + url.QueryEscape(format)
	audio, header, err := client.Do(ctx, transport.Call{Path: path, Model: m.model, Body: body, Accept: "*/*"})
	if err != nil {
		return nil, err
	}
	if len(audio) == 0 {
		return nil, client.Missing(m.model, header, "audio")
	}
	kind, _, _ := strings.Cut(format, "_")
	out.Audio = aiclient.File{MediaType: mediaTypes[kind], Data: audio}
	return out, nil
}

// Transcription returns the named transcription model, such as "scribe_v1".
// Its segments are stretches of one speaker.
func (p *Provider) Transcription(model string) aiclient.TranscriptionModel {
	return &transcription{p, model}
}

type transcription struct {
	provider *Provider
	model    string
}

// Model implements [aiclient.TranscriptionModel].
func (m *transcription) Model() aiclient.Model {
	return aiclient.Model{Provider: m.provider.name, ID: m.model}
}

// Transcribe implements [aiclient.TranscriptionModel].
func (m *transcription) Transcribe(ctx context.Context, req *aiclient.TranscriptionRequest) (*aiclient.TranscriptionResponse, error) {
	client := m.provider.client
	if err := m.provider.ready(m.model); err != nil {
		return nil, err
	}
	form := transport.NewForm()
	form.Field("model_id", m.model)
	form.Field("language_code", req.Language)
	form.Extra(req.Options[m.provider.name])
	form.File("file", req.Audio)
	body, kind, err := form.Finish()
	if err != nil {
		return nil, client.Refuse(m.model, err)
	}
	answer, header, err := client.Do(ctx, transport.Call{Path: "/speech-to-text", Model: m.model, Body: body, Type: kind})
	if err != nil {
		return nil, err
	}
	out := &aiclient.TranscriptionResponse{}
	var words segments
	found := false
	s := jsonscan.New(answer)
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "text":
			found = s.Kind() == jsonscan.String
			out.Text = s.Text()
		case "language_code":
			out.Language = s.Text()
		case "words":
			for s.Array(); s.Item(); {
				words.add(&s)
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
	out.Segments = words.end()
	if n := len(out.Segments); n > 0 {
		out.Duration = out.Segments[n-1].End
	}
	return out, nil
}

// segments puts words together to stretches of one speaker.
type segments struct {
	list []aiclient.TranscriptionSegment
	text strings.Builder // of the last of them
}

// add adds a word, or the space between two, to the segment of its speaker.
func (t *segments) add(s *jsonscan.Scanner) {
	word := aiclient.TranscriptionSegment{}
	for s.Object(); s.Key(); {
		switch string(s.Name()) {
		case "text":
			word.Text = s.Text()
		case "start":
			word.Start = seconds(s.Float())
		case "end":
			word.End = seconds(s.Float())
		case "speaker_id":
			word.Speaker = s.Text()
		default:
			s.Skip()
		}
	}
	n := len(t.list)
	if n == 0 || t.list[n-1].Speaker != word.Speaker && strings.TrimSpace(word.Text) != "" {
		t.list = append(t.end(), word)
		n++
	}
	t.text.WriteString(word.Text)
	t.list[n-1].End = max(t.list[n-1].End, word.End)
}

// end completes the last segment and returns all.
func (t *segments) end() []aiclient.TranscriptionSegment {
	if n := len(t.list); n > 0 {
		t.list[n-1].Text = t.text.String()
		t.text.Reset()
	}
	return t.list
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
