package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
)

// Slice is a named part of an agent's state. Anything that can write itself as
// JSON, read itself back and reset itself is one; it need not know this
// package. All methods must be safe for concurrent use.
//
// A slice may have more methods, each of which makes checkpoints cheaper or
// more robust:
//
//	Generation() uint64
//
// changes whenever the state changes; an unchanged slice is then not even
// marshalled.
//
//	Delta(mark uint64) (delta []byte, next uint64, ok bool)
//	ApplyDelta(delta []byte) error
//
// let a state that grows be saved in pieces. Delta returns what was appended
// since the state had the given mark, and the mark of the state as it is now;
// ok is false when the state changed in another way since, or the mark is not
// known, and then the slice is saved as a whole. A mark means nothing in
// another process.
//
//	Version() int
//	Migrate(from int, data []byte) ([]byte, error)
//
// tell versions of the JSON apart; 0 without the method. Migrate turns what an
// older version wrote into what UnmarshalJSON, or ApplyDelta, reads today. State
// of a newer version is not touched: it fails with [ErrNewerVersion] and stays
// in the checkpoints.
type Slice interface {
	json.Marshaler
	json.Unmarshaler
	// Reset throws away what belongs to the scope: "chat", "history",
	// "settings", "memory", or "all".
	Reset(scope string)
}

type (
	generational interface{ Generation() uint64 }
	appendable   interface {
		Delta(mark uint64) (delta []byte, next uint64, ok bool)
		ApplyDelta(delta []byte) error
	}
	versioned interface{ Version() int }
	migrating interface {
		Migrate(from int, data []byte) ([]byte, error)
	}
)

// ErrNewerVersion says that a slice was saved by a newer version of the program.
var ErrNewerVersion = errors.New("saved by a newer version")

// SliceError says which slice could not be saved or restored.
type SliceError struct {
	Agent string
	Slice string
	Err   error
}

func (e *SliceError) Error() string {
	return fmt.Sprintf("agent %s: slice %q: %v", e.Agent, e.Slice, e.Err)
}
func (e *SliceError) Unwrap() error { return e.Err }

// AttachOptions adjust how a slice is kept.
type AttachOptions struct {
	// Inherit gives a sub-agent a copy: when its type attaches a slice of the
	// same name with Inherit, that one starts with the parent's state.
	Inherit bool
	// Transient keeps the slice out of checkpoints.
	Transient bool
}

// attached is a slice with what is known of its last saved form.
type attached struct {
	name  string
	slice Slice
	opts  AttachOptions

	saved    bool   // the store has a form of it
	gen      uint64 // generation of that
	mark     uint64 // mark of that, if marked
	marked   bool
	hash     uint64 // of the last whole form, for slices without generation
	hashed   bool
	size     int64 // what the saved form weighs
	newer    bool  // the saved form is of a newer version: do not overwrite
	fullSize int64
}

func (t *attached) version() int {
	if v, ok := t.slice.(versioned); ok {
		return max(0, v.Version())
	}
	return 0
}

// Attach makes s a part of the agent's state under a name. If the agent was
// restored and its checkpoint holds state for that name, s gets it now; an
// error of s is then a [*SliceError], and the slice stays attached.
func (a *Agent) Attach(name string, s Slice, opts ...AttachOptions) error {
	if err := checkName("slice", name); err != nil {
		return err
	}
	if s == nil || strings.HasPrefix(name, ".") {
		return fmt.Errorf("agent %s: slice %q: want a slice and a name without a leading dot", a.id, name)
	}
	t := &attached{name: name, slice: s}
	if len(opts) > 0 {
		t.opts = opts[0]
	}
	_ = a.saver.turn.take(context.Background()) // which does not end
	defer a.saver.turn.give()
	for _, other := range a.sliceList() {
		if other.name == name {
			return fmt.Errorf("agent %s: slice %q: %w", a.id, name, ErrDuplicate)
		}
	}
	a.mu.Lock()
	a.slices = append(a.slices, t)
	a.mu.Unlock()
	if state := a.saver.unattached[name]; state != nil && !a.saver.holdBack {
		delete(a.saver.unattached, name)
		return a.fill(t, state)
	}
	return nil
}

func (a *Agent) sliceList() []*attached {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.slices[:len(a.slices):len(a.slices)]
}

// Slice returns the slice attached under that name, or nil.
func (a *Agent) Slice(name string) Slice {
	for _, t := range a.sliceList() {
		if t.name == name {
			return t.slice
		}
	}
	return nil
}

// Slices returns the names of the attached slices in order.
func (a *Agent) Slices() []string {
	list := a.sliceList()
	names := make([]string, len(list))
	for i, t := range list {
		names[i] = t.name
	}
	return names
}

// Reset throws away the state of a scope in every slice: "chat", "history",
// "settings", "memory" or "all". A slice that panics is reported; the others
// are reset.
func (a *Agent) Reset(scope string) error {
	switch scope {
	case "chat", "history", "settings", "memory", "all":
	default:
		return fmt.Errorf("agent %s: reset scope %q: want chat, history, settings, memory or all", a.id, scope)
	}
	var errs []error
	for _, t := range a.sliceList() {
		if err := guard(func() error { t.slice.Reset(scope); return nil }); err != nil {
			errs = append(errs, &SliceError{Agent: a.id, Slice: t.name, Err: err})
		}
	}
	a.Emit(WasReset{Scope: scope})
	return errors.Join(errs...)
}

