package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync/atomic"
)

// syncer makes durable what SQLite has committed before anybody is told. That is
// what synchronous FULL does within a commit; here the writer works on the next
// transaction while the disk is busy with the last. The writer's connection has
// synchronous NORMAL, in which SQLite itself syncs the log when it begins it anew and
// before it copies it into the file, and leaves out the sync after a commit alone
// (sqlite.org/pragma.html#pragma_synchronous). A sync of the log covers all that was
// written to it before, by other processes too.
type syncer struct {
	file    *os.File // the log, open a second time
	sync    func() error
	commits chan *commit
	ended   chan struct{}
	failed  atomic.Pointer[error] // why nothing can be made durable any more
}

// commit is a transaction that SQLite has committed.
type commit struct {
	b      *batch
	ops    []*op         // the calls that it has served; nil, like b, once they were told
	served int           // how many they are
	synced chan struct{} // closed when they are about to be told
	told   atomic.Bool
}

// isSynced reports whether it is durable, or could not be made so. A nil commit is.
func (c *commit) isSynced() bool {
	if c == nil {
		return true
	}
	select {
	case <-c.synced:
		return true
	default:
		return false
	}
}

func (c *commit) isTold() bool { return c == nil || c.told.Load() }

func (c *commit) calls() int {
	if c == nil {
		return 0
	}
	return c.served
}

// startSyncer opens the log, which is there since the file was opened.
func startSyncer(conn *sql.Conn) (*syncer, error) {
	ctx := context.Background()
	var path string // with symlinks resolved, as SQLite does for the name of the log
	if err := conn.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		_ = f.Close()
		return nil, err
	}
	s := &syncer{sync: f.Sync, file: f, commits: make(chan *commit), ended: make(chan struct{})}
	go s.loop()
	return s, nil
}

// stop waits for what was handed over.
func (s *syncer) stop() {
	close(s.commits)
	<-s.ended
	_ = s.file.Close() // nothing was written through it
}

func (s *syncer) loop() {
	defer close(s.ended)
	for c := range s.commits {
		s.finish(c)
	}
}

// finish makes a commit durable and tells its calls.
func (s *syncer) finish(c *commit) {
	var err error
	if c.b.wrote {
		err = s.durable()
	}
	close(c.synced)
	if err == nil {
		c.b.report() // first, so that a caller finds its own call in the counters
	}
	for _, o := range c.ops {
		if err != nil {
			o.err = err
		}
		o.done <- o.err
	}
	c.b, c.ops = nil, nil // the writer keeps c, which must not keep what they hold
	c.told.Store(true)
}

// durable syncs. Once that has failed it cannot be known what the disk has, and
// the next sync may succeed all the same (wiki.postgresql.org/wiki/Fsync_Errors).
func (s *syncer) durable() error {
	if err := s.error(); err != nil {
		return err
	}
	err := s.sync()
	if err != nil {
		err = fmt.Errorf("%w: what was done last may be lost, and the queue must be opened again: %w", ErrSync, err)
		s.failed.Store(&err)
	}
	return err
}

// error returns why a sync has failed, if one has.
func (s *syncer) error() error {
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}
