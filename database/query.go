package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"
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
	if s.opts.Trace.StartCall == nil {
		r, _, err := s.query(ctx, p, query, args)
		return r, err
	}
	ctx, ended := s.opts.Trace.startCall(ctx, Call{"query", p.Name, p.Dialect, query})
	r, cached, err := s.query(ctx, p, query, args)
	ended(CallEnd{Rows: r.rows(), Cached: cached, Err: err})
	return r, err
}

// query does the work of Query, and tells whether the result was cached.
func (s *Service) query(ctx context.Context, p *Provider, query string, args []any) (r *Result, cached bool, err error) {
	st, err := s.checks.check(p.Dialect, query, false)
	if err != nil {
		s.refused.Add(1)
		return nil, false, fmt.Errorf("query database %q: %w", p.Name, err)
	}
	key, writes, hit := s.cache.get(p, st.sql, args)
	if hit != nil {
		s.cacheHits.Add(1)
		return hit, true, nil
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	r, err = s.reading(ctx, p, st, args)
	took := time.Since(start)
	if err != nil {
		err = s.explain(ctx, "query", p, took, err)
	} else {
		r.Took = took
		if r.Truncated != "" {
			s.truncated.Add(1)
		}
		s.cache.put(key, writes, r)
	}
	s.add(&s.queries, took, err)
	return r, false, err
}

// reading runs a query where it cannot write.
func (s *Service) reading(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	if p.Dialect == SQLite {
		return s.readingSQLite(ctx, p, st, args)
	}
	conn, err := p.read().Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	// Nothing that a query did is ever committed, whatever the engine let it do.
	defer tx.Rollback()
	return s.run(ctx, tx, st, args, func() {
		// Closing the rows would read all that the server still sends. The pool
		// sees that the connection is gone.
		_ = conn.Raw(func(c any) error {
			if c, ok := c.(driver.Conn); ok {
				return c.Close()
			}
			return nil
		})
	})
}

// runner is what a connection and a transaction have in common.
type runner interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// run sends one statement. One that has a semicolon inside, if only in a string,
// is prepared first: servers prepare single statements only, whereas some drivers
// send an unprepared text as it is. cut, if it is not nil, is called before rows
// are closed of which there are more than the limits allow.
func (s *Service) run(ctx context.Context, r runner, st checked, args []any, cut func()) (*Result, error) {
	if st.plain {
		rows, err := r.QueryContext(ctx, st.sql, args...)
		if err != nil {
			return nil, err
		}
		return s.collect(rows, cut)
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
	return s.collect(rows, cut)
}

// explain makes an error say what was tried and what to do. After the end of the
// context it is the context's error and its cause, whatever the driver says.
func (s *Service) explain(ctx context.Context, what string, p *Provider, took time.Duration, err error) error {
	ended := ctx.Err()
	if ended == nil {
		return fmt.Errorf("%s database %q: %w", what, p.Name, err)
	}
	for _, why := range []error{context.Cause(ctx), ended} {
		if !errors.Is(err, why) {
			err = fmt.Errorf("%w: %w", why, err)
		}
	}
	if errors.Is(ended, context.DeadlineExceeded) {
		return fmt.Errorf("%s database %q: no result after %v; narrow the statement: %w", what, p.Name, took.Round(time.Millisecond), err)
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
	if s.opts.Trace.StartCall == nil {
		return s.execute(ctx, p, statement, args)
	}
	ctx, ended := s.opts.Trace.startCall(ctx, Call{"execute", p.Name, p.Dialect, statement})
	r, err := s.execute(ctx, p, statement, args)
	ended(CallEnd{Rows: r.rows(), Err: err})
	return r, err
}

// execute does the work of Execute.
func (s *Service) execute(ctx context.Context, p *Provider, statement string, args []any) (*Result, error) {
	st, err := s.permit(ctx, p, statement, args)
	if err != nil {
		s.refused.Add(1)
		return nil, fmt.Errorf("execute on database %q: %w", p.Name, err)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	r, err := s.writing(ctx, p, st, args)
	took := time.Since(start)
	p.wrote() // also after an error: the commit may have arrived
	if err != nil {
		err = s.explain(ctx, "execute on", p, took, err)
	} else {
		r.Took = took
	}
	s.add(&s.writes, took, err)
	return r, err
}

// permit decides whether a statement may write.
func (s *Service) permit(ctx context.Context, p *Provider, statement string, args []any) (checked, error) {
	if !p.AllowWrites {
		return checked{}, ErrReadOnly
	}
	st, err := s.checks.check(p.Dialect, statement, true)
	if err != nil {
		return checked{}, err
	}
	return st, s.approve(ctx, Write{Provider: p.Name, SQL: st.sql, Args: args})
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
	if st.returns {
		if result, err = s.run(ctx, tx, st, args, nil); err != nil {
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
		result.Affected, err = done.RowsAffected()
		if err != nil || !st.counts && (p.Dialect == SQLite || result.Affected == 0) { // there it is an earlier statement's
			result.Affected = -1
		}
		if id, err := done.LastInsertId(); err == nil && st.inserts { // otherwise it is an earlier one's
			result.LastInsertID = id
		}
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	return result, nil
}

func execPrepared(ctx context.Context, tx *sql.Tx, query string, args []any) (sql.Result, error) {
	stmt, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	return stmt.ExecContext(ctx, args...)
}
