package database

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/tokenring-ai/tokenring-go/utility/task"
)

// readingSQLite runs a query in a goroutine of its own, so that the call ends when
// its time is up. SQLite runs in this process, and a driver may not stop a
// statement that looks for its next row: modernc.org/sqlite does so until the first
// row only. Such a statement keeps its connection until it ends by itself.
func (s *Service) readingSQLite(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
	args = slices.Clone(args) // the caller's, who may be gone
	return task.Abandon(ctx, nil, "query of database "+p.Name, func(ctx context.Context) (*Result, error) {
		growStack()
		return s.queryOnly(ctx, p, st, args)
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

// queryOnly pins a connection that is set to query only meanwhile. SQLite has no
// read-only transactions.
func (s *Service) queryOnly(ctx context.Context, p *Provider, st checked, args []any) (*Result, error) {
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
	var result *Result
	err = conn.Raw(func(c any) (err error) {
		result, err = s.step(ctx, c, st, args)
		return err
	})
	if _, off := conn.ExecContext(uncancelled, "PRAGMA query_only = OFF"); off != nil {
		// The pool must not hand a connection in an unknown state to a writer.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return result, err
}

// step asks the driver itself: what database/sql does besides, such as watching the
// context, is done here already, and costs as much as a short query.
func (s *Service) step(ctx context.Context, c any, st checked, args []any) (*Result, error) {
	conn, ok := c.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("the driver's %T takes no context", c)
	}
	prepared, err := conn.PrepareContext(ctx, st.sql)
	if err != nil {
		return nil, err
	}
	defer prepared.Close()
	stmt, ok := prepared.(driver.StmtQueryContext)
	if !ok {
		return nil, fmt.Errorf("the driver's %T takes no context", prepared)
	}
	named, err := namedValues(args, prepared, c)
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
