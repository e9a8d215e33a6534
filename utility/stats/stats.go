// Package stats gathers the Stats of a program's parts, of whatever type they
// are, so that they are read as one: as JSON, by a dashboard, or by [expvar].
//
//	var group stats.Group
//	stats.Add(&group, "agents", manager.Stats)
//	stats.Add(&group, "tests", tests.Stats)
//	stats.Add(&group, "process", stats.ReadProcess)
//	expvar.Publish("tokenring", &group) // GET /debug/vars
//
// It depends on nothing but the standard library.
package stats

import (
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"iter"
	"slices"
	"sync"
)

// Group is a set of named readers. Its zero value is empty and ready for use; it
// must not be copied. It is safe for concurrent use, also while it is read.
type Group struct {
	mu      sync.Mutex
	readers []reader // in the order in which they were added
}

type reader struct {
	name string
	read func() any
}

var _ expvar.Var = (*Group)(nil)

// Add lets read, usually the Stats method of a value, be read under name. It fails
// when the name is empty or taken. The function that it returns takes it out again;
// call it when what read reads ends before the group does.
func Add[T any](g *Group, name string, read func() T) (remove func(), err error) {
	if name == "" || read == nil {
		return nil, fmt.Errorf("stats: add %q: want a name and a function", name)
	}
	added := reader{name, func() any { return read() }}
	g.mu.Lock()
	defer g.mu.Unlock()
	if slices.ContainsFunc(g.readers, func(r reader) bool { return r.name == name }) {
		return nil, fmt.Errorf("stats: add %q: there is one of that name", name)
	}
	g.readers = append(g.readers, added)
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.readers = slices.DeleteFunc(slices.Clone(g.readers), func(r reader) bool { return r.name == name })
	}), nil
}

// All reads and yields what was added, in that order. The value of a reader that
// panics is an error. No lock is held meanwhile.
func (g *Group) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		g.mu.Lock()
		readers := slices.Clip(g.readers)
		g.mu.Unlock()
		for _, r := range readers {
			if !yield(r.name, r.safely()) {
				return
			}
		}
	}
}

func (r reader) safely() (v any) {
	defer func() {
		if p := recover(); p != nil {
			v = fmt.Errorf("reading panicked: %v", p)
		}
	}()
	return r.read()
}

// MarshalJSON returns one object that has a member for each reader. In the place
// of what cannot be read or has no JSON stands {"error": why}.
func (g *Group) MarshalJSON() ([]byte, error) {
	buf := []byte{'{'}
	for name, v := range g.All() {
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		buf = append(buf, encode(name)...)
		buf = append(buf, ':')
		buf = append(buf, encode(v)...)
	}
	return append(buf, '}'), nil
}

func encode(v any) (data []byte) {
	err, failed := v.(error)
	if !failed {
		defer func() { // a method of the value that makes its JSON
			if p := recover(); p != nil {
				data = encode(fmt.Errorf("encoding panicked: %v", p))
			}
		}()
		if data, err = json.Marshal(v); err == nil {
			return data
		}
	}
	data, err = json.Marshal(map[string]string{"error": err.Error()})
	return must(data, err)
}

// must is for what has no way to fail.
func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// String returns the JSON of the group, which makes it an [expvar.Var].
func (g *Group) String() string { return string(must(g.MarshalJSON())) }

// Publish makes the group a variable of [expvar]. Unlike [expvar.Publish] it
// returns an error when the name is taken. There is no way back.
func (g *Group) Publish(name string) error {
	publishing.Lock()
	defer publishing.Unlock()
	if name == "" || expvar.Get(name) != nil {
		return fmt.Errorf("stats: publish %q: %w", name, errTaken)
	}
	expvar.Publish(name, g)
	return nil
}

var (
	publishing sync.Mutex
	errTaken   = errors.New("the name is empty or taken")
)
