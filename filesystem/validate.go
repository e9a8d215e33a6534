package filesystem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"

	"go.yaml.in/yaml/v3"
)

// Validator checks the content that a file is about to get. An error keeps it
// from being written; its text should say what is wrong and where.
type Validator func(ctx context.Context, name string, data []byte) error

// DefaultValidators hold the validators that [Options.Validators] defaults to,
// by extension: Go and JSON.
var DefaultValidators = map[string]Validator{
	".go":   ValidGo,
	".json": ValidJSON,
}

// ValidGo accepts what the Go parser accepts.
func ValidGo(_ context.Context, name string, data []byte) error {
	_, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
	return err
}

// ValidJSON accepts one JSON value.
func ValidJSON(_ context.Context, name string, data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var v json.RawMessage
	err := json.Unmarshal(data, &v)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("%s:%d: %w", name, line, err)
	}
	return err
}

// ValidYAML accepts a stream of YAML documents.
func ValidYAML(_ context.Context, name string, data []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		if err := dec.Decode(&node); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
