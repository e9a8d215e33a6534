package database

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tokenring-ai/tokenring-go/utility/task"
)

// readingSQLite runs a query in another goroutine, so that the call ends when its
// time is up. SQLite runs in this process, and a driver may not stop a statement
// that looks for its next row: modernc.org/sqlite does so until the first row only.
// Such a statement keeps its connection until it ends by itself.
func (s *Service) readingSQLite(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	conn, err := p.read().Conn(ctx)
	if err != nil {
		return nil, err
	}
	type outcome struct {
		result   *Result
		err      error
		panicked bool
	}
	done := make(chan outcome, 1)
	args = slices.Clone(args) // the caller's, who may be gone
	s.readers.run(func() {
		out := outcome{err: errors.New("the driver ended its goroutine")}
		defer func() {
			if v := recover(); v != nil {
				out = outcome{err: fmt.Errorf("the driver panicked: %v\n%s", v, debug.Stack()), panicked: true}
			}
			_ = conn.Close() // says nothing new
			done <- out
		}()
		out.result, out.err = s.queryOnly(ctx, p, conn, st, args)
	})
	select {
	case out := <-done:
		return out.result, out.err
	case <-ctx.Done():
	}
	// What goes on without its caller is not lost sight of.
	late := func(context.Context) error {
		if out := <-done; out.panicked {
			return out.err
		}
		return nil
	}
	if err := task.Detach(ctx, "query of database "+p.Name, late); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	return nil, ctx.Err()
}

// readers are goroutines that stay for a moment when they are done: a new one
// would take a third of the time of a short query, most of it to grow its stack to
// what SQLite's code needs.
type readers chan func()

const readerStays = 20 * time.Millisecond

// run calls fn in a goroutine. It does not wait.
func (r readers) run(fn func()) {
	select {
	case r <- fn:
	default:
		go r.work(fn)
	}
}

func (r readers) work(fn func()) {
	growStack()
	timer := time.NewTimer(readerStays)
	defer timer.Stop()
	for {
		fn()
		timer.Reset(readerStays)
		select {
		case fn = <-r:
		case <-timer.C:
			return
		}
	}
}

// growStack makes the stack of a new goroutine as large as SQLite's code needs it,
// in one step.
//
//go:noinline
func growStack() byte {
	var room [14 << 10]byte
	return room[runtime.NumGoroutine()%len(room)]
}

// queryOnly sets a connection to query only while it is asked, and leaves it so
// where the program has opened it so. SQLite has no read-only transactions.
func (s *Service) queryOnly(ctx context.Context, p *Provider, conn *sql.Conn, st checked, args []any) (result *Result, err error) {
	lost := conn.Raw(func(c any) error {
		db, ok := c.(sqliteConn)
		if !ok {
			return fmt.Errorf("the driver's %T takes no context", c)
		}
		// The pragmas wait for nothing, so that the driver need not watch a context.
		uncancelled := context.WithoutCancel(ctx)
		already, failed := p.isQueryOnly(uncancelled, db)
		if failed != nil {
			return failed
		}
		if _, err := db.ExecContext(uncancelled, "PRAGMA query_only = ON", nil); err != nil {
			return err
		}
		result, err = s.step(ctx, db, st, args)
		if already {
			return nil
		}
		if _, off := db.ExecContext(uncancelled, "PRAGMA query_only = OFF", nil); off != nil {
			return driver.ErrBadConn // the pool must not hand it to a writer
		}
		return nil
	})
	if result == nil && err == nil {
		err = lost
	}
	return result, err
}

// isQueryOnly reports whether the program's own connections to SQLite are query
// only. They are taken to be alike.
func (p *Provider) isQueryOnly(ctx context.Context, conn sqliteConn) (bool, error) {
	const no, yes = 1, 2
	if p.known != nil {
		if is := p.known.queryOnly.Load(); is != 0 {
			return is == yes, nil
		}
	}
	unlimited := &Service{}
	r, err := unlimited.step(ctx, conn, checked{sql: "PRAGMA query_only"}, nil)
	if err != nil {
		return false, err
	}
	is := int32(no)
	if len(r.Rows) == 1 && r.Rows[0][0] == int64(1) {
		is = yes
	}
	if p.known != nil {
		p.known.queryOnly.Store(is)
	}
	return is == yes, nil
}

// sqliteConn is what a driver's connection must be able to do.
type sqliteConn interface {
	driver.ConnPrepareContext
	driver.ExecerContext
}

// step asks the driver itself: what database/sql does besides, such as watching the
// context, is done here already, and costs as much as a short query.
func (s *Service) step(ctx context.Context, conn sqliteConn, st checked, args []any) (*Result, error) {
	prepared, err := conn.PrepareContext(ctx, st.sql)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	stmt, ok := prepared.(driver.StmtQueryContext)
	if !ok {
		return nil, fmt.Errorf("the driver's %T takes no context", prepared)
	}
	named, err := namedValues(args, prepared, conn)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, named)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names := rows.Columns()
	columns := make([]Column, len(names))
	typed, _ := rows.(driver.RowsColumnTypeDatabaseTypeName)
	for i, name := range names {
		columns[i].Name = name
		if typed != nil {
			columns[i].Type = typed.ColumnTypeDatabaseTypeName(i)
		}
	}
	out := s.newCollector(columns)
	for i, k := range out.kinds {
		if k == plain { // text comes as strings
			out.kinds[i] = binary
		}
	}
	values := make([]driver.Value, len(names))
	for ctx.Err() == nil {
		if err := rows.Next(values); err == io.EOF {
			return out.r, nil
		} else if err != nil {
			return nil, err
		}
		row := make([]Value, len(values))
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				v = bytes.Clone(b) // the driver's, until it is called again
			}
			row[i] = v
		}
		if !out.add(row) {
			return out.r, nil
		}
	}
	return nil, ctx.Err()
}

// namedValues converts arguments as database/sql does: as the first of the driver's
// values that has an opinion says, or else to the types that every driver knows.
func namedValues(args []any, opinions ...any) ([]driver.NamedValue, error) {
	var checker driver.NamedValueChecker
	for _, o := range slices.Backward(opinions) {
		if c, ok := o.(driver.NamedValueChecker); ok {
			checker = c
		}
	}
	named := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v := &named[i]
		v.Ordinal, v.Value = i+1, a
		if n, ok := a.(sql.NamedArg); ok {
			v.Name, v.Value = n.Name, n.Value
		}
		err := driver.ErrSkip
		if checker != nil {
			err = checker.CheckNamedValue(v)
		}
		if err == driver.ErrSkip {
			v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return named, nil
}
