package database

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

// Tools returns the actions that a model may call: db_query, db_schema and
// db_execute.
func (s *Service) Tools() []tool.Tool {
	type query struct {
		Database string `json:"database,omitempty" jsonschema:"name of the database; may be left out if there is only one"`
		SQL      string `json:"sql" jsonschema:"one statement that reads"`
		Args     values `json:"args,omitempty" jsonschema:"values for the placeholders"`
		Explain  bool   `json:"explain,omitempty" jsonschema:"true returns the query plan instead of rows"`
	}
	type schema struct {
		Database string   `json:"database,omitempty" jsonschema:"name of the database; may be left out if there is only one"`
		Tables   []string `json:"tables,omitempty" jsonschema:"table names or patterns such as order*; empty lists the names of all"`
	}
	type execute struct {
		Database string `json:"database,omitempty" jsonschema:"name of the database; may be left out if there is only one"`
		SQL      string `json:"sql" jsonschema:"one statement that changes data or definitions"`
		Args     values `json:"args,omitempty" jsonschema:"values for the placeholders"`
	}
	return []tool.Tool{
		tool.New("db_query", "Run one read-only SQL statement and return its rows as JSON. Databases: "+s.names()+".",
			func(ctx context.Context, in query) (tool.Result, error) {
				if in.Explain {
					plan, err := s.Plan(ctx, in.Database, in.SQL, in.Args.list()...)
					return tool.Text(plan), err
				}
				return resultText(s.Query(ctx, in.Database, in.SQL, in.Args.list()...))
			}, tool.Options{Annotations: tool.Annotations{ReadOnly: true, OpenWorld: true}}),
		tool.New("db_schema", "Describe the tables of a database: definitions, keys and indexes.",
			func(ctx context.Context, in schema) (string, error) {
				return s.schemaText(ctx, in.Database, in.Tables)
			}, tool.Options{Annotations: tool.Annotations{ReadOnly: true, OpenWorld: true}}),
		tool.New("db_execute", "Run one SQL statement that changes data, after approval.",
			func(ctx context.Context, in execute) (tool.Result, error) {
				return resultText(s.Execute(ctx, in.Database, in.SQL, in.Args.list()...))
			}, tool.Options{
				Annotations: tool.Annotations{Destructive: true, OpenWorld: true, Exclusive: true},
				Effects: func(args json.RawMessage) []tool.Effect {
					var in execute
					_ = json.Unmarshal(args, &in) // what cannot be read is refused by the call
					if p, err := s.provider(in.Database); err == nil {
						in.Database = p.Name
					}
					return []tool.Effect{{Kind: tool.SQLWrite, Target: in.Database + ": " + in.SQL}}
				},
				Preview: func(_ context.Context, args json.RawMessage) (string, error) {
					var in execute
					err := json.Unmarshal(args, &in)
					for i, v := range in.Args {
						in.SQL += fmt.Sprintf("\n-- value %d: %s", i+1, v)
					}
					return in.SQL, err
				},
			}),
	}
}

func resultText(r *Result, err error) (tool.Result, error) {
	if err != nil {
		return tool.Result{}, err
	}
	if len(r.Columns) == 0 {
		return tool.Text(r.String()), nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return tool.Result{}, err
	}
	text := string(data)
	if r.Truncated != "" {
		text += "\n" + r.more()
	}
	return tool.Text(text), nil
}

// values are arguments as a model writes them.
type values []json.RawMessage

// list returns them as a database takes them, without loss: numbers that neither an
// int64 nor a float64 holds become text, and so do lists and objects, as JSON.
func (v values) list() []any {
	args := make([]any, len(v))
	for i, raw := range v {
		args[i] = string(raw)
		switch text := string(raw); {
		case text == "null":
			args[i] = nil
		case text == "true" || text == "false":
			args[i] = text == "true"
		case text[0] == '"':
			var s string
			_ = json.Unmarshal(raw, &s) // it is valid JSON, and a string
			args[i] = s
		case text[0] == '-' || text[0] >= '0' && text[0] <= '9':
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				args[i] = n
			} else if f, err := strconv.ParseFloat(text, 64); err == nil && holds(f, text) {
				args[i] = f
			}
		}
	}
	return args
}

// holds reports whether f has all the digits of a number that is written as text.
func holds(f float64, text string) bool {
	if strings.ContainsAny(text, "eE") {
		return true // nobody writes decimals like that
	}
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return strconv.FormatFloat(f, 'f', -1, 64) == text
}

// schemaText lists the names of all tables or describes some.
func (s *Service) schemaText(ctx context.Context, provider string, patterns []string) (string, error) {
	tables, err := s.Schema(ctx, provider, SchemaFilter{Tables: patterns, NamesOnly: len(patterns) == 0})
	if err != nil {
		return "", err
	}
	if len(tables) == 0 {
		return "no such tables", nil
	}
	parts := make([]string, len(tables))
	for i := range tables {
		parts[i] = tables[i].String()
	}
	return strings.Join(parts, "\n"), nil
}
