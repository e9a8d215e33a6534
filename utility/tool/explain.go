package tool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/jsonschema-go/jsonschema"
)

// explain finds the first difference between value and schema that it can put
// into words for a model: field, expected, got. It covers what schemas of Go
// types contain; the schema's own validation remains the judge of the rest.
func explain(schema *jsonschema.Schema, value any, path string) error {
	if schema == nil {
		return nil
	}
	if want := types(schema); len(want) > 0 && !matches(want, value) {
		if path == "" {
			path = "the arguments"
		} else {
			path = fmt.Sprintf("field %q", path)
		}
		return fmt.Errorf("%s: expected %s, got %s", path, strings.Join(want, " or "), jsonType(value))
	}
	switch v := value.(type) {
	case map[string]any:
		return explainObject(schema, v, path)
	case []any:
		for i, item := range v {
			if err := explain(schema.Items, item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func explainObject(schema *jsonschema.Schema, object map[string]any, path string) error {
	for _, name := range schema.Required {
		if _, ok := object[name]; !ok {
			return fmt.Errorf("field %q is required%s", join(path, name), described(schema.Properties[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		property, known := schema.Properties[name]
		switch {
		case known:
			if err := explain(property, object[name], join(path, name)); err != nil {
				return err
			}
		case isFalse(schema.AdditionalProperties):
			return fmt.Errorf("unknown field %q: the fields are %s", join(path, name), fieldNames(schema))
		default:
			if err := explain(schema.AdditionalProperties, object[name], join(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
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
	if path == "" {
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
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case json.Number:
		return "number"
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
func limit(r Result, limit int) Result {
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

// runeStart returns the first index at or after i that starts a rune.
func runeStart(s string, i int) int {
	for i < len(s) && !utf8.RuneStart(s[i]) {
		i++
	}
	return i
}