// Show describes a slice for people: what its own Show() string says, or its
// JSON, indented.
func (a *Agent) Show(name string) (string, error) {
	s := a.Slice(name)
	if s == nil {
		return "", fmt.Errorf("agent %s: slice %q: %w", a.id, name, ErrNotFound)
	}
	var text string
	err := guard(func() error {
		if shower, ok := s.(interface{ Show() string }); ok {
			text = shower.Show()
			return nil
		}
		data, err := s.MarshalJSON()
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := json.Indent(&out, data, "", "  "); err != nil {
			return err
		}
		text = out.String()
		return nil
	})
	if err != nil {
		return "", &SliceError{Agent: a.id, Slice: name, Err: err}
	}
	return text, nil
}

// fill puts saved state into a slice. It is a's turn.
func (a *Agent) fill(t *attached, state *sliceState) error {
	err := guard(func() error { return t.load(state) })
	if err == nil {
		t.remember(state)
		return nil
	}
	if errors.Is(err, ErrNewerVersion) {
		t.newer, t.saved = true, true
		if a.saver.unattached == nil {
			a.saver.unattached = map[string]*sliceState{}
		}
		a.saver.unattached[t.name] = state // for a fork; it must not be lost
	} else {
		_ = guard(func() error { t.slice.Reset("all"); return nil }) // half a state is worse than none
	}
	return &SliceError{Agent: a.id, Slice: t.name, Err: err}
}

func (t *attached) load(state *sliceState) error {
	version := t.version()
	if state.version > version {
		return fmt.Errorf("version %d, this program has %d: %w", state.version, version, ErrNewerVersion)
	}
	adapt := func(data []byte) ([]byte, error) { return data, nil }
	if state.version < version {
		m, ok := t.slice.(migrating)
		if !ok {
			return fmt.Errorf("version %d cannot be migrated to %d: the slice has no Migrate method", state.version, version)
		}
		adapt = func(data []byte) ([]byte, error) { return m.Migrate(state.version, data) }
	}
	if state.full != nil {
		data, err := adapt(state.full)
		if err != nil {
			return fmt.Errorf("migrate from version %d: %w", state.version, err)
		}
		if err := t.slice.UnmarshalJSON(data); err != nil {
			return err
		}
	}
	if len(state.deltas) == 0 {
		return nil
	}
	log, ok := t.slice.(appendable)
	if !ok {
		return errors.New("it was saved in pieces, but has no ApplyDelta method now")
	}
	for i, delta := range state.deltas {
		data, err := adapt(delta)
		if err != nil {
			return fmt.Errorf("migrate piece %d from version %d: %w", i, state.version, err)
		}
		if err := log.ApplyDelta(data); err != nil {
			return fmt.Errorf("piece %d of %d: %w", i+1, len(state.deltas), err)
		}
	}
	return nil
}

// remember notes that the store holds the state that the slice has now.
func (t *attached) remember(state *sliceState) {
	if state.version != t.version() {
		return // saved anew, in today's version
	}
	t.saved, t.size, t.fullSize = true, state.size(), int64(len(state.full))
	if g, ok := t.slice.(generational); ok {
		t.gen = g.Generation()
	}
	if log, ok := t.slice.(appendable); ok {
		_, next, _ := log.Delta(0)
		_, again, steady := log.Delta(next)
		t.mark, t.marked = next, steady && again == next
	}
	if len(state.deltas) == 0 {
		t.hash, t.hashed = hashOf(state.full), true
	}
}

var hashSeed = maphash.MakeSeed()

func hashOf(b []byte) uint64 { return maphash.Bytes(hashSeed, b) }

// capture returns the part that a checkpoint needs for the slice, or nil when
// nothing changed, and what is to be noted once the part is stored.
func (t *attached) capture() (*part, func(), error) {
	if t.newer {
		return nil, nil, nil
	}
	var gen uint64
	if g, ok := t.slice.(generational); ok {
		gen = g.Generation()
		if t.saved && gen == t.gen {
			return nil, nil, nil
		}
	}
	version := t.version()
	log, isLog := t.slice.(appendable)
	if isLog && t.saved && t.marked {
		delta, next, ok := log.Delta(t.mark)
		if ok && next == t.mark {
			return nil, nil, nil
		}
		if ok {
			return &part{kind: partDelta, name: t.name, version: version, data: bytes.Clone(delta)}, func() {
				t.gen, t.mark, t.hashed = gen, next, false
				t.size += int64(len(delta))
			}, nil
		}
	}
	var data []byte
	var mark uint64
	marked := false
	for range 3 {
		if isLog {
			_, mark, _ = log.Delta(t.mark)
		}
		var err error
		if data, err = t.slice.MarshalJSON(); err != nil {
			return nil, nil, err
		}
		if !isLog {
			break
		}
		// The mark belongs to the bytes only if nothing was added meanwhile.
		if _, again, ok := log.Delta(mark); ok && again == mark {
			marked = true
			break
		}
	}
	hash := hashOf(data)
	if t.saved && t.hashed && hash == t.hash && !isLog {
		return nil, func() { t.gen = gen }, nil
	}
	return &part{kind: partFull, name: t.name, version: version, data: data}, func() {
		t.saved, t.gen, t.mark, t.marked, t.hash, t.hashed = true, gen, mark, marked, hash, true
		t.size, t.fullSize = int64(len(data)), int64(len(data))
	}, nil
}
