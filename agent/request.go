package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// RequestKind says what a person is asked for.
type RequestKind string

// The kinds of requests.
const (
	Confirm     RequestKind = "confirm"     // yes or no: Response.Confirmed
	Text        RequestKind = "text"        // Response.Text
	Password    RequestKind = "password"    // Response.Text, never logged nor saved
	Choice      RequestKind = "choice"      // one of Options: Response.Choices
	MultiChoice RequestKind = "multichoice" // any of Options: Response.Choices
	Tree        RequestKind = "tree"        // any of the nested Options: Response.Choices
	Form        RequestKind = "form"        // all of Fields: Response.Fields by name
)

// Request is a question to a person.
type Request struct {
	// ID addresses the request when it is answered. Empty in [Agent.Ask] means
	// that one is made. A handler that asks the same again after a restore
	// gives the same ID, such as the ID of the tool call it wants approved, and
	// then receives an answer that was given meanwhile.
	ID   string      `json:"id"`
	Kind RequestKind `json:"kind"`
	// Title is a short heading, Text the question.
	Title string `json:"title,omitempty"`
	Text  string `json:"text,omitempty"`
	// Options are what to choose from.
	Options []Option `json:"options,omitempty"`
	// Fields are the parts of a Form. They are requests of the other kinds.
	Fields []Field `json:"fields,omitempty"`
	// Min and Max bound the number of choices of MultiChoice and Tree; 0 means
	// no bound.
	Min int `json:"min,omitempty"`
	Max int `json:"max,omitempty"`
	// Timeout ends the request with Default. 0 means that it waits for as long
	// as the asking context lives.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Default is the answer of a request that timed out. Nil makes that an
	// error that wraps context.DeadlineExceeded.
	Default *Response `json:"default,omitempty"`
	// Data is the host's own, for example the call that wants approval: valid
	// JSON, or nil.
	Data json.RawMessage `json:"data,omitempty"`

	// Input is the ID of the input that asks. Set by Ask.
	Input string `json:"input,omitempty"`
	// Time is when it was asked. Set by Ask.
	Time time.Time `json:"time"`
}

// Option is something to choose. Options of a Tree may have children.
type Option struct {
	// Value is what an answer names; unique in the request.
	Value string `json:"value"`
	// Label is what a person sees. Empty means Value.
	Label    string   `json:"label,omitempty"`
	Children []Option `json:"children,omitempty"`
}

// Field is a part of a form.
type Field struct {
	Name     string      `json:"name"`
	Label    string      `json:"label,omitempty"`
	Kind     RequestKind `json:"kind"`
	Options  []Option    `json:"options,omitempty"`
	Optional bool        `json:"optional,omitempty"`
}

// Response is an answer.
type Response struct {
	Confirmed bool                `json:"confirmed,omitempty"`
	Text      string              `json:"text,omitempty"`
	Choices   []string            `json:"choices,omitempty"`
	Fields    map[string]Response `json:"fields,omitempty"`
	// Cancelled says that the person declined to answer. It fits every kind.
	Cancelled bool `json:"cancelled,omitempty"`
	// TimedOut says that this is the request's default. Set by Ask.
	TimedOut bool `json:"timedOut,omitempty"`
	// By says who answered, for the record.
	By string `json:"by,omitempty"`
}

func (r Request) size() int {
	n := len(r.Text) + len(r.Title) + len(r.Data) + optionsSize(r.Options)
	for _, f := range r.Fields {
		n += len(f.Name) + len(f.Label) + 64 + optionsSize(f.Options)
	}
	if r.Default != nil {
		n += r.Default.size()
	}
	return n
}

func optionsSize(options []Option) (n int) {
	for _, o := range options {
		n += len(o.Value) + len(o.Label) + 48 + optionsSize(o.Children)
	}
	return n
}

func (r Response) size() int {
	n := len(r.Text) + len(r.By)
	for _, c := range r.Choices {
		n += len(c) + 16
	}
	for name, part := range r.Fields {
		n += len(name) + 64 + part.size()
	}
	return n
}

// same reports whether r and other ask the same for the same input, so that an
// answer to one is one to the other. Data counts: it may be the call that wants
// approval.
func (r Request) same(other Request) bool {
	return r.Input == other.Input && r.Kind == other.Kind && r.Title == other.Title && r.Text == other.Text &&
		bytes.Equal(compact(r.Data), compact(other.Data))
}

