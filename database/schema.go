package database

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"
)

// Table describes a table or view.
type Table struct {
	Schema      string       `json:"schema,omitempty"`
	Name        string       `json:"name"`
	Kind        string       `json:"kind"` // "table" or "view"
	Columns     []ColumnInfo `json:"columns"`
	ForeignKeys []ForeignKey `json:"foreignKeys,omitempty"`
	Indexes     []Index      `json:"indexes,omitempty"`

	// DDL is the definition: the database's own for SQLite, MySQL and views,
	// and put together from the catalogue for tables of PostgreSQL, which
	// keeps none.
	DDL string `json:"ddl,omitempty"`

	// Problem says why something of it is missing, as when a view reads a table
	// that is gone, or its definition is not for this user.
	Problem string `json:"problem,omitempty"`
}

// FullName is the name with its schema, if it has one.
func (t *Table) FullName() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// ColumnInfo describes a column of a table.
type ColumnInfo struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Nullable   bool   `json:"nullable,omitempty"`
	Default    string `json:"default,omitempty"`
	PrimaryKey int    `json:"primaryKey,omitempty"` // place in the primary key, from 1
}

// ForeignKey describes a reference to another table.
type ForeignKey struct {
	Columns    []string `json:"columns"`
	Table      string   `json:"table"`
	References []string `json:"references"`
}

// Index describes an index.
type Index struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns,omitempty"`
	Unique  bool     `json:"unique,omitempty"`
}

// SchemaFilter selects tables.
type SchemaFilter struct {
	// Tables are patterns as in path.Match, on the name or the full name,
	// regardless of case. Empty means all.
	Tables []string

	// NamesOnly leaves out columns, keys, indexes and DDL.
	NamesOnly bool
}

func (f SchemaFilter) match(t *Table) (bool, error) {
	if len(f.Tables) == 0 {
		return true, nil
	}
	for _, pattern := range f.Tables {
		for _, name := range [...]string{t.Name, t.FullName()} {
			ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(name))
			if err != nil {
				return false, fmt.Errorf("table pattern %q: %w", pattern, err)
			}
			if ok {
				return true, nil
			}
		}
	}
	return false, nil
}

// Schema describes the tables and views that a provider's user may see, system
// tables aside, in the order of their names; for MySQL those of the database that
// the connections are in. It is read anew each time.
func (s *Service) Schema(ctx context.Context, provider string, filter SchemaFilter) ([]Table, error) {
	p, err := s.provider(provider)
	if err != nil {
		return nil, err
	}
	if s.opts.Trace.StartCall == nil {
		return s.describe(ctx, p, filter)
	}
	ctx, ended := s.opts.Trace.startCall(ctx, Call{"schema", p.Name, p.Dialect, ""})
	tables, err := s.describe(ctx, p, filter)
	ended(CallEnd{Rows: len(tables), Err: err})
	return tables, err
}

// describe does the work of Schema.
func (s *Service) describe(ctx context.Context, p *Provider, filter SchemaFilter) ([]Table, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	tables, err := s.schema(ctx, p, filter)
	took := time.Since(start)
	if err != nil {
		tables, err = nil, s.explain(ctx, "read the schema of", p, took, err)
	}
	s.add(&s.schemas, took, err)
	return tables, err
}

func (s *Service) schema(ctx context.Context, p *Provider, filter SchemaFilter) ([]Table, error) {
	c := catalog{ctx, p}
	var all []Table
	var err error
	switch p.Dialect {
	case SQLite:
		all, err = c.sqliteTables()
	case Postgres:
		all, err = c.postgresTables()
	default:
		all, err = c.mysqlTables()
	}
	if err != nil {
		return nil, err
	}
	tables := all[:0]
	for i := range all {
		ok, err := filter.match(&all[i])
		if err != nil {
			return nil, err
		}
		if ok {
			tables = append(tables, all[i])
		}
	}
	for i := range tables {
		if filter.NamesOnly {
			tables[i] = Table{Schema: tables[i].Schema, Name: tables[i].Name, Kind: tables[i].Kind}
			continue
		}
		switch p.Dialect {
		case SQLite:
			err = c.sqliteDetails(&tables[i])
		case Postgres:
			err = c.postgresDetails(&tables[i])
		default:
			err = c.mysqlDetails(&tables[i])
		}
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", tables[i].FullName(), err)
		}
	}
	return tables, nil
}

// Plan returns how the database would run a query, in its own words, without
// running it.
func (s *Service) Plan(ctx context.Context, provider, query string, args ...any) (string, error) {
	p, err := s.provider(provider)
	if err != nil {
		return "", err
	}
	if _, err := s.checks.check(p.Dialect, query, false); err != nil {
		_, err := s.Query(ctx, p.Name, query, args...) // which refuses it: with EXPLAIN before it, ANALYZE would run it
		return "", err
	}
	explain := "EXPLAIN "
	if p.Dialect == SQLite {
		explain = "EXPLAIN QUERY PLAN "
	}
	r, err := s.Query(ctx, p.Name, explain+query, args...)
	if err != nil {
		return "", err
	}
	if p.Dialect == MySQL {
		return r.String(), nil
	}
	var lines []string
	for _, row := range r.Rows {
		lines = append(lines, textValue(row[len(row)-1]))
	}
	if r.Truncated != "" {
		lines = append(lines, r.more())
	}
	return strings.Join(lines, "\n"), nil
}

// catalog reads the catalogue of one provider.
type catalog struct {
	ctx context.Context
	p   *Provider
}

// rows calls each with the scan function of every row.
func (c catalog) rows(query string, args []any, each func(scan func(...any) error) error) error {
	rows, err := c.p.read().QueryContext(c.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// addIndexColumn adds a column to the named index, which is the last one if it
// is there.
func (t *Table) addIndexColumn(name, column string, unique bool) {
	if n := len(t.Indexes); n == 0 || t.Indexes[n-1].Name != name {
		t.Indexes = append(t.Indexes, Index{Name: name, Unique: unique})
	}
	last := &t.Indexes[len(t.Indexes)-1]
	if column != "" {
		last.Columns = append(last.Columns, column)
	}
}

// String renders a table as its definition, or as its columns where there is
// none.
func (t *Table) String() string {
	var b strings.Builder
	if t.DDL != "" {
		b.WriteString(strings.TrimRight(t.DDL, "; \n") + ";")
	} else {
		b.WriteString(t.Kind + " " + t.FullName())
		if len(t.Columns) > 0 {
			columns := make([]string, len(t.Columns))
			for i, c := range t.Columns {
				columns[i] = c.Name + " " + c.Type
			}
			b.WriteString(" (" + strings.Join(columns, ", ") + ")")
		}
	}
	for _, i := range t.Indexes {
		unique := ""
		if i.Unique {
			unique = "unique "
		}
		fmt.Fprintf(&b, "\n-- %sindex %s (%s)", unique, i.Name, strings.Join(i.Columns, ", "))
	}
	if t.Problem != "" {
		b.WriteString("\n-- " + strings.ReplaceAll(t.Problem, "\n", " "))
	}
	return b.String()
}
