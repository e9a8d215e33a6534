package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
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

// listPage is how many items List reads at once, without holding the file.
const listPage = 200

// List implements [queue.Queue]. It reads in pages, from a connection of its
// own, so a loop may take its time; items that change meanwhile are shown as they
// are when their page is read.
func (q *Queue) List(ctx context.Context, filter queue.Filter) iter.Seq2[queue.Item, error] {
	return func(yield func(queue.Item, error) bool) {
		var prefix string
		var last int64 // items enqueued later are not shown
		err := q.writer.do(ctx, immediate, func(b *batch) (bool, error) {
			prefix, last = b.state.prefix, b.state.lastSeq
			return true, nil
		})
		after, shown := int64(0), 0
		for err == nil {
			var page []*row
			if page, err = q.page(ctx, prefix, filter, after, last); err != nil || len(page) == 0 {
				break
			}
			for _, r := range page {
				after = r.seq
				if !yield(r.Item, nil) {
					return
				}
				if shown++; shown == filter.Limit {
					return
				}
			}
		}
		if err != nil {
			yield(queue.Item{}, err)
		}
	}
}

// page reads the matching items after a place.
func (q *Queue) page(ctx context.Context, prefix string, filter queue.Filter, after, last int64) ([]*row, error) {
	query := strings.Replace(`SELECT ITEM FROM items WHERE seq > ? AND seq <= ?`, "ITEM", strings.NewReplacer(
		", payload", `, CASE big WHEN 1 THEN (SELECT b.payload FROM bodies b WHERE b.seq = items.seq) ELSE payload END`,
		", checkpoint", `, CASE big WHEN 1 THEN (SELECT b.checkpoint FROM bodies b WHERE b.seq = items.seq) ELSE checkpoint END`,
	).Replace(itemColumns), 1)
	args := []any{after, last}
	if filter.Name != "" {
		query, args = query+" AND name = ?", append(args, filter.Name)
	}
	if filter.Key != "" {
		query, args = query+" AND key = ?", append(args, filter.Key)
	}
	if len(filter.States) > 0 {
		var wanted []string
		for i, name := range stateNames {
			for _, s := range filter.States {
				if s == name {
					wanted = append(wanted, fmt.Sprint(i))
				}
			}
		}
		query += " AND state IN (" + strings.Join(wanted, ", ") + ")"
	}
	rows, err := q.db.QueryContext(ctx, query+" ORDER BY seq LIMIT ?", append(args, listPage)...)
	if err != nil {
		return nil, q.readError(err)
	}
	defer rows.Close()
	var page []*row
	for rows.Next() {
		r := &row{}
		if err := r.scan(rows.Scan, prefix); err != nil {
			return nil, q.readError(err)
		}
		page = append(page, r)
	}
	if err := rows.Err(); err != nil {
		return nil, q.readError(err)
	}
	return page, nil
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
	select {
	case <-q.closed:
		return queue.ErrClosed
	default:
	}
	q.draining.Store(true)
	return q.WaitEmpty(ctx)
}
