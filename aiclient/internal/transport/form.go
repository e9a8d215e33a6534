package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"

	"github.com/tokenring-ai/tokenring-go/aiclient"
)

// Form is the body of a multipart/form-data request.
type Form struct {
	body   bytes.Buffer
	writer *multipart.Writer
	err    error
}

// NewForm returns an empty form.
func NewForm() *Form {
	f := &Form{}
	f.writer = multipart.NewWriter(&f.body)
	return f
}

// Field adds a text. An empty one is left out.
func (f *Form) Field(name, value string) {
	if value != "" && f.err == nil {
		f.err = f.writer.WriteField(name, value)
	}
}

// File adds a file. One without a name gets one that ends in the extension of its
// type: services tell formats by it.
func (f *Form) File(name string, file aiclient.File) {
	if f.err != nil {
		return
	}
	if len(file.Data) == 0 {
		f.err = fmt.Errorf("the file %q has no bytes: it cannot be sent by URL or ID", file.Name)
		return
	}
	if strings.ContainsAny(file.MediaType, "\r\n") {
		f.err = fmt.Errorf("the file %q has no valid media type: %q", file.Name, file.MediaType)
		return
	}
	fileName := file.Name
	if fileName == "" {
		fileName = strings.TrimSuffix("file."+Format(file.MediaType), ".")
	}
	quote := strings.NewReplacer("\\", "\\\\", `"`, "\\\"", "\r", "", "\n", "")
	header := textproto.MIMEHeader{}
	header.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, quote.Replace(name), quote.Replace(fileName)))
	if file.MediaType != "" {
		header.Set("Content-Type", file.MediaType)
	}
	part, err := f.writer.CreatePart(header)
	if err == nil {
		_, err = part.Write(file.Data)
	}
	f.err = err
}

// Format returns the name of the format that a media type of audio stands for, such
// as "mp3", "wav" and "ogg".
func Format(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	_, format, _ := strings.Cut(mediaType, "/")
	format = strings.TrimPrefix(strings.TrimSpace(format), "x-")
	if format == "mpeg" {
		return "mp3"
	}
	return format
}

// Extra adds the fields of the caller's own settings, a JSON object.
func (f *Form) Extra(extra json.RawMessage) {
	if len(extra) == 0 || f.err != nil {
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(extra, &fields); err != nil {
		f.err = fmt.Errorf("the provider options are not a JSON object: %w", err)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var text string
		if json.Unmarshal(fields[name], &text) != nil {
			text = string(fields[name])
		}
		f.Field(name, text)
	}
}

// Finish returns the body and its type.
func (f *Form) Finish() (body []byte, contentType string, err error) {
	if f.err == nil {
		f.err = f.writer.Close()
	}
	return f.body.Bytes(), f.writer.FormDataContentType(), f.err
}
