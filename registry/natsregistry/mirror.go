package natsregistry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// heard is what is known of a member in the mirror.
type heard struct {
	revision uint64
	last     time.Time // by the monotonic clock of this machine
	value    []byte
}

// entry is what the bucket holds.
type entry struct {
	Instance string          `json:"instance"` // who wrote it, for whom the name is
	Value    json.RawMessage `json:"value"`
}

// watchAgain begins a watch of the bucket, which tells of all that is there.
func (r *Registry[T]) watchAgain(ctx context.Context) (w jetstream.KeyWatcher, err error) {
	err = again(ctx, func(try context.Context) error {
		kv, err := r.bucket(try)
		if err != nil {
			return err
		}
		status, err := led(kv.Status(try))
		if err != nil {
			return err
		}
		r.remade(status)
		// The context of a watch is that of its whole life; only to begin must not
		// take long.
		life, cancel := context.WithCancel(r.ctx)
		inTime := context.AfterFunc(try, cancel)
		begun, err := kv.WatchAll(life)
		if !inTime() && err == nil {
			_ = begun.Stop()
			err = context.DeadlineExceeded
		} else if errors.Is(err, context.Canceled) && r.ctx.Err() == nil {
			err = context.DeadlineExceeded
		}
		if err != nil {
			cancel()
			return err
		}
		w = watch{begun, cancel}
		return nil
	})
	return w, err
}

// watch is a watch with what its context needs to be let go.
type watch struct {
	jetstream.KeyWatcher
	cancel context.CancelFunc
}

func (w watch) Stop() error {
	defer w.cancel()
	return w.KeyWatcher.Stop()
}

// replay takes in what was in the bucket when the watch began.
func (r *Registry[T]) replay(ctx context.Context, w jetstream.KeyWatcher) error {
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch has ended")
			}
			if e == nil {
				return nil
			}
			r.take(storedAs(e))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// stop ends a watch. Its sender may wait for room, so what it sent is taken.
