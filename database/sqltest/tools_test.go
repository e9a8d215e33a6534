package sqltest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
	"github.com/tokenring-ai/tokenring-go/registry"
	"github.com/tokenring-ai/tokenring-go/utility/tool"
)

func TestTools(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			prepare(t, db, e.dialect)
			s := database.New(database.Options{MaxRows: 2, Approve: func(_ context.Context, w database.Write) (bool, error) {
				return !strings.HasPrefix(w.SQL, "DELETE"), nil
			}})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, AllowWrites: true}))
			_, err := db.Exec("CREATE TABLE big (id bigint PRIMARY KEY, price numeric(30,4))")
			require.NoError(t, err)
			call := func(name, args string) (string, error) {
				i := slices.IndexFunc(s.Tools(), func(tl tool.Tool) bool { return tl.Name == name })
				r, err := s.Tools()[i].Call(t.Context(), json.RawMessage(args))
				return r.Text, err
			}
			one, two := "?", "?"
			if e.dialect == database.Postgres {
				one, two = "$1", "$2"
			}
			text, err := call("db_execute", `{"sql":"INSERT INTO big VALUES (`+one+`, `+two+`)","args":[9007199254740993, 12345678901234.5678]}`)
			require.NoError(t, err)
			assert.Contains(t, text, "1 row changed")
			text, err = call("db_query", `{"database":"main","sql":"SELECT id, price FROM big WHERE id = `+one+`","args":[9007199254740993]}`)
			require.NoError(t, err)
			assert.Contains(t, text, "9007199254740993", "no digit is lost on either way")
			if e.dialect != database.SQLite { // which has no decimals
				assert.Contains(t, text, "12345678901234.5678")
			}
			text, err = call("db_query", `{"sql":"SELECT id FROM big WHERE id = `+one+`","args":[9007199254740992]}`)
			require.NoError(t, err)
			assert.NotContains(t, text, "rows", "its neighbour is another")
			text, err = call("db_query", `{"sql":"SELECT id FROM t"}`)
			require.NoError(t, err)
			assert.Contains(t, text, "cut by the limit of rows")
			text, err = call("db_query", `{"sql":"SELECT id FROM t","explain":true}`)
			require.NoError(t, err)
			assert.Contains(t, text, "t")
			text, err = call("db_schema", `{}`)
			require.NoError(t, err)
			assert.Contains(t, text, "big")
			text, err = call("db_schema", `{"tables":["b*"]}`)
			require.NoError(t, err)
			assert.Contains(t, text, "price")
			_, err = call("db_execute", `{"sql":"DELETE FROM t"}`)
			require.ErrorIs(t, err, database.ErrNotApproved)
			_, err = call("db_query", `{"sql":"DELETE FROM t"}`)
			require.ErrorIs(t, err, database.ErrRefused)
			_, err = call("db_query", `{"sql":"SELECT 1","database":"constructor"}`)
			require.ErrorIs(t, err, registry.ErrNotFound)
		})
	}
}
