package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// DefaultMaxResult is the default of [Options.MaxResult] in bytes: about 12,000
// tokens, enough for a long file section and small beside a context window.
const DefaultMaxResult = 48 << 10

// Options describe a tool that [New] makes.
type Options struct {
	Annotations Annotations
	Effects     func(args json.RawMessage) []Effect
	Preview     func(ctx context.Context, args json.RawMessage) (string, error)

	// MaxResult bounds Result.Text in bytes: more than this is cut in the
	// middle, with a mark that says how much is missing. 0 means
	// [DefaultMaxResult]; negative means no bound.
	MaxResult int

	// Logger receives the stack of a panic in the function. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// New makes a Tool from a typed Go function. The schema of In, which must be a
// struct or a map with string keys, follows its json tags; a `jsonschema:"…"`
// tag describes a field. Fields are required unless they are tagged omitempty
// or omitzero.
//
// Arguments are decoded strictly: unknown fields, missing required fields and
// wrong types are errors that name the field and say what was expected and what
// came, so that a model can correct itself. The case of names matters. null
// stands for an optional field that is left out, and absent arguments for an
// empty object.
//
// An Out of type string, []byte, [Result] or fmt.Stringer is rendered as text, an
// empty struct or nil as "ok", anything else as JSON. A panic in fn
// becomes an error. New panics when In has no JSON schema or the name is not
// valid, because both are mistakes in the program.
func New[In, Out any](name, description string, fn func(ctx context.Context, in In) (Out, error), opts Options) Tool {
	if err := CheckName(name); err != nil {
		panic("tool.New: " + err.Error())
	}
	schema, err := jsonschema.For[In](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		// As encoding/json reads them.
		reflect.TypeFor[[]byte]():          {Type: "string", ContentEncoding: "base64"},
		reflect.TypeFor[json.RawMessage](): {},
	}})
	if err != nil {
		panic(fmt.Sprintf("tool.New(%q): schema of %s: %v", name, reflect.TypeFor[In](), err))
	}
	if schema.Type != "object" {
		panic(fmt.Sprintf("tool.New(%q): arguments must be a struct or a map, not %s", name, reflect.TypeFor[In]()))
	}
	simplify(schema)
	raw, err := json.Marshal(schema)
	if err != nil {
		panic(fmt.Sprintf("tool.New(%q): schema of %s: %v", name, reflect.TypeFor[In](), err))
	}

	call := func(ctx context.Context, args json.RawMessage) (res Result, err error) {
		defer func() {
			if p := recover(); p != nil {
				logger := opts.Logger
				if logger == nil {
					logger = slog.Default()
				}
				logger.ErrorContext(ctx, "tool panicked", "tool", name, "panic", p, "stack", string(debug.Stack()))
				res, err = Result{}, fmt.Errorf("tool %s failed internally: %v", name, p)
			}
		}()
		in, err := decode[In](schema, args)
		if err != nil {
			return Result{}, &ArgumentError{Tool: name, Err: err}
		}
		out, err := fn(ctx, in)
		if err != nil {
			return Result{}, err
		}
		res, err = render(out)
		if err != nil {
			return Result{}, fmt.Errorf("tool %s: result: %w", name, err)
		}
		return limit(res, opts.MaxResult), nil
	}
	return Tool{
		Name:        name,
		Description: description,
		Schema:      raw,
		Annotations: opts.Annotations,
		Effects:     opts.Effects,
		Preview:     opts.Preview,
		Call:        call,
	}
}

// CheckName reports why name is not a valid tool name: providers accept letters,
// digits, '_' and '-', 1 to 64 bytes.
func CheckName(name string) error {
	if name == "" || len(name) > 64 {
		return fmt.Errorf("tool name %q: want 1 to 64 bytes, got %d", name, len(name))
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return fmt.Errorf("tool name %q: %q is not a letter, digit, '_' or '-'", name, r)
		}
	}
	return nil
}

// ArgumentError reports arguments that do not fit the tool's schema. Its text is
// written for the model that sent them.
type ArgumentError struct {
	Tool string
	Err  error
}

func (e *ArgumentError) Error() string {
	return fmt.Sprintf("invalid arguments for tool %s: %v", e.Tool, e.Err)
}

func (e *ArgumentError) Unwrap() error { return e.Err }

// decode checks args against the schema and decodes them.
func decode[In any](schema *jsonschema.Schema, args json.RawMessage) (In, error) {
	var in In
	if trimmed := bytes.TrimSpace(args); len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		args = json.RawMessage("{}")
	}
	var generic any
	dec := json.NewDecoder(bytes.NewReader(args))
	dec.UseNumber()
	if err := dec.Decode(&generic); err != nil {
		return in, syntaxError(args, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return in, fmt.Errorf("expected one JSON object, got more after it: %.80q", args[dec.InputOffset():])
	}
	object, ok := generic.(map[string]any)
	if !ok {
		return in, fmt.Errorf("expected a JSON object, got %s", jsonType(generic))
	}
	if err := explain(schema, object, ""); err != nil {
		return in, err
	}
	// From the text again, so that large integers keep all their digits.
	if err := json.Unmarshal(args, &in); err != nil {
		return in, decodeError(err)
	}
	return in, nil
}

func syntaxError(args []byte, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the JSON object ends early after %d bytes: %.80q", len(args), args)
	}
	if s, ok := err.(*json.SyntaxError); ok {
		return fmt.Errorf("malformed JSON at byte %d: %v", s.Offset, s)
	}
	return fmt.Errorf("malformed JSON: %w", err)
}

// render turns a function's result into what the model reads.
func render(out any) (Result, error) {
	switch v := out.(type) {
	case Result:
		return v, nil
	case string:
		return Text(v), nil
	case []byte:
		return Text(string(v)), nil
	case struct{}, nil:
		return Text("ok"), nil
	case fmt.Stringer:
		return Text(v.String()), nil
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return Result{}, err
	}
	return Text(strings.TrimSuffix(b.String(), "\n")), nil
}
