package aiclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// WithCache returns a middleware that remembers up to size replies and answers
// equal requests with them. A reply from memory has no usage and no cost. Only
// whole replies are remembered.
func WithCache(size int) Middleware {
	memory, err := lru.New[[sha256.Size]byte, []Part](max(size, 1))
	if err != nil {
		panic("aiclient.WithCache: " + err.Error())
	}
	return func(next Chat) Chat {
		return onStream(next, func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
			return func(yield func(Part, error) bool) {
				data, err := json.Marshal(req)
				if err != nil {
					yield(Part{}, fmt.Errorf("request for %s: %w", next.Model(), err))
					return
				}
				key := sha256.Sum256(append([]byte(next.Model().String()+"\n"), data...))
				if parts, ok := memory.Get(key); ok {
					for _, p := range parts {
						if !yield(p, nil) {
							return
						}
					}
					return
				}
				var parts []Part
				for p, err := range next.Stream(ctx, req) {
					if err == nil {
						parts = append(parts, p)
					}
					if p.Kind == KindFinish && p.Finish != nil && err == nil {
						free := *p.Finish
						free.Usage, free.Cost, free.Headers = Usage{}, 0, nil
						parts[len(parts)-1].Finish = &free
						memory.Add(key, parts)
					}
					if !yield(p, err) || err != nil {
						return
					}
				}
			}
		})
	}
}

// recorded is one line of a recording.
type recorded struct {
	Model   Model           `json:"model"`
	Request json.RawMessage `json:"request"`
	Parts   []Part          `json:"parts"`
	Error   *recordedError  `json:"error,omitempty"`
}

type recordedError struct {
	Class   Class  `json:"class,omitempty"`
	Status  int    `json:"status,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
}

// WithRecording returns a middleware that writes each request and its reply to w,
// one JSON document per line, for [Replay]. Headers are left out. Writes of
// concurrent requests do not mix; the order is that in which replies end. A
// write that fails is logged.
func WithRecording(w io.Writer) Middleware {
	var mu sync.Mutex
	return func(next Chat) Chat {
		return onStream(next, func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
			return func(yield func(Part, error) bool) {
				line := recorded{Model: next.Model(), Parts: []Part{}}
				request, err := json.Marshal(req)
				if err != nil {
					yield(Part{}, fmt.Errorf("recording the request for %s: %w", next.Model(), err))
					return
				}
				line.Request = request
				for p, err := range next.Stream(ctx, req) {
					if err != nil {
						line.Error = &recordedError{Class: ClassOf(err), Message: err.Error()}
						if api, ok := errors.AsType[*APIError](err); ok {
							line.Error.Status, line.Error.Code, line.Error.Message = api.Status, api.Code, api.Message
						}
					} else {
						kept := p
						if p.Finish != nil {
							end := *p.Finish
							end.Headers = nil
							kept.Finish = &end
						}
						line.Parts = append(line.Parts, kept)
					}
					if !yield(p, err) || err != nil {
						break
					}
				}
				data, err := encode(line)
				if err == nil {
					mu.Lock()
					_, err = w.Write(append(data, '\n'))
					mu.Unlock()
				}
				if err != nil {
					slog.ErrorContext(ctx, "reply could not be recorded", "model", next.Model().String(), "error", err)
				}
			}
		})
	}
}

// Replay returns a Chat that answers with the replies of a recording, in their
// order. A request that differs from the recorded one is an error that shows
// the first difference.
func Replay(r io.Reader) (Chat, error) {
	var lines []recorded
	in := bufio.NewReader(r)
	for {
		data, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(data)) > 0 {
			var line recorded
			if jerr := json.Unmarshal(data, &line); jerr != nil {
				return nil, fmt.Errorf("recording, line %d: %w", len(lines)+1, jerr)
			}
			lines = append(lines, line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("recording: %w", err)
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("recording: it is empty")
	}
	var mu sync.Mutex
	at := 0
	return ChatFunc{Name: lines[0].Model, Func: func(ctx context.Context, req *Request) iter.Seq2[Part, error] {
		return func(yield func(Part, error) bool) {
			mu.Lock()
			n := at
			at++
			mu.Unlock()
			if n >= len(lines) {
				yield(Part{}, fmt.Errorf("replay: request %d, but the recording has %d", n+1, len(lines)))
				return
			}
			line := lines[n]
			got, err := json.Marshal(req)
			if err == nil {
				err = difference(line.Request, got)
			}
			if err != nil {
				yield(Part{}, fmt.Errorf("replay: request %d differs from the recording: %w", n+1, err))
				return
			}
			for _, p := range line.Parts {
				if ctx.Err() != nil {
					yield(Part{}, context.Cause(ctx))
					return
				}
				if !yield(p, nil) {
					return
				}
			}
			if e := line.Error; e != nil {
				yield(Part{}, &APIError{Provider: line.Model.Provider, Model: line.Model.ID, Class: e.Class, Status: e.Status, Code: e.Code, Message: e.Message})
			}
		}
	}}, nil
}

// difference says where two JSON documents first differ.
func difference(want, got []byte) error {
	lines := func(data []byte) []string {
		var b bytes.Buffer
		if json.Indent(&b, data, "", "  ") != nil {
			return []string{string(data)}
		}
		return strings.Split(b.String(), "\n")
	}
	w, g := lines(want), lines(got)
	for i := range max(len(w), len(g)) {
		line := func(list []string) string {
			if i < len(list) {
				return list[i]
			}
			return "(the end)"
		}
		if line(w) != line(g) {
			from := max(0, min(i, len(w))-3)
			return fmt.Errorf("line %d:\n%s\n- %s\n+ %s", i+1, strings.Join(w[from:min(i, len(w))], "\n"), line(w), line(g))
		}
	}
	return nil
}
