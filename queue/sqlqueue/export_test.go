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
