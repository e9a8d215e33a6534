package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/tokenring-ai/tokenring-go/queue"
)

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// Peek implements [queue.Queue].
func (q *Queue) Peek(ctx context.Context) (it queue.Item, err error) {
	err = q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		r := b.one(b.st.Next)
		if r == nil {
			return true, queue.ErrEmpty
		}
		b.load(r)
		it = r.Item
		return true, b.broken
	})
	if err != nil {
		return queue.Item{}, err
	}
	return it, nil
}

// Get implements [queue.Queue].
func (q *Queue) Get(ctx context.Context, id string) (it queue.Item, err error) {
	err = q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		r := b.find(id)
		if r == nil {
			return true, fmt.Errorf("get %q: %w", id, queue.ErrNotFound)
		}
		b.load(r)
		it = r.Item
		return true, b.broken
	})
	if err != nil {
		return queue.Item{}, err
	}
	return it, nil
}

// List implements [queue.Queue]. It reads from a connection of its own. While the
// loop lasts, SQLite keeps what other calls write in its log beside the file.
func (q *Queue) List(ctx context.Context, filter queue.Filter) iter.Seq2[queue.Item, error] {
	return func(yield func(queue.Item, error) bool) {
		var prefix string
		err := q.writer.do(ctx, immediate, func(b *batch) (bool, error) { // which ends what is over
			prefix = b.state.prefix
			return true, nil
		})
		if err == nil {
			err = q.list(ctx, prefix, filter, yield)
		}
		if err != nil {
			yield(queue.Item{}, err)
		}
	}
}

// list yields the matching items, from one read transaction.
func (q *Queue) list(ctx context.Context, prefix string, filter queue.Filter, yield func(queue.Item, error) bool) error {
	query, args := selection(filter)
	rows, err := q.db.QueryContext(ctx, query, args...)
	if err != nil {
		return q.readError(err)
	}
	defer rows.Close()
	for rows.Next() {
		r := &row{}
		if err := r.scan(rows.Scan, prefix); err != nil {
			return q.readError(err)
		}
		if !yield(r.Item, nil) {
			return nil
		}
	}
	if err := rows.Err(); err != nil {
		return q.readError(err)
	}
	return nil
}

// selection returns the query for the items that match.
func selection(filter queue.Filter) (query string, args []any) {
	query = strings.Replace(`SELECT ITEM FROM items WHERE true`, "ITEM", strings.NewReplacer(
		", payload", `, CASE big WHEN 1 THEN (SELECT b.payload FROM bodies b WHERE b.seq = items.seq) ELSE payload END`,
		", checkpoint", `, CASE big WHEN 1 THEN (SELECT b.checkpoint FROM bodies b WHERE b.seq = items.seq) ELSE checkpoint END`,
	).Replace(itemColumns), 1)
	if filter.Name != "" {
		query, args = query+" AND name = ?", append(args, filter.Name)
	}
	if filter.Key != "" {
		query, args = query+" AND key = ?", append(args, filter.Key)
	}
	if len(filter.States) > 0 {
		var wanted []string
		for i, name := range stateNames {
			if slices.Contains(filter.States, name) {
				wanted = append(wanted, strconv.Itoa(i))
			}
		}
		query += " AND state IN (" + strings.Join(wanted, ", ") + ")"
	}
	query += " ORDER BY seq"
	if filter.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, filter.Limit)
	}
	return query, args
}

func (q *Queue) readError(err error) error {
	select {
	case <-q.closed:
		return queue.ErrClosed
	default:
		return fmt.Errorf("queue %s: list: %w", q.path, typed(err))
	}
}

// Depth implements [queue.Queue].
func (q *Queue) Depth(ctx context.Context) (d queue.Depth, err error) {
	err = q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		n := &b.state.n
		d = queue.Depth{Ready: int(n[ready]), Delayed: int(n[delayed]), Blocked: int(n[blocked]), Leased: int(n[leased]), Dead: int(n[dead])}
		return true, nil
	})
	return d, err
}

// Pause implements [queue.Queue].
func (q *Queue) Pause(ctx context.Context) error { return q.setPaused(ctx, true) }

// Resume implements [queue.Queue].
func (q *Queue) Resume(ctx context.Context) error {
	q.draining.Store(false)
	return q.setPaused(ctx, false)
}

func (q *Queue) setPaused(ctx context.Context, paused bool) error {
	return q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		b.state.paused = paused
		return true, nil
	})
}

// Paused implements [queue.Queue].
func (q *Queue) Paused(ctx context.Context) (paused bool, err error) {
	err = q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
		paused = b.state.paused
		return true, nil
	})
	return paused, err
}

// WaitEmpty implements [queue.Queue].
func (q *Queue) WaitEmpty(ctx context.Context) error {
	return q.writer.do(ctx, emptying, func(b *batch) (bool, error) { return b.state.len() == 0, nil })
}

// Drain implements [queue.Queue]. The refusal is for this handle only.
func (q *Queue) Drain(ctx context.Context) error {
	q.draining.Store(true)
	// Whoever waits for room is told, even if ctx has ended.
	told := &op{kind: immediate, run: func(*batch) (bool, error) { return true, nil }, done: make(chan error, 1)}
	select {
	case q.writer.ops <- told:
	default: // others are before it, and tell as well
	}
	return q.WaitEmpty(ctx)
}
