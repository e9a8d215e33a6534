package natsregistry

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tokenring-ai/tokenring-go/registry"
)

// ErrClosed is wrapped by the error of a call on what was closed or left.
var ErrClosed = errors.New("closed")

// ErrLost is wrapped by the error of a member whose name another one has, which
// took it while this one was silent.
var ErrLost = errors.New("name lost")

// Member is a member that this machine registered. It is safe for concurrent use.
type Member[T any] struct {
	r        *Registry[T]
	name     string
	instance string
	cancel   context.CancelFunc // ends the heartbeats
	ended    chan struct{}      // closed when they have ended
	turn     chan struct{}      // holds a token while somebody writes; guards what follows

	value    json.RawMessage
	decoded  T
	revision uint64 // 0: not in the bucket
	anew     int    // of the registry when that was written
	err      error  // why it is no member any more; set when ended is closed
}

// Register makes v a member under name on all machines, and in the mirror at once,
// until Leave or Close is called or the process ends. v must survive JSON. A name
// that a member has is an error that wraps [registry.ErrExists]; the name of a
// process that died is free once the TTL has passed, so names are best made of
// what is different for each process. Register tries for as long as ctx lets it
// while the bucket cannot be reached.
func (r *Registry[T]) Register(ctx context.Context, name string, v T) (*Member[T], error) {
	if name == "" || len(name) > maxName {
		return nil, fmt.Errorf("natsregistry: register %.80q: want a name of 1 to %d bytes", name, maxName)
	}
	m := &Member[T]{r: r, name: name, instance: rand.Text(), ended: make(chan struct{}), turn: make(chan struct{}, 1)}
	err := m.encode(v)
	if err == nil && r.isClosed() {
		err = ErrClosed
	}
	if err == nil {
		err = again(ctx, m.write)
	}
	if err == nil && !r.adopt(m) { // Close does not know of it
		err = ErrClosed
	}
	if err != nil {
		_ = m.remove(ctx) // where it was written all the same
		return nil, fmt.Errorf("natsregistry: register %q: %w", name, err)
	}
	return m, nil
}

func (r *Registry[T]) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// adopt makes m one of the registry's own, unless that is closed.
func (r *Registry[T]) adopt(m *Member[T]) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.own[m.name] = m
	var beating context.Context
	beating, m.cancel = context.WithCancel(r.ctx)
	r.running.Go(func() { m.beat(beating) })
	return true
}

// Name returns the name of the member.
func (m *Member[T]) Name() string { return m.name }

// Done is closed when m is no member any more.
func (m *Member[T]) Done() <-chan struct{} { return m.ended }

// Err says why m is no member any more; nil while it is. The error wraps
// [ErrClosed] or [ErrLost].
func (m *Member[T]) Err() error {
	select {
	case <-m.ended:
		return m.err
	default:
		return nil
	}
}

// Update gives the member another value on all machines. After an error either
// value may be seen.
func (m *Member[T]) Update(ctx context.Context, v T) error {
	err := m.locked(ctx, func() error {
		if err := m.Err(); err != nil {
			return err
		}
		if err := m.encode(v); err != nil {
			return err
		}
		return again(ctx, m.write)
	})
	if err != nil {
		return fmt.Errorf("natsregistry: update %q: %w", m.name, err)
	}
	return nil
}

// Leave takes the member out. Where the servers cannot be told before ctx ends it
// falls silent instead. Further calls do nothing.
func (m *Member[T]) Leave(ctx context.Context) error {
	m.cancel()
	<-m.ended
	if err := m.locked(ctx, func() error { return m.remove(ctx) }); err != nil {
		return fmt.Errorf("natsregistry: leave %q: %w", m.name, err)
	}
	return nil
}

// locked calls fn when it is its turn.
func (m *Member[T]) locked(ctx context.Context, fn func() error) error {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
		return fn()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remove deletes the member from the bucket and the mirror, if it is what was
// written last: not what another one wrote since. It is the caller's turn.
func (m *Member[T]) remove(ctx context.Context) error {
	if m.revision == 0 {
		return nil
	}
	revision := m.revision
	m.revision = 0
	m.forget(revision)
	return again(ctx, func(ctx context.Context) error {
		if revision = m.current(revision); revision != 0 {
			err := m.r.store().Delete(ctx, key(m.name), jetstream.LastRevision(revision))
			if !conflict(err) {
				return err
			}
		}
		now, err := m.r.read(ctx, m.name, revision)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound): // an earlier try was done without our knowing
			return nil
		case err != nil:
			return err
		}
		if content, _, err := m.r.decode(m.name, now.data); err != nil || content.Instance != m.instance {
			return nil // another one's
		}
		revision = now.revision // of a heartbeat that was written without our knowing
		m.forget(revision)
		return errRaced
	})
}

