package database

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Value is one value of a row, exactly as the database has it:
//
//   - nil for NULL,
//   - bool, int64, uint64 and float64,
//   - string for text, JSON, UUIDs, decimals and everything else that the
//     database writes as text, so that no digit is lost,
//   - time.Time for times,
//   - []byte for binary data.
type Value = any

// Column describes a column of a result.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"` // as the database names it
}

// Result is the outcome of a statement. Results may be shared through the cache
// and must not be changed.
type Result struct {
	Columns []Column
	Rows    [][]Value

	// Truncated says which limit cut the rows short: "rows" or "bytes". Empty
	// means that they are complete.
	Truncated string

	// Affected is the number of rows that a write changed, -1 if unknown, as of a
	// definition.
	Affected int64

	// LastInsertID is the ID of an inserted row where the database tells.
	LastInsertID int64

	// Took is how long the statement ran.
	Took time.Duration
}

// rows is how many there are, 0 without a result.
func (r *Result) rows() int {
	if r == nil {
		return 0
	}
	return len(r.Rows)
}

// collect reads rows up to the limits and closes them, after cut if there are more.
func (s *Service) collect(rows *sql.Rows, cut func()) (*Result, error) {
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns := make([]Column, len(types))
	for i, t := range types {
		columns[i] = Column{Name: t.Name(), Type: t.DatabaseTypeName()}
	}
	out := s.newCollector(columns)
	targets := make([]any, len(types))
	for rows.Next() {
		row := make([]Value, len(types))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		if !out.add(row) {
			if cut != nil {
				cut()
			}
			return out.r, nil
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out.r, rows.Close()
}

// collector makes a result of rows.
type collector struct {
	s     *Service
	r     *Result
	kinds []kind
	bytes int
}

func (s *Service) newCollector(columns []Column) *collector {
	c := &collector{s: s, r: &Result{Columns: columns}, kinds: make([]kind, len(columns))}
	for i := range columns {
		c.kinds[i] = kindOf(columns[i].Type)
	}
	return c
}

// add takes a row, or cuts the result because of it and returns false.
func (c *collector) add(row []Value) bool {
	if c.s.opts.MaxRows > 0 && len(c.r.Rows) == c.s.opts.MaxRows {
		c.r.Truncated = "rows"
		return false
	}
	for i := range row {
		row[i] = exact(row[i], c.kinds[i])
		c.bytes += sizeOf(row[i])
	}
	if c.s.opts.MaxBytes > 0 && c.bytes > c.s.opts.MaxBytes {
		c.r.Truncated = "bytes"
		return false
	}
	c.r.Rows = append(c.r.Rows, row)
	return true
}

// kind is what a column's type says about values that a driver may deliver in
// a form of their own.
type kind uint8

const (
	plain   kind = iota
	boolean      // an integer that is 0 or 1
	binary       // bytes that are not text
	float4       // a float64 with digits that are not there
)

func kindOf(databaseType string) kind {
	name := strings.ToUpper(databaseType)
	switch {
	case name == "BOOL" || name == "BOOLEAN":
		return boolean
	case name == "FLOAT4":
		return float4
	case strings.Contains(name, "BLOB"), strings.Contains(name, "BYTEA"), strings.Contains(name, "BINARY"), name == "BIT", name == "GEOMETRY":
		return binary
	}
	return plain
}

// exact turns what a driver delivers for a column into a [Value].
func exact(value any, k kind) Value {
	switch v := value.(type) {
	case nil, bool, uint64, string, time.Time:
	case []byte:
		if k != binary && utf8.Valid(v) {
			return string(v)
		}
	case int64:
		if k == boolean && (v == 0 || v == 1) {
			return v == 1
		}
	case float64:
		if k == float4 {
			return widened(float32(v))
		}
	case float32:
		return widened(v)
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case int16:
		return int64(v)
	case int8:
		return int64(v)
	case uint32:
		return int64(v)
	default:
		return fmt.Sprint(v)
	}
	return value // as it is, which spares the allocation of another interface value
}

// widened returns the float64 with the same shortest decimal form.
func widened(v float32) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return float64(v)
	}
	return f
}

func sizeOf(v Value) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	default:
		return 8
	}
}

// jsonValue renders a value without loss: integers as numbers with all their
// digits, binary data and text that is not UTF-8 as {"base64": …}, and floats that
// JSON cannot say as strings.
func jsonValue(v Value) any {
	switch v := v.(type) {
	case []byte:
		return map[string]string{"base64": base64.StdEncoding.EncodeToString(v)}
	case string:
		if !utf8.ValidString(v) {
			return jsonValue([]byte(v))
		}
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
		return json.RawMessage(strconv.FormatFloat(v, 'g', -1, 64))
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return v
	}
}

// textValue renders a value for a table.
func textValue(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return strings.NewReplacer("\r", `\r`, "\n", `\n`, "\t", `\t`).Replace(v)
	case []byte:
		return fmt.Sprintf("x'%x'", v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

// MarshalJSON renders columns and rows without loss; see [Value].
func (r *Result) MarshalJSON() ([]byte, error) {
	out := struct {
		Columns      []Column `json:"columns,omitempty"`
		Rows         [][]any  `json:"rows,omitempty"`
		Truncated    string   `json:"truncated,omitempty"`
		Affected     *int64   `json:"affected,omitempty"`
		LastInsertID int64    `json:"lastInsertId,omitempty"`
	}{Columns: r.Columns, Truncated: r.Truncated, LastInsertID: r.LastInsertID}
	if len(r.Columns) == 0 || r.Affected != 0 { // a write that changed nothing says so
		out.Affected = &r.Affected
	}
	for _, row := range r.Rows {
		rendered := make([]any, len(row))
		for i, v := range row {
			rendered[i] = jsonValue(v)
		}
		out.Rows = append(out.Rows, rendered)
	}
	return json.Marshal(out)
}

// String renders the result as a table for people and models.
func (r *Result) String() string {
	if len(r.Columns) == 0 {
		switch {
		case r.Affected < 0:
			return "done"
		case r.LastInsertID != 0:
			return fmt.Sprintf("%s changed, last inserted ID %d", countRows(r.Affected), r.LastInsertID)
		default:
			return countRows(r.Affected) + " changed"
		}
	}
	cells := make([][]string, 0, len(r.Rows)+1)
	header := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		header[i] = c.Name
	}
	cells = append(cells, header)
	for _, row := range r.Rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = textValue(v)
		}
		cells = append(cells, line)
	}
	widths := make([]int, len(header))
	for _, line := range cells {
		for i, c := range line {
			widths[i] = max(widths[i], min(utf8.RuneCountInString(c), 60))
		}
	}
	var b strings.Builder
	for n, line := range cells {
		for i, c := range line {
			if i > 0 {
				b.WriteString(" | ")
			}
			b.WriteString(c)
			if pad := widths[i] - utf8.RuneCountInString(c); pad > 0 && i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", pad))
			}
		}
		b.WriteByte('\n')
		if n == 0 {
			for i, w := range widths {
				if i > 0 {
					b.WriteString("-+-")
				}
				b.WriteString(strings.Repeat("-", w))
			}
			b.WriteByte('\n')
		}
	}
	b.WriteString("(" + countRows(int64(len(r.Rows))) + ")")
	if r.Truncated != "" {
		b.WriteString("\n" + r.more())
	}
	return b.String()
}

// more says that there is more than the result has.
func (r *Result) more() string {
	return "(cut by the limit of " + r.Truncated + "; narrow the query)"
}

func countRows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}
