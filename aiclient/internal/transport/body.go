package transport

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Body encodes a request body and merges the caller's own settings for the
// provider, a JSON object, into it: objects are merged, any other value
// replaces what v holds, and null removes a field.
func Body(v any, extra json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // it would make code in conversations longer for nothing
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	body := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(extra) == 0 {
		return body, nil
	}
	var more map[string]json.RawMessage
	if err := json.Unmarshal(extra, &more); err != nil {
		return nil, fmt.Errorf("the provider options are not a JSON object: %w", err)
	}
	return merge(body, more)
}

func merge(body []byte, more map[string]json.RawMessage) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		fields = map[string]json.RawMessage{} // not an object: replaced
	}
	for name, value := range more {
		var inner map[string]json.RawMessage
		switch {
		case string(value) == "null":
			delete(fields, name)
			continue
		case len(value) > 0 && value[0] == '{' && len(fields[name]) > 0 && fields[name][0] == '{':
			if err := json.Unmarshal(value, &inner); err != nil {
				return nil, fmt.Errorf("the provider option %s: %w", name, err)
			}
			merged, err := merge(fields[name], inner)
			if err != nil {
				return nil, err
			}
			value = merged
		}
		fields[name] = value
	}
	return Body(fields, nil)
}

// DataURL returns data as a data: URL.
func DataURL(mediaType string, data []byte) string {
	prefix := "data:" + mediaType + ";base64,"
	out := make([]byte, len(prefix)+base64.StdEncoding.EncodedLen(len(data)))
	copy(out, prefix)
	base64.StdEncoding.Encode(out[len(prefix):], data)
	return string(out)
}

// Schema returns the JSON schema of a tool's arguments, that of an object
// without properties when it has none.
func Schema(schema json.RawMessage) json.RawMessage {
	if len(bytes.TrimSpace(schema)) == 0 {
		return json.RawMessage(`{"type":"object","properties":{}}`)
	}
	return schema
}
