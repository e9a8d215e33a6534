package sqlqueue

import "context"

// Waiting counts the calls that wait in line, for tests that need one to.
func (q *Queue) Waiting() (n int) {
	_ = q.writer.do(context.Background(), immediate, func(b *batch) (bool, error) {
		n = len(b.w.waiting)
		return true, nil
	})
	return n
}

// SetSync replaces what makes the log durable, before the first call.
func (q *Queue) SetSync(sync func() error) { q.writer.syncer.sync = sync }

// Queued counts the calls that the writer has not taken.
func (q *Queue) Queued() int { return len(q.writer.ops) }
