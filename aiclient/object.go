package aiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// ObjectOptions configure [GenerateObject] and [StreamObject].
type ObjectOptions struct {
	// Name and Description tell the model what the object is. The name has
	// letters, digits, '_' and '-'; empty means the type's own, or "output".
	Name, Description string

	// Repairs is how often the model is told what is wrong with its answer and
	// asked again. 0 means once, negative never.
	Repairs int
}

// ObjectError reports an answer that is not the object asked for.
type ObjectError struct {
	Text string // the answer
	Err  error  // what is wrong with it
}

func (e *ObjectError) Error() string {
	text := e.Text
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return fmt.Sprintf("the model's answer is not the object asked for: %v: %q", e.Err, text)
}

// Unwrap returns what is wrong.
func (e *ObjectError) Unwrap() error { return e.Err }

// GenerateObject asks chat for a T. The JSON schema follows from T by its json
// tags, and a `jsonschema:"…"` tag describes a field; a T that is not a struct or a map is wrapped for the model and
// unwrapped again. An answer that does not fit the schema is sent back with
// what is wrong; when the repairs do not help, the error is an [*ObjectError].
// The response is the last one, its usage that of all requests. req is not
// changed; its Output is replaced.
func GenerateObject[T any](ctx context.Context, chat Chat, req *Request, opts ObjectOptions) (T, *Response, error) {
	var none T
	o, err := newObject[T](opts)
	if err != nil {
		return none, nil, err
	}
	repairs := opts.Repairs
	if repairs == 0 {
		repairs = 1
	}
	r := *req
	r.Output = &o.format
	var usage Usage
	var cost float64
	for attempt := 0; ; attempt++ {
		reply, err := chat.Generate(ctx, &r)
		if reply != nil {
			usage, cost = usage.Add(reply.Usage), cost+reply.Cost
			reply.Usage, reply.Cost = usage, cost
		}
		if err != nil {
			return none, reply, err
		}
		value, err := o.parse(reply)
		if err == nil {
			return value, reply, nil
		}
		if attempt >= repairs || reply.Reason == FinishLength || reply.Reason == FinishContentFilter {
			return none, reply, err
		}
		r.Messages = append(r.Messages[:len(r.Messages):len(r.Messages)],
			Assistant(Text(reply.Text())),
			User(fmt.Sprintf("That is not what was asked for: %v. Answer again with only the JSON document.", errors.Unwrap(err))))
	}
}

// PartialObject is an object that is being received.
type PartialObject[T any] struct {
	Value    T         // what has arrived; fields that have not are zero
	Response *Response // set with the last one, which is complete and valid
}

// StreamObject asks chat for a T and yields it as it grows; the last value is
// complete, has been checked, and comes with the response. There are no
// repairs: an answer that does not fit is an [*ObjectError]. The work for the
// values before the last one stays in proportion to the answer's length, so
// that not every delta gives one.
func StreamObject[T any](ctx context.Context, chat Chat, req *Request, opts ObjectOptions) iter.Seq2[PartialObject[T], error] {
	return func(yield func(PartialObject[T], error) bool) {
		fail := func(err error) { yield(PartialObject[T]{}, err) }
		o, err := newObject[T](opts)
		if err != nil {
			fail(err)
			return
		}
		r := *req
		r.Output = &o.format
		var reply Collector
		var text strings.Builder
		var last []byte
		parsed := 0
		reply.Start()
		for p, err := range chat.Stream(ctx, &r) {
			if err != nil {
				fail(err)
				return
			}
			reply.Add(p)
			if p.Kind != KindText {
				continue
			}
			text.WriteString(p.Text)
			if text.Len()-parsed < 1+text.Len()/32 {
				continue
			}
			parsed = text.Len()
			data, ok := CompleteJSON(text.String())
			if !ok || bytes.Equal(data, last) {
				continue
			}
			last = data
			value, err := o.decode(data)
			if err == nil && !yield(PartialObject[T]{Value: value}, nil) {
				return
			}
		}
		if !reply.Finished() {
			m := chat.Model()
			fail(&APIError{Provider: m.Provider, Model: m.ID, Class: ClassTruncated, Message: "the stream ended without its terminal event"})
			return
		}
		whole := reply.Response()
		value, err := o.parse(whole)
		if err != nil {
			fail(err)
			return
		}
		yield(PartialObject[T]{Value: value, Response: whole}, nil)
	}
}

// object is what is asked of a model for a T.
type object[T any] struct {
	format   OutputFormat
	resolved *jsonschema.Resolved
	wrapped  bool // the model's document is {"value": T}
}

func newObject[T any](opts ObjectOptions) (*object[T], error) {
	schema, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{
		// As encoding/json reads them.
		reflect.TypeFor[[]byte]():          {Type: "string", ContentEncoding: "base64"},
		reflect.TypeFor[json.RawMessage](): {},
	}})
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", reflect.TypeFor[T](), err)
	}
	o := &object[T]{}
	if schema.Type != "object" {
		o.wrapped = true
		schema = &jsonschema.Schema{
			Type: "object", Properties: map[string]*jsonschema.Schema{"value": schema}, Required: []string{"value"},
			AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
		}
	}
	if o.resolved, err = schema.Resolve(nil); err != nil {
		return nil, fmt.Errorf("schema of %s: %w", reflect.TypeFor[T](), err)
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", reflect.TypeFor[T](), err)
	}
	o.format = OutputFormat{Name: opts.Name, Description: opts.Description, Schema: raw}
	if o.format.Name == "" {
		o.format.Name = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
				return r
			}
			return -1
		}, reflect.TypeFor[T]().Name())
	}
	if o.format.Name == "" {
		o.format.Name = "output"
	}
	return o, nil
}

// parse checks a whole answer.
func (o *object[T]) parse(reply *Response) (T, error) {
	var none T
	text := reply.Text()
	bad := func(err error) (T, error) {
		if reply.Reason == FinishLength {
			err = fmt.Errorf("it was cut off at the token limit: %w", err)
		}
		return none, &ObjectError{Text: text, Err: err}
	}
	data := []byte(unfence(text))
	var generic any
	if err := json.Unmarshal(data, &generic); err != nil {
		return bad(fmt.Errorf("it is not JSON: %w", err))
	}
	if err := o.resolved.Validate(generic); err != nil {
		return bad(err)
	}
	value, err := o.decode(data)
	if err != nil {
		return bad(err)
	}
	return value, nil
}

// decode decodes a document, which may lack fields.
func (o *object[T]) decode(data []byte) (T, error) {
	if o.wrapped {
		var envelope struct {
			Value T `json:"value"`
		}
		err := json.Unmarshal(data, &envelope)
		return envelope.Value, err
	}
	var value T
	err := json.Unmarshal(data, &value)
	return value, err
}
