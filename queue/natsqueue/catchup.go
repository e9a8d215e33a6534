package natsqueue

import (
	"context"
	"errors"
	"fmt"
)

// caught is what catching up found.
type caught struct {
	own bool // the transaction that was asked for
	gap bool // what was purged before it was read
}

// catchUp applies the log up to its end.
func (q *Queue) catchUp(ctx context.Context) error {
	at, err := q.log.last(ctx)
	if err == nil {
		_, err = q.readTo(ctx, at, "")
	}
	return err
}

// readTo applies the log up to an end, and looks for the transaction with that ID.
func (q *Queue) readTo(ctx context.Context, at end, id string) (c caught, err error) {
	l := &q.log
	began, known := l.applied > 0, q.state.prefix
	if at.first > at.last && at.last > 0 { // nothing is there, though the last transaction always stays
		if began && (l.applied < at.last || len(q.state.entries) > 0) {
			return c, fmt.Errorf("%w: all were purged", ErrLost)
		}
		l.applied = at.last
	}
	for l.applied < at.last {
		msgs, err := l.read(ctx)
		if err != nil {
			return c, err
		}
		for _, m := range msgs {
			if m.seq > l.applied+1 { // what is needed is behind what was purged
				c.gap = true
				q.state = newState()
			}
			got, h, recs, err := decode(m.data)
			if err != nil {
				return c, fmt.Errorf("%w: message %d: %w", ErrCorrupt, m.seq, err)
			}
			if known != "" && known != h.prefix {
				return c, fmt.Errorf("%w: message %d is of another log", ErrLost, m.seq)
			}
			known = "" // only what was read before is in question
			c.own = c.own || got == id
			q.state.apply(h, recs, m.seq)
			l.applied = m.seq
		}
	}
	if at.first > l.purged+1 {
		l.purged = at.first - 1
		if pos, ok := q.state.oldestItem(); began && ok && pos < at.first {
			return c, fmt.Errorf("%w: it begins at %d, after items that were not done", ErrLost, at.first)
		}
	}
	return c, nil
}

// startOver makes the state anew after an error that says that the log is another
// one.
func (q *Queue) startOver(err error) {
	if !errors.Is(err, ErrLost) {
		return
	}
	q.opts.Logger.Error("natsqueue: the stream lost acknowledged transactions; going on with what it holds", "stream", q.log.name, "error", err)
	q.state, q.log.applied, q.log.purged = newState(), 0, 0
	q.newest.Store(0)
	q.unsure = true
}
