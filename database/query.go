package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/task"
)

// Query runs one statement that reads and returns its rows. An empty provider
// name means the only one. Statements that are not plainly one query are refused
// ([ErrRefused]), and whatever gets past that is stopped by the engine. The result
// may come from the cache. A result that was cut is no error: see
// [Result.Truncated].
func (s *Service) Query(ctx context.Context, provider, query string, args ...any) (*Result, error) {
	p, err := s.provider(provider)
	if err != nil {
		return nil, err
	}
	st, err := s.checks.check(p.Dialect, query, false)
	if err != nil {
		return nil, s.refuse(p, query, fmt.Errorf("query database %q: %w", p.Name, err))
	}
	s.queries.Add(1)
	key, generation, cached := s.cache.get(p, st.sql, args)
	if cached != nil {
		s.hits.Add(1)
		if s.opts.Trace.Query != nil {
			s.opts.Trace.Query(Call{Provider: p.Name, SQL: query, Rows: len(cached.Rows), Cached: true})
		}
		return cached, nil
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	result, err := s.reading(ctx, p, st, args)
	if err != nil {
		err = s.explain(ctx, "query", p, err)
	} else {
		result.Took = time.Since(start)
		if result.Truncated != "" {
			s.truncated.Add(1)
		}
		s.cache.put(key, generation, result)
	}
	s.done(s.opts.Trace.Query, p, query, start, result, err)
	return result, err
}

// reading runs a query where it cannot write.
func (s *Service) reading(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	if p.Dialect == SQLite {
		return s.leavingSQLite(ctx, p, st, args)
	}
	tx, err := p.read().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	// Nothing that a query did is ever committed, whatever the engine let it do.
	defer tx.Rollback()
	return s.run(ctx, tx, st, args)
}

// leavingSQLite runs a query in a goroutine of its own, so that the call ends when
// its time is up. SQLite runs in this process, and a driver may not stop a
// statement that looks for its next row: modernc.org/sqlite does so until the first
// row only. Such a statement keeps its connection until it ends by itself.
func (s *Service) leavingSQLite(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	args = slices.Clone(args) // the caller's, who may be gone
	return task.Abandon(ctx, nil, "query of database "+p.Name, func(ctx context.Context) (*Result, error) {
		growStack()
		return s.readingSQLite(ctx, p, st, args)
	}, nil)
}

// growStack makes the stack of a new goroutine as large as SQLite's code needs it,
// in one step: doubling it on the way down took most of the time of a short query.
//
//go:noinline
func growStack() byte {
	var room [14 << 10]byte
	return room[runtime.NumGoroutine()%len(room)]
}

// readingSQLite pins a connection that is set to query only meanwhile. SQLite
// has no read-only transactions.
func (s *Service) readingSQLite(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	conn, err := p.read().Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// The pragma waits for nothing, so that drivers need not watch a context.
	uncancelled := context.WithoutCancel(ctx)
	if _, err := conn.ExecContext(uncancelled, "PRAGMA query_only = ON"); err != nil {
		return nil, err
	}
	result, err := s.run(ctx, conn, st, args)
	if _, off := conn.ExecContext(uncancelled, "PRAGMA query_only = OFF"); off != nil {
		// The pool must not hand a connection in an unknown state to a writer.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return result, err
}

// runner is what a connection and a transaction have in common.
type runner interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// run sends one statement. One that has a semicolon inside, if only in a string,
// is prepared first: servers prepare single statements only, whereas some drivers
// send an unprepared text as it is.
func (s *Service) run(ctx context.Context, r runner, st checked, args []any) (*Result, error) {
	if st.plain {
		rows, err := r.QueryContext(ctx, st.sql, args...)
		if err != nil {
			return nil, err
		}
		return s.collect(rows)
	}
	stmt, err := r.PrepareContext(ctx, st.sql)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	return s.collect(rows)
}

// explain makes an error say what was tried and what to do.
func (s *Service) explain(ctx context.Context, what string, p *Provider, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if !errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return fmt.Errorf("%s database %q: no result within %v; narrow the statement: %w", what, p.Name, s.opts.Timeout, err)
	}
	return fmt.Errorf("%s database %q: %w", what, p.Name, err)
}

// Execute runs one statement that changes data, in a transaction of its own. It
// needs a provider with AllowWrites ([ErrReadOnly] otherwise) and the approval
// of Options.Approve ([ErrNotApproved] otherwise). Rows that the statement
// returns, as by RETURNING, are in the result.
func (s *Service) Execute(ctx context.Context, provider, statement string, args ...any) (*Result, error) {
	p, err := s.provider(provider)
	if err != nil {
		return nil, err
	}
	if !p.AllowWrites {
		return nil, s.refuse(p, statement, fmt.Errorf("execute on database %q: %w", p.Name, ErrReadOnly))
	}
	st, err := s.checks.check(p.Dialect, statement, true)
	if err != nil {
		return nil, s.refuse(p, statement, fmt.Errorf("execute on database %q: %w", p.Name, err))
	}
	if err := s.approve(ctx, Write{Provider: p.Name, SQL: st.sql, Args: args}); err != nil {
		return nil, s.refuse(p, statement, fmt.Errorf("execute on database %q: %w", p.Name, err))
	}
	s.writes.Add(1)
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	result, err := s.writing(ctx, p, st, args)
	s.cache.invalidate(p) // also after an error: the commit may have arrived
	if err != nil {
		err = s.explain(ctx, "execute on", p, err)
	} else {
		result.Took = time.Since(start)
	}
	s.done(s.opts.Trace.Execute, p, statement, start, result, err)
	return result, err
}

func (s *Service) approve(ctx context.Context, w Write) error {
	if s.opts.Approve == nil {
		return fmt.Errorf("%w: this program approves none", ErrNotApproved)
	}
	ok, err := s.opts.Approve(ctx, w)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotApproved, err)
	case !ok:
		return ErrNotApproved
	}
	return nil
}

func (s *Service) writing(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	tx, err := p.DB.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	var result *Result
	if strings.Contains(strings.ToUpper(st.sql), "RETURNING") {
		if result, err = s.run(ctx, tx, st, args); err != nil {
			return nil, err
		}
		result.Affected = int64(len(result.Rows))
		if result.Truncated != "" {
			result.Affected = -1
		}
	} else {
		result = &Result{}
		var done sql.Result
		if st.plain {
			done, err = tx.ExecContext(ctx, st.sql, args...)
		} else {
			done, err = execPrepared(ctx, tx, st.sql, args)
		}
		if err != nil {
			return nil, err
		}
		if result.Affected, err = done.RowsAffected(); err != nil {
			result.Affected = -1
		}
		if id, err := done.LastInsertId(); err == nil && id != 0 {
			result.LastInsertID = id
		}
	}
	return result, tx.Commit()
}

func execPrepared(ctx context.Context, tx *sql.Tx, query string, args []any) (sql.Result, error) {
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	return stmt.ExecContext(ctx, args...)
}
