package sqltest

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
)

func TestValues(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect}))
			when := time.Date(2026, 11, 24, 3, 4, 5, 123456000, time.UTC)
			create := "CREATE TABLE v (n text, i bigint, big numeric(40,10), f double precision, b boolean, at timestamptz, raw bytea, j jsonb, txt text)"
			insert := `INSERT INTO v VALUES (NULL, 9007199254740993, '123456789012345678901234567890.0123456789', 0.1, true, '2026-11-24T03:04:05.123456Z', '\x00ff10', '{"a":12345678901234567890}', 'zeile 1
☃')`
			if e.dialect == database.SQLite {
				create = "CREATE TABLE v (n text, i bigint, big text, f double, b boolean, at datetime, raw blob, j text, txt text)"
				insert = `INSERT INTO v VALUES (NULL, 9007199254740993, '123456789012345678901234567890.0123456789', 0.1, true, '2026-11-24 03:04:05.123456+00:00', x'00ff10', '{"a":12345678901234567890}', 'zeile 1
☃')`
			}
			if e.dialect == database.MySQL {
				create = "CREATE TABLE v (n text, i bigint, big decimal(40,10), f double, b boolean, at datetime(6), raw blob, j json, txt text)"
				insert = `INSERT INTO v VALUES (NULL, 9007199254740993, '123456789012345678901234567890.0123456789', 0.1, true, '2026-11-24 03:04:05.123456', x'00ff10', '{"a":12345678901234567890}', 'zeile 1
☃')`
			}
			_, err := db.Exec(create)
			require.NoError(t, err)
			_, err = db.Exec(insert)
			require.NoError(t, err)
			r, err := s.Query(t.Context(), "", "SELECT n, i, big, f, b, at, raw, j, txt FROM v")
			require.NoError(t, err)
			require.Len(t, r.Rows, 1)
			row := r.Rows[0]
			assert.Nil(t, row[0])
			assert.Equal(t, int64(9007199254740993), row[1])
			assert.Equal(t, "123456789012345678901234567890.0123456789", row[2])
			assert.Equal(t, 0.1, row[3])
			if e.dialect == database.MySQL {
				assert.Equal(t, int64(1), row[4], "a boolean is a number there")
			} else {
				assert.Equal(t, true, row[4])
			}
			at, ok := row[5].(time.Time)
			require.True(t, ok, "%T", row[5])
			assert.True(t, when.Equal(at), "%v", at)
			assert.Equal(t, []byte{0, 0xff, 0x10}, row[6])
			assert.JSONEq(t, `{"a":12345678901234567890}`, row[7].(string))
			assert.Contains(t, row[7], "12345678901234567890")
			data, err := json.Marshal(r)
			require.NoError(t, err)
			assert.Contains(t, string(data), "9007199254740993")
			assert.Contains(t, string(data), `{"base64":"AP8Q"}`)
			assert.Contains(t, r.String(), "x'00ff10'")
			assert.Contains(t, r.String(), "NULL")

			if e.dialect == database.MySQL {
				for _, st := range []string{"CREATE TABLE w (b bit(8))", "INSERT INTO w VALUES (b'1000001')"} {
					_, err := db.Exec(st)
					require.NoError(t, err)
				}
				r, err = s.Query(t.Context(), "", "SELECT b FROM w")
				require.NoError(t, err)
				assert.Equal(t, []byte("A"), r.Rows[0][0])
				for _, args := range [][]any{nil, {"x"}} { // as text and, with arguments, in binary
					query := "SELECT cast(18446744073709551615 AS unsigned), b'101', cast(0.1 AS float), cast('-838:59:59' AS time), 1.10"
					if args != nil {
						query += ", ?"
					}
					r, err = s.Query(t.Context(), "", query, args...)
					require.NoError(t, err)
					assert.Equal(t, "18446744073709551615", fmt.Sprint(r.Rows[0][0]))
					assert.Equal(t, []database.Value{[]byte{5}, 0.1, "-838:59:59", "1.10"}, r.Rows[0][1:5])
				}
			}
			if e.dialect == database.Postgres {
				r, err = s.Query(t.Context(), "", "SELECT 'NaN'::float8, 'Infinity'::float8, ARRAY[1,2], 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '1 day'::interval, 0.1::float4, 'NaN'::numeric")
				require.NoError(t, err)
				row = r.Rows[0]
				assert.True(t, math.IsNaN(row[0].(float64)))
				assert.Equal(t, "{1,2}", row[2])
				assert.Equal(t, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", row[3])
				assert.Equal(t, 0.1, row[5])
				assert.Equal(t, "NaN", row[6])
				_, err = json.Marshal(r)
				require.NoError(t, err)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: e.open(t), Dialect: e.dialect}))
			query := "SELECT cast(? AS char(9)), cast(? AS char(9)), ? IS NULL, cast(? AS char(9))"
			if e.dialect == database.Postgres {
				query = "SELECT $1::text, $2::text, $3::text IS NULL, $4::text"
			}
			r, err := s.Query(t.Context(), "", query, "7", sql.NullString{String: "x", Valid: true}, sql.NullString{}, new("y"))
			require.NoError(t, err)
			assert.Equal(t, []database.Value{"7", "x", "y"}, slices.Delete(slices.Clone(r.Rows[0]), 2, 3))
			assert.Contains(t, []any{true, int64(1)}, r.Rows[0][2])
			_, err = s.Query(t.Context(), "", query, "7", "8", "9", make(chan int))
			require.Error(t, err)
			_, err = s.Query(t.Context(), "", query, "7")
			require.Error(t, err, "too few")
		})
	}
	s := database.New(database.Options{})
	require.NoError(t, s.Register(database.Provider{Name: "main", DB: openSQLite(t), Dialect: database.SQLite}))
	r, err := s.Query(t.Context(), "", "SELECT @n, @text, @blob, typeof(@blob)", sql.Named("n", 7), sql.Named("text", "a"), sql.Named("blob", []byte("a")))
	require.NoError(t, err)
	assert.Equal(t, []database.Value{int64(7), "a", []byte("a"), "blob"}, r.Rows[0])
}
