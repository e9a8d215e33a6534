package database

import (
	"database/sql"
	"fmt"
	"strings"
)

func (c catalog) sqliteTables() (tables []Table, err error) {
	err = c.rows(`SELECT name, type, coalesce(sql, '') FROM sqlite_schema
		WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`, nil,
		func(scan func(...any) error) error {
			var t Table
			err := scan(&t.Name, &t.Kind, &t.DDL)
			tables = append(tables, t)
			return err
		})
	return tables, err
}

func (c catalog) sqliteDetails(t *Table) error {
	err := c.rows(`SELECT name, type, "notnull", coalesce(dflt_value, ''), pk FROM pragma_table_info(?)`, []any{t.Name},
		func(scan func(...any) error) error {
			var col ColumnInfo
			var notNull bool
			err := scan(&col.Name, &col.Type, &notNull, &col.Default, &col.PrimaryKey)
			col.Nullable = !notNull && col.PrimaryKey == 0
			t.Columns = append(t.Columns, col)
			return err
		})
	if err != nil || t.Kind == "view" {
		return err
	}
	last := -1
	err = c.rows(`SELECT id, "table", "from", coalesce("to", '') FROM pragma_foreign_key_list(?) ORDER BY id, seq`, []any{t.Name},
		func(scan func(...any) error) error {
			var id int
			var table, from, to string
			if err := scan(&id, &table, &from, &to); err != nil {
				return err
			}
			t.addForeignKey(id != last, table, from, to)
			last = id
			return nil
		})
	if err != nil {
		return err
	}
	return c.rows(`SELECT l.name, coalesce(i.name, ''), l."unique" FROM pragma_index_list(?) l, pragma_index_info(l.name) i ORDER BY l.name, i.seqno`,
		[]any{t.Name}, c.indexes(t))
}

// addForeignKey adds a pair of columns to a new foreign key or the last one.
func (t *Table) addForeignKey(fresh bool, table, from, to string) {
	if fresh {
		t.ForeignKeys = append(t.ForeignKeys, ForeignKey{Table: table})
	}
	fk := &t.ForeignKeys[len(t.ForeignKeys)-1]
	fk.Columns = append(fk.Columns, from)
	if to != "" {
		fk.References = append(fk.References, to)
	}
}

func (c catalog) indexes(t *Table) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var name, column string
		var unique bool
		if err := scan(&name, &column, &unique); err != nil {
			return err
		}
		t.addIndexColumn(name, column, unique)
		return nil
	}
}

func (c catalog) postgresTables() (tables []Table, err error) {
	err = c.rows(`SELECT n.nspname, c.relname, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
			CASE WHEN c.relkind IN ('v', 'm') THEN coalesce(pg_get_viewdef(c.oid, true), '') ELSE '' END
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema'
			AND n.nspname NOT LIKE 'pg\_%' AND has_schema_privilege(n.oid, 'USAGE')
		ORDER BY n.nspname, c.relname`, nil,
		func(scan func(...any) error) error {
			var t Table
			err := scan(&t.Schema, &t.Name, &t.Kind, &t.DDL)
			if t.DDL != "" {
				t.DDL = fmt.Sprintf("CREATE VIEW %s AS\n%s", t.FullName(), t.DDL)
			}
			tables = append(tables, t)
			return err
		})
	return tables, err
}

// postgresTable names a table in the catalogue queries by its parameters.
const postgresTable = `(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2)`

