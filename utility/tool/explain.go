package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// explain finds the first difference between value and schema and puts it into
// words for a model: field, expected, got. Numbers in value are json.Number. It
// covers all that schemas of Go types contain; decoding into the Go type judges
// the rest, such as the range of an int8.
func explain(schema *jsonschema.Schema, value any, path string) error {
	if schema == nil {
		return nil
	}
	if want := types(schema); len(want) > 0 && !matches(want, value) {
		return mismatch(path, strings.Join(want, " or "), value)
	}
	switch v := value.(type) {
	case map[string]any:
		return explainObject(schema, v, path)
	case []any:
		if n := schema.MinItems; n != nil && len(v) < *n {
			return fmt.Errorf("%s: expected at least %d items, got %d", place(path), *n, len(v))
		}
		if n := schema.MaxItems; n != nil && len(v) > *n {
			return fmt.Errorf("%s: expected at most %d items, got %d", place(path), *n, len(v))
		}
		for i, item := range v {
			if err := explain(schema.Items, item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func explainObject(schema *jsonschema.Schema, object map[string]any, path string) error {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property, known := schema.Properties[name]
		switch {
		case known:
			// Models say null for an optional field that they leave out.
			if object[name] == nil && !slices.Contains(schema.Required, name) {
				continue
			}
			if err := explain(property, object[name], join(path, name)); err != nil {
				return err
			}
		case isFalse(schema.AdditionalProperties):
			return unknownField(schema, path, name)
		default:
			if err := explain(schema.AdditionalProperties, object[name], join(path, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range schema.Required {
		if _, ok := object[name]; !ok {
			return fmt.Errorf("field %q is required%s", join(path, name), described(schema.Properties[name]))
		}
	}
	return nil
}

// unknownField also reports names whose letters are right and whose case is
// wrong, which encoding/json would let pass.
func unknownField(schema *jsonschema.Schema, path, name string) error {
	for known := range schema.Properties {
		if strings.EqualFold(known, name) {
			return fmt.Errorf("unknown field %q: did you mean %q?", join(path, name), join(path, known))
		}
	}
	return fmt.Errorf("unknown field %q: the fields are %s", join(path, name), fieldNames(schema))
}

// decodeError puts an error of the decoder into the same words.
func decodeError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: expected %s, got %s", place(e.Field), describeType(e.Type), clip(e.Value))
	}
	return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
}

// describeType names a Go type by what JSON may hold for it.
func describeType(t reflect.Type) string {
	switch k := t.Kind(); {
	case k >= reflect.Int && k <= reflect.Int64:
		return fmt.Sprintf("an integer of %d bits", t.Bits())
	case k >= reflect.Uint && k <= reflect.Uint64:
		return fmt.Sprintf("an integer of %d bits that is not negative", t.Bits())
	case k == reflect.Float32 || k == reflect.Float64:
		return fmt.Sprintf("a number of %d bits", t.Bits())
	}
	return t.String()
}

func mismatch(path, want string, value any) error {
	got := jsonType(value)
	switch v := value.(type) {
	case json.Number:
		got += " " + clip(v.String())
	case string:
		got += fmt.Sprintf(" %q", clip(v))
	}
	return fmt.Errorf("%s: expected %s, got %s", place(path), want, got)
}

func place(path string) string {
	if path == "" {
		return "the arguments"
	}
	return fmt.Sprintf("field %q", path)
}

// clip shortens what a model sent for an error message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// simplify takes null out of the types of fields where it means the same as
// leaving the field out or sending an empty list. A type with alternatives
// confuses models, and some providers refuse it. A pointer that is required
// stays nullable.
func simplify(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	for name, p := range s.Properties {
		if !slices.Contains(s.Required, name) || slices.Contains(p.Types, "array") || p.AdditionalProperties != nil && !isFalse(p.AdditionalProperties) {
			withoutNull(p)
		}
		simplify(p)
	}
	if s.Items != nil {
		if slices.Contains(s.Items.Types, "array") {
			withoutNull(s.Items)
		}
		simplify(s.Items)
	}
	if s.AdditionalProperties != nil && slices.Contains(s.AdditionalProperties.Types, "array") {
		withoutNull(s.AdditionalProperties)
	}
	simplify(s.AdditionalProperties)
}

func withoutNull(s *jsonschema.Schema) {
	rest := slices.DeleteFunc(slices.Clone(s.Types), func(t string) bool { return t == "null" })
	if len(rest) == 1 {
		s.Type, s.Types = rest[0], nil
	}
}

func described(s *jsonschema.Schema) string {
	if s == nil {
		return ""
	}
	text := strings.Join(types(s), " or ")
	if s.Description != "" {
		text += ", " + s.Description
	}
	if text == "" {
		return ""
	}
	return " (" + strings.TrimPrefix(text, ", ") + ")"
}

func fieldNames(s *jsonschema.Schema) string {
	if len(s.Properties) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(s.Properties)), ", ")
}

func join(path, name string) string {
	if name = clip(name); path == "" {
		return name
	}
	return path + "." + name
}

func types(s *jsonschema.Schema) []string {
	if s.Type != "" {
		return []string{s.Type}
	}
	return s.Types
}

// isFalse reports whether s is the schema that nothing satisfies, which stands
// for "no additional properties".
func isFalse(s *jsonschema.Schema) bool {
	return s != nil && s.Not != nil && len(types(s)) == 0
}

func matches(want []string, value any) bool {
	got := jsonType(value)
	for _, w := range want {
		if w == got || w == "number" && got == "integer" {
			return true
		}
	}
	return false
}

func jsonType(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case json.Number:
		// 2.0 is an integer to JSON schema but not to encoding/json.
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	case string:
		return "string"
	case []any:
		return "array"
	default:
		return "object"
	}
}

// limit cuts the middle out of a text that is longer than limit bytes: the
// beginning says what it is and the end usually holds the verdict.
//
// Bytes that are not UTF-8 become U+FFFD, as they would in any JSON on the way to
// the model.
func limit(r Result, limit int) Result {
	r.Text = strings.ToValidUTF8(r.Text, "\uFFFD")
	if limit == 0 {
		limit = DefaultMaxResult
	}
	if limit < 0 || len(r.Text) <= limit {
		return r
	}
	head := runeStart(r.Text, limit*2/3)
	tail := runeStart(r.Text, len(r.Text)-(limit-head))
	cut := tail - head
	r.Text = fmt.Sprintf("%s\n[… %d bytes cut …]\n%s", r.Text[:head], cut, r.Text[tail:])
	r.Truncated += cut
	return r
}

// runeStart returns the first index at or after i that starts a rune of s, which
// is valid UTF-8.
func runeStart(s string, i int) int {
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return i
}