func stop(w jetstream.KeyWatcher) {
	if w == nil {
		return
	}
	_ = w.Stop()
	for {
		select {
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// listen keeps the mirror until the registry is closed.
func (r *Registry[T]) listen(w jetstream.KeyWatcher) {
	defer func() { stop(w) }()
	tick := time.NewTicker(r.opts.Heartbeat)
	defer tick.Stop()
	for {
		var updates <-chan jetstream.KeyValueEntry
		if w != nil {
			updates = w.Updates()
		}
		lost := false
		select {
		case <-r.ctx.Done():
			return
		case e, ok := <-updates:
			if lost = !ok; e != nil {
				r.take(storedAs(e))
			}
		case <-tick.C:
			lost = r.sweep() || w == nil && !r.isDown()
		}
		if !lost {
			continue
		}
		// A watch goes on by itself after most faults, but may take its time. Where
		// none can be begun, the next sweep tries again, so that sweeps go on.
		stop(w)
		try, cancel := context.WithTimeout(r.ctx, min(tryTimeout, max(r.opts.Heartbeat, time.Second)))
		var err error
		w, err = r.watchAgain(try)
		cancel()
		switch {
		case err == nil:
			r.rewatched.Add(1)
		case r.ctx.Err() == nil:
			r.opts.Logger.Error("natsregistry: watching again failed", "bucket", r.opts.Bucket, "error", err)
		}
	}
}

// isDown reports whether the bucket was out of reach at the last sweep.
func (r *Registry[T]) isDown() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.down.IsZero()
}

// sweep removes the members that are silent. It reports whether the watch must
// begin anew because it may have missed something.
func (r *Registry[T]) sweep() (lost bool) {
	now := time.Now()
	r.mu.Lock()
	wasDown, kv := r.down, r.kv
	var late []string
	for name, h := range r.heard {
		if since := now.Sub(h.last); since > r.opts.TTL {
			late = append(late, name)
		}
	}
	r.mu.Unlock()

	// Only while the bucket has a leader could a member have been heard.
	try, cancel := context.WithTimeout(r.ctx, min(tryTimeout, max(r.opts.Heartbeat, 100*time.Millisecond)))
	status, err := led(kv.Status(try))
	cancel()
	if err != nil {
		r.mu.Lock()
		r.down = time.Now()
		r.mu.Unlock()
		// A bucket that somebody deleted is made again.
		return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound)
	}
	if !wasDown.IsZero() {
		r.mu.Lock()
		if r.down.Equal(wasDown) {
			r.down = time.Time{}
		}
		for _, h := range r.heard {
			h.last = now
		}
		r.mu.Unlock()
		return true
	}
	if r.remade(status) {
		return true
	}
	for _, name := range late {
		lost = r.confirm(name) || lost
	}
	return lost
}

// confirm asks the bucket whether a member is silent or the watch is, and reports
// the latter.
func (r *Registry[T]) confirm(name string) (lost bool) {
	try, cancel := context.WithTimeout(r.ctx, tryTimeout)
	defer cancel()
	r.mu.Lock()
	h := r.heard[name]
	if h == nil {
		r.mu.Unlock()
		return false
	}
	known := h.revision
	r.mu.Unlock()
	now, err := r.read(try, name, known)
	r.mu.Lock()
	h = r.heard[name]
	switch {
	case h == nil || h.revision > known:
		r.mu.Unlock()
	case err == nil && now.revision > h.revision:
		r.mu.Unlock()
		r.take(now)
		return true
	case err == nil && now.revision == h.revision, errors.Is(err, jetstream.ErrKeyNotFound):
		r.silenced.Add(1) // first, for whoever sees the member leave
		r.drop(name, h.revision)
		r.mu.Unlock()
		r.opts.Logger.Warn("natsregistry: member went silent", "bucket", r.opts.Bucket, "name", name, "ttl", r.opts.TTL)
	default:
		r.down = time.Now()
		r.mu.Unlock()
	}
	return false
}

// drop takes a member out of the mirror, up to a revision for good. The lock is
// held, so that no value that comes at the same time is lost.
func (r *Registry[T]) drop(name string, revision uint64) {
	delete(r.heard, name)
	if len(r.gone) >= r.opts.MaxMembers {
		clear(r.gone)
	}
	r.gone[name] = max(r.gone[name], revision)
	r.members.Unregister(name)
}

// take puts an entry of the bucket into the mirror.
func (r *Registry[T]) take(e stored) {
	name, err := nameOf(e.key)
	if err != nil {
		r.reject(e.key, err)
		return
	}
	if e.deleted {
		r.mu.Lock()
		if h := r.heard[name]; h == nil || e.revision > h.revision {
			r.drop(name, e.revision)
		}
		r.mu.Unlock()
		return
	}
	content, v, err := r.decode(name, e.data)
	if err == nil {
		err = r.put(name, e.revision, content.Value, v)
	}
	if err != nil {
		r.reject(e.key, err)
	}
}

// put records that a member was heard with a value.
func (r *Registry[T]) put(name string, revision uint64, raw []byte, v T) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.heard[name]
	switch {
	case h == nil && r.gone[name] >= revision: // a watch that begins tells what fell silent, too
		return nil
	case h == nil:
		if len(r.heard) >= r.opts.MaxMembers {
			return fmt.Errorf("more than %d members", r.opts.MaxMembers)
		}
		h = &heard{}
		r.heard[name] = h
		delete(r.gone, name)
	case h.revision >= revision: // a watch that begins tells what is known
		return nil
	}
	changed := h.value == nil || !bytes.Equal(h.value, raw)
	*h = heard{revision: revision, last: time.Now(), value: bytes.Clone(raw)}
	if changed {
		return r.members.Replace(name, v)
	}
	return nil
}

func (r *Registry[T]) decode(name string, data []byte) (e entry, v T, err error) {
	if len(data) > r.opts.MaxBytes+1024 {
		return e, v, fmt.Errorf("%d bytes, more than %d", len(data), r.opts.MaxBytes)
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, v, fmt.Errorf("not an entry: %w", err)
	}
	if e.Instance == "" || e.Value == nil {
		return e, v, errors.New("not an entry: instance or value is missing")
	}
	if err := r.unmarshal(e.Value, &v); err != nil {
		return e, v, err
	}
	if r.opts.Check != nil {
		err = r.opts.Check(name, v)
	}
	return e, v, err
}

// unmarshal calls methods of the user's type, which must not end this machine's
// mirror when they meet what they did not expect.
func (r *Registry[T]) unmarshal(data []byte, v *T) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding panicked: %v", p)
		}
	}()
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("not a value: %w", err)
	}
	return nil
}

func (r *Registry[T]) reject(key string, err error) {
	r.rejected.Add(1)
	r.opts.Logger.Warn("natsregistry: entry skipped", "bucket", r.opts.Bucket, "key", fmt.Sprintf("%.80q", key), "error", err)
	if r.opts.Rejected != nil {
		r.opts.Rejected(key, err)
	}
}