// forget takes what was written as a revision out of the mirror, for good.
func (m *Member[T]) forget(revision uint64) {
	r := m.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.heard[m.name]; h == nil || h.revision <= revision {
		r.drop(m.name, revision)
	}
}

// encode takes a value over. It is the caller's turn.
func (m *Member[T]) encode(v T) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > m.r.opts.MaxBytes {
		return fmt.Errorf("value of %d bytes, more than %d", len(data), m.r.opts.MaxBytes)
	}
	var decoded T // what others see, and nothing that the caller changes later
	if err := m.r.unmarshal(data, &decoded); err != nil {
		return err
	}
	m.value, m.decoded = data, decoded
	return nil
}

// beat writes the member at every heartbeat until it leaves or loses its name.
func (m *Member[T]) beat(ctx context.Context) {
	r := m.r
	defer func() {
		m.cancel()
		r.mu.Lock()
		if r.own[m.name] == m {
			delete(r.own, m.name)
		}
		r.mu.Unlock()
		close(m.ended)
	}()
	tick := time.NewTicker(r.opts.Heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.err = fmt.Errorf("natsregistry: member %q: %w", m.name, ErrClosed)
			return
		case <-tick.C:
		}
		try, cancel := context.WithTimeout(ctx, max(r.opts.Heartbeat, time.Second))
		err := m.locked(try, func() error {
			err := again(try, m.write)
			if errors.Is(err, registry.ErrExists) {
				m.revision = 0 // nothing there is this member's
			}
			return err
		})
		cancel()
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, registry.ErrExists):
			m.err = fmt.Errorf("natsregistry: member %q: %w: another one took it", m.name, ErrLost)
			r.opts.Logger.Error("natsregistry: another member has the name", "bucket", r.opts.Bucket, "name", m.name)
			return
		default:
			r.opts.Logger.Warn("natsregistry: heartbeat failed", "bucket", r.opts.Bucket, "name", m.name, "error", err)
		}
	}
}

// errRaced is a write that another one came before: to be tried again.
var errRaced = errors.New("written by another at the same time")

// write puts the member into the bucket unless another one has its name. It is
// the caller's turn.
func (m *Member[T]) write(ctx context.Context) error {
	data, err := json.Marshal(entry{Instance: m.instance, Value: m.value})
	if err != nil {
		return err
	}
	kv := m.r.store()
	m.revision = m.current(m.revision)
	m.r.mu.Lock()
	known := max(m.revision, m.r.gone[m.name])
	if h := m.r.heard[m.name]; h != nil {
		known = max(known, h.revision)
	}
	m.r.mu.Unlock()
	revision, err := m.writeAt(ctx, kv, data, m.revision)
	if conflict(err) { // or an earlier try was written without our knowing
		var now stored
		now, err = m.r.read(ctx, m.name, known)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			revision, err = m.writeAt(ctx, kv, data, 0)
		case err != nil:
		case m.mayReplace(now):
			revision, err = m.writeAt(ctx, kv, data, now.revision)
		default:
			return registry.ErrExists
		}
		if conflict(err) {
			err = errRaced
		}
	}
	if err != nil {
		return err
	}
	m.revision = revision
	return m.r.put(m.name, revision, m.value, m.decoded)
}

// current returns a revision that was written, or 0 once the bucket is another one,
// which counts from 1. It is the caller's turn.
func (m *Member[T]) current(revision uint64) uint64 {
	m.r.mu.Lock()
	defer m.r.mu.Unlock()
	if m.anew == m.r.anew {
		return revision
	}
	m.anew = m.r.anew
	return 0
}

func (m *Member[T]) writeAt(ctx context.Context, kv jetstream.KeyValue, data []byte, revision uint64) (uint64, error) {
	if revision == 0 {
		return kv.Create(ctx, key(m.name), data)
	}
	return kv.Update(ctx, key(m.name), data, revision)
}

// mayReplace reports whether an entry is this member's own, no member's at all, or
// that of one that left or has been silent for the TTL.
func (m *Member[T]) mayReplace(e stored) bool {
	content, v, err := m.r.decode(m.name, e.data)
	if err != nil || content.Instance == m.instance {
		return true
	}
	r := m.r
	r.mu.Lock()
	h := r.heard[m.name]
	gone := h == nil && r.gone[m.name] >= e.revision
	r.mu.Unlock()
	if !gone && h == nil { // the watch has not told yet
		_ = r.put(m.name, e.revision, content.Value, v)
	}
	return gone
}

// conflict reports whether a write failed because the bucket holds something else
// than was thought, or may soon: a leader also says so while a write of the key is
// under way, which may be an earlier try of this one and may come to nothing.
func conflict(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