func (c catalog) postgresDetails(t *Table) error {
	name := []any{t.Schema, t.Name}
	err := c.rows(`SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
			coalesce(pg_get_expr(d.adbin, d.adrelid), ''), coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)
		FROM pg_attribute a
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
		WHERE a.attrelid = `+postgresTable+` AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, name,
		func(scan func(...any) error) error {
			var col ColumnInfo
			err := scan(&col.Name, &col.Type, &col.Nullable, &col.Default, &col.PrimaryKey)
			t.Columns = append(t.Columns, col)
			return err
		})
	if err != nil || t.Kind == "view" {
		return err
	}
	last := ""
	err = c.rows(`SELECT k.conname, k.confrelid::regclass::text, a.attname, b.attname
		FROM pg_constraint k
		CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(here, there, place)
		JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.here
		JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.there
		WHERE k.contype = 'f' AND k.conrelid = `+postgresTable+` ORDER BY k.conname, u.place`, name,
		func(scan func(...any) error) error {
			var constraint, table, from, to string
			if err := scan(&constraint, &table, &from, &to); err != nil {
				return err
			}
			t.addForeignKey(constraint != last, table, from, to)
			last = constraint
			return nil
		})
	if err != nil {
		return err
	}
	err = c.rows(`SELECT c.relname, pg_get_indexdef(i.indexrelid, u.place::int, true), i.indisunique
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		CROSS JOIN LATERAL generate_series(1, i.indnkeyatts) AS u(place)
		WHERE i.indrelid = `+postgresTable+` ORDER BY c.relname, u.place`, name, c.indexes(t))
	if err != nil {
		return err
	}
	t.DDL = t.definition()
	return nil
}

// definition puts a CREATE TABLE together.
func (t *Table) definition() string {
	var lines []string
	for _, col := range t.Columns {
		line := col.Name + " " + col.Type
		if !col.Nullable {
			line += " NOT NULL"
		}
		if col.Default != "" {
			line += " DEFAULT " + col.Default
		}
		lines = append(lines, line)
	}
	if key := primaryKey(t.Columns); len(key) > 0 {
		lines = append(lines, "PRIMARY KEY ("+strings.Join(key, ", ")+")")
	}
	for _, fk := range t.ForeignKeys {
		lines = append(lines, fmt.Sprintf("FOREIGN KEY (%s) REFERENCES %s (%s)",
			strings.Join(fk.Columns, ", "), fk.Table, strings.Join(fk.References, ", ")))
	}
	return fmt.Sprintf("CREATE TABLE %s (\n  %s\n)", t.FullName(), strings.Join(lines, ",\n  "))
}

func (c catalog) mysqlTables() (tables []Table, err error) {
	err = c.rows(`SELECT table_name, CASE table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END
		FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name`, nil,
		func(scan func(...any) error) error {
			var t Table
			err := scan(&t.Name, &t.Kind)
			tables = append(tables, t)
			return err
		})
	return tables, err
}

func (c catalog) mysqlDetails(t *Table) error {
	err := c.rows(`SELECT c.column_name, c.column_type, c.is_nullable = 'YES', coalesce(c.column_default, ''), coalesce(k.ordinal_position, 0)
		FROM information_schema.columns c
		LEFT JOIN information_schema.key_column_usage k ON k.table_schema = c.table_schema AND k.table_name = c.table_name
			AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY'
		WHERE c.table_schema = DATABASE() AND c.table_name = ? ORDER BY c.ordinal_position`, []any{t.Name},
		func(scan func(...any) error) error {
			var col ColumnInfo
			err := scan(&col.Name, &col.Type, &col.Nullable, &col.Default, &col.PrimaryKey)
			t.Columns = append(t.Columns, col)
			return err
		})
	if err != nil {
		return err
	}
	// SHOW CREATE gives a table's name and definition, and more for a view.
	rows, err := c.p.read().QueryContext(c.ctx, "SHOW CREATE TABLE `"+strings.ReplaceAll(t.Name, "`", "``")+"`")
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		targets := make([]any, len(columns))
		for i := range targets {
			targets[i] = new(sql.NullString)
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		if len(targets) > 1 {
			t.DDL = targets[1].(*sql.NullString).String
		}
	}
	if err := rows.Err(); err != nil || t.Kind == "view" {
		return err
	}
	last := ""
	err = c.rows(`SELECT constraint_name, referenced_table_name, column_name, referenced_column_name
		FROM information_schema.key_column_usage
		WHERE table_schema = DATABASE() AND table_name = ? AND referenced_table_name IS NOT NULL
		ORDER BY constraint_name, ordinal_position`, []any{t.Name},
		func(scan func(...any) error) error {
			var constraint, table, from, to string
			if err := scan(&constraint, &table, &from, &to); err != nil {
				return err
			}
			t.addForeignKey(constraint != last, table, from, to)
			last = constraint
			return nil
		})
	if err != nil {
		return err
	}
	return c.rows(`SELECT index_name, coalesce(column_name, ''), non_unique = 0 FROM information_schema.statistics
		WHERE table_schema = DATABASE() AND table_name = ? ORDER BY index_name, seq_in_index`, []any{t.Name}, c.indexes(t))
}
