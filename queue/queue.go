package queue

import (
	"context"
	"iter"
	"time"
)

// Queue is a work queue. The package comment states the semantics that every
// implementation keeps and queuetest checks. All methods are safe for
// concurrent use and return [ErrClosed] after Close.
type Queue interface {
	// Enqueue adds items, all or none, and returns their IDs in the same order.
	// When it returns nil, a durable engine has them on disk. It fails with
	// [ErrTooLarge], [ErrFull], [ErrDuplicateID], [ErrDraining] or an [ItemError].
	Enqueue(ctx context.Context, items ...Item) ([]string, error)

	// Receive waits for the next item and leases it. It returns the context's
	// error when that ends first.
	Receive(ctx context.Context) (Delivery, error)

	// TryReceive is Receive that returns [ErrEmpty] instead of waiting.
	TryReceive(ctx context.Context) (Delivery, error)

	// Ack finishes an item: it is gone for good. [ErrLeaseLost] says that the
	// lease ran out before and the item is, or will be, delivered again.
	Ack(ctx context.Context, lease Lease) error

	// Nack gives an item back for another attempt or, when its attempts are
	// used up, makes it a dead letter.
	Nack(ctx context.Context, lease Lease, nack Nack) error

	// Extend renews a lease for its full length from now.
	Extend(ctx context.Context, lease Lease) error

	// Dead makes a leased item a dead letter, with the reason.
	Dead(ctx context.Context, lease Lease, reason string) error

	// Redrive makes dead letters ready again, at the end of the queue and with
	// their attempts at zero. No IDs means all of them. It returns how many.
	Redrive(ctx context.Context, ids ...string) (int, error)

	// Peek returns the item that Receive would deliver next, or [ErrEmpty].
	Peek(ctx context.Context) (Item, error)

	// Get returns the item with that ID, in whatever state, or [ErrNotFound].
	Get(ctx context.Context, id string) (Item, error)

	// List yields the items that match, in the order of enqueuing. It shows one
	// moment; an error ends it.
	List(ctx context.Context, filter Filter) iter.Seq2[Item, error]

	// Remove takes items out, whatever their state, and fails for the first one
	// that is not there ([ErrNotFound]) or being handled ([ErrLeased]); then
	// none is removed.
	Remove(ctx context.Context, ids ...string) error

	// Depth counts the items by state.
	Depth(ctx context.Context) (Depth, error)

	// Pause stops deliveries, to receivers that wait already too. Enqueue and
	// the settling of leases go on.
	Pause(ctx context.Context) error

	// Resume ends a Pause and a Drain.
	Resume(ctx context.Context) error

	// Paused reports whether the queue is paused.
	Paused(ctx context.Context) (bool, error)

	// WaitEmpty waits until no item is ready, delayed, blocked or leased. Dead
	// letters do not count.
	WaitEmpty(ctx context.Context) error

	// Drain refuses new items with [ErrDraining] from now on and waits until the
	// queue is empty. The refusal lasts until Resume, also when ctx ends first.
	Drain(ctx context.Context) error

	// Stats returns counters since the queue was opened.
	Stats() Stats

	// Close ends waiting calls with [ErrClosed] and releases what the engine
	// uses. It is safe to call twice.
	Close() error
}

// Item is one piece of work. The first group is the producer's; the second is
// set by the queue and ignored by Enqueue.
type Item struct {
	// ID names the item. Empty means that the queue makes one. It must be unique
	// among the items that the queue holds, at most 256 bytes.
	ID string `json:"id"`

	// Name says what kind of work this is, for handlers and people.
	Name string `json:"name,omitempty"`

	// Key serialises items: those of one key are handled one at a time, in order.
	Key string `json:"key,omitempty"`

	// Dedupe suppresses items with the same value within the queue's window.
	Dedupe string `json:"dedupe,omitempty"`

	// Priority: higher goes first. The default is 0.
	Priority int `json:"priority,omitempty"`

	// NotBefore delays the item until then. Zero means at once.
	NotBefore time.Time `json:"notBefore,omitzero"`

	// Payload is the work itself, opaque to the queue.
	Payload []byte `json:"payload,omitempty"`

	// Checkpoint is the state in which the work was made, or the name of it, so
	// that a handler can continue there. Opaque to the queue.
	Checkpoint []byte `json:"checkpoint,omitempty"`

	// Headers carry anything small, such as trace contexts.
	Headers map[string]string `json:"headers,omitempty"`

	// State is where the item stands.
	State State `json:"state,omitempty"`

	// Attempts counts the deliveries, the current one included.
	Attempts int `json:"attempts,omitempty"`

	// LastError is why the last attempt failed, or why the item is dead.
	LastError string `json:"lastError,omitempty"`

	// EnqueuedAt is when the queue accepted the item.
	EnqueuedAt time.Time `json:"enqueuedAt,omitzero"`

	// FirstReceivedAt is when it was first delivered.
	FirstReceivedAt time.Time `json:"firstReceivedAt,omitzero"`
}

// Size is what Options.MaxItemSize bounds: the bytes of the payload, checkpoint,
// headers and all strings of the item.
func (i *Item) Size() int {
	n := len(i.ID) + len(i.Name) + len(i.Key) + len(i.Dedupe) + len(i.Payload) + len(i.Checkpoint)
	if len(i.Headers) > 0 { // the loop alone costs as much as all the rest
		for k, v := range i.Headers {
			n += len(k) + len(v)
		}
	}
	return n
}

// State is where an item stands in its life.
type State string

// The states of an item. A blocked item waits for an earlier one of its key.
const (
	Ready   State = "ready"
	Delayed State = "delayed"
	Blocked State = "blocked"
	Leased  State = "leased"
	Dead    State = "dead"
)

// Delivery is an item in the hands of a receiver.
type Delivery struct {
	Item  Item
	Lease Lease

	// LeaseFor is how long the lease lasts without Extend.
	LeaseFor time.Duration
}

// Lease is the right to settle one delivery of one item. It is a plain value.
type Lease struct {
	ID    string // of the item
	Token uint64 // of this delivery
}

// Nack says how an attempt failed. The zero value retries after the queue's
// backoff.
type Nack struct {
	// Delay before the next attempt. 0 means the queue's backoff, negative at
	// once.
	Delay time.Duration

	// Reason becomes the item's LastError.
	Reason string
}

// Depth counts items by state.
type Depth struct {
	Ready   int `json:"ready"`
	Delayed int `json:"delayed"`
	Blocked int `json:"blocked"`
	Leased  int `json:"leased"`
	Dead    int `json:"dead"`
}

// Len is the number of items that are not dead: what is still to be done.
func (d Depth) Len() int { return d.Ready + d.Delayed + d.Blocked + d.Leased }

// Filter selects items for List. The zero value selects all.
type Filter struct {
	States []State // empty means all
	Name   string  // empty means any
	Key    string  // empty means any
	Limit  int     // at most so many; 0 means no limit
}

// Match reports whether the item is in the selection, the limit aside.
func (f Filter) Match(i *Item) bool {
	if f.Name != "" && f.Name != i.Name || f.Key != "" && f.Key != i.Key {
		return false
	}
	if len(f.States) == 0 {
		return true
	}
	for _, s := range f.States {
		if s == i.State {
			return true
		}
	}
	return false
}
