package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenring-ai/tokenring-go/queue"
)

// Options configure a [Queue].
type Options struct {
	queue.Options

	// Poll is how often waiting receivers look for what other processes did.
	// 0 means 50 milliseconds.
	Poll time.Duration

	// BusyTimeout is how long to wait for another process that writes. 0 means 30
	// seconds.
	BusyTimeout time.Duration

	// MaxBytes bounds the file; beyond that Enqueue fails with [ErrDiskFull] as it
	// does on a full disk. The log beside the file is not counted. 0 means no bound
	// but SQLite's.
	MaxBytes int64
}

// Queue is a queue in a SQLite file. It implements [queue.Queue].
type Queue struct {
	opts   Options
	path   string
	db     *sql.DB // readers
	writer *writer

	draining atomic.Bool

	closing sync.Once
	closed  chan struct{}
	closeE  error

	mu    sync.Mutex
	stats queue.Stats
}

var _ queue.Queue = (*Queue)(nil)

// Open opens the queue in a file, which it creates if it is not there; its
// folder must be. It fails with [ErrReadOnly], [ErrCorrupt], [ErrDiskFull],
// [ErrBusy], [ErrVersion] or [ErrForeign].
func Open(path string, opts Options) (*Queue, error) {
	opts.Options = opts.Options.WithDefaults()
	if opts.Poll <= 0 {
		opts.Poll = 50 * time.Millisecond
	}
	if opts.BusyTimeout <= 0 {
		opts.BusyTimeout = 30 * time.Second
	}
	q := &Queue{opts: opts, path: path, closed: make(chan struct{})}
	q.stats.Since = time.Now()
	if err := q.openPatiently(); err != nil {
		return nil, fmt.Errorf("open queue %s: %w", path, err)
	}
	return q, nil
}

// openPatiently tries again while another process opens the file for the first
// time: the change to WAL is the one step for which SQLite's own busy timeout
// does not wait (sqlite.org/wal.html, "Sometimes Queries Return SQLITE_BUSY").
func (q *Queue) openPatiently() error {
	for end := time.Now().Add(q.opts.BusyTimeout); ; {
		err := typed(q.open())
		if !errors.Is(err, ErrBusy) || time.Now().After(end) {
			return err
		}
		<-time.After(openPause)
	}
}

// openPause is the time between two tries to open a file that is busy.
const openPause = 5 * time.Millisecond

func (q *Queue) open() error {
	abs, err := filepath.Abs(q.path)
	if err != nil {
		return err
	}
	// Pages of new files hold several of the largest rows, see bigBody.
	u := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", q.opts.BusyTimeout.Milliseconds()),
		"page_size(8192)", "synchronous(FULL)", "cache_size(-16384)", "wal_autocheckpoint(1000)",
	}}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(5) // the writer's and four readers
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err == nil {
		_, err = recognise(ctx, conn) // before anything is written
	}
	if err == nil && q.opts.MaxBytes > 0 {
		err = limit(ctx, conn, q.opts.MaxBytes)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, "PRAGMA journal_mode = WAL") // which the file remembers
	}
	if err == nil {
		err = migrate(ctx, conn)
	}
	if err == nil {
		q.db = db
		q.writer, err = newWriter(q, conn)
	}
	if err != nil {
		if conn != nil {
			_ = conn.Close()
		}
		_ = db.Close()
		return err
	}
	return nil
}

// limit bounds the file for the connection that writes.
func limit(ctx context.Context, conn *sql.Conn, bytes int64) error {
	var page int64
	if err := conn.QueryRowContext(ctx, "PRAGMA page_size").Scan(&page); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", max(1, bytes/page)))
	return err
}

// Close implements [queue.Queue].
func (q *Queue) Close() error {
	q.closing.Do(func() {
		close(q.closed)
		<-q.writer.ended
		q.closeE = q.db.Close()
	})
	return q.closeE
}

// Stats implements [queue.Queue]. The counters are those of this handle.
func (q *Queue) Stats() queue.Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.At = time.Now()
	return s
}