// compact removes the white space that a checkpoint does not keep.
func compact(raw json.RawMessage) []byte {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return raw
	}
	return out.Bytes()
}

// check reports what is wrong with a question.
func (r Request) check() error {
	if err := checkJSON("Data", r.Data); err != nil {
		return err
	}
	switch r.Kind {
	case Confirm, Text, Password:
	case Choice, MultiChoice, Tree:
		if r.Max > 0 && r.Min > r.Max {
			return fmt.Errorf("at least %d and at most %d choices: nobody can answer that", r.Min, r.Max)
		}
		return checkOptions(r.Options, r.Kind == Tree)
	case Form:
		if len(r.Fields) == 0 {
			return fmt.Errorf("a form needs fields")
		}
		seen := map[string]bool{}
		for _, f := range r.Fields {
			if f.Name == "" || seen[f.Name] {
				return fmt.Errorf("field name %q is empty or used twice", f.Name)
			}
			seen[f.Name] = true
			if f.Kind == Form {
				return fmt.Errorf("field %q: a form cannot hold a form", f.Name)
			}
			if err := (Request{Kind: f.Kind, Options: f.Options}).check(); err != nil {
				return fmt.Errorf("field %q: %w", f.Name, err)
			}
		}
	default:
		return fmt.Errorf("unknown kind %q", r.Kind)
	}
	return nil
}

func checkOptions(options []Option, tree bool) error {
	values := optionValues(options, nil)
	if len(values) == 0 {
		return fmt.Errorf("a choice needs options")
	}
	if !tree && len(values) != len(options) {
		return fmt.Errorf("only a tree's options have children")
	}
	slices.Sort(values)
	if n := len(values); n != len(slices.Compact(values)) {
		return fmt.Errorf("two options have the same value")
	}
	return nil
}

func optionValues(options []Option, into []string) []string {
	for _, o := range options {
		into = append(into, o.Value)
		into = optionValues(o.Children, into)
	}
	return into
}

// accept reports why resp does not answer r.
func (r Request) accept(resp Response) error {
	if resp.Cancelled {
		return nil
	}
	switch r.Kind {
	case Choice, MultiChoice, Tree:
		low, high := r.Min, r.Max
		if r.Kind == Choice {
			low, high = 1, 1
		}
		if len(resp.Choices) < low || high > 0 && len(resp.Choices) > high {
			return fmt.Errorf("%d choices: want at least %d and at most %d (0 is no limit)", len(resp.Choices), low, high)
		}
		values := optionValues(r.Options, nil)
		for i, c := range resp.Choices {
			if !slices.Contains(values, c) {
				return fmt.Errorf("%q is not an option: want one of %q", c, values)
			}
			if slices.Contains(resp.Choices[:i], c) {
				return fmt.Errorf("%q is chosen twice", c)
			}
		}
	case Form:
		for name := range resp.Fields {
			if !slices.ContainsFunc(r.Fields, func(f Field) bool { return f.Name == name }) {
				return fmt.Errorf("the form has no field %q", name)
			}
		}
		for _, f := range r.Fields {
			part, given := resp.Fields[f.Name]
			if !given {
				if f.Optional {
					continue
				}
				return fmt.Errorf("field %q is missing", f.Name)
			}
			if err := (Request{Kind: f.Kind, Options: f.Options}).accept(part); err != nil {
				return fmt.Errorf("field %q: %w", f.Name, err)
			}
		}
	}
	return nil
}

// secret reports whether answers to r must not be written anywhere.
func (r Request) secret() bool {
	return r.Kind == Password || slices.ContainsFunc(r.Fields, func(f Field) bool { return f.Kind == Password })
}

// public returns r without secrets: a default of a password is one.
func (r Request) public() Request {
	if r.Default != nil && r.secret() {
		d := r.redact(*r.Default)
		r.Default = &d
	}
	return r
}

// redact returns resp without the secrets that r asked for.
func (r Request) redact(resp Response) Response {
	if r.Kind == Password {
		resp.Text = ""
	}
	if r.Kind == Form && r.secret() {
		fields := make(map[string]Response, len(resp.Fields))
		for name, part := range resp.Fields {
			if slices.ContainsFunc(r.Fields, func(f Field) bool { return f.Name == name && f.Kind == Password }) {
				part.Text = ""
			}
			fields[name] = part
		}
		resp.Fields = fields
	}
	return resp
}
