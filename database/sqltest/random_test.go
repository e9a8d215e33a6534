package sqltest

import (
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenring-ai/tokenring-go/database"
)

// pieces are what texts are made of that a check and an engine might read in
// different ways.
var pieces = []string{
	"SELECT ", "SELECT 1", "WITH x AS (SELECT 1) ", "VALUES (1)", "EXPLAIN ", "name", "1", ", ", "(", ")", " ",
	"'", "''", `"`, `""`, "`", "[", "]", `\`, "--", "-- ", "#", "/*", "*/", "/*!", "/*M!", "\n", "\r", "\t", "\f", "\v", "\u00a0", "\ufeff",
	"$$", "$a$", "$x(", "@x::y(", ":z", "?", "?1", "E'", "U&'", `U&"`, "x'", "N'", "_utf8'", " UESCAPE '!' ", "1e", "0x", ".5",
	"; ", ";", "; DELETE FROM t ", "; PRAGMA query_only = OFF; DELETE FROM t ", "; COMMIT; DELETE FROM t ", "; SET SESSION TRANSACTION READ WRITE; DELETE FROM t ",
	"--\x7f", "E'\\'' ", ", pg_advisory_lock(1) ", ", get_lock('tokenring', 0) ", "DELETE FROM t", " UNION SELECT 1 ", " FROM t ", " INTO OUTFILE '/tmp/tokenring-escape9' ",
}

// TestRandomEscapes looks for a text that the check takes for one statement and an
// engine for two.
func TestRandomEscapes(t *testing.T) {
	n := 2_000
	if os.Getenv("TOKENRING_LONG") != "" {
		n = 500_000
	}
	ansi := engine{"mariadb ansi quotes", database.MySQL, func(t testing.TB) *sql.DB { return mariadb.open(t, "&sql_mode=%27ANSI_QUOTES%27") }}
	for _, e := range append(engines(), ansi) {
		t.Run(e.name, func(t *testing.T) {
			db := e.open(t)
			prepare(t, db, e.dialect)
			before := fingerprint(t, db, e.dialect)
			s := database.New(database.Options{})
			require.NoError(t, s.Register(database.Provider{Name: "main", DB: db, Dialect: e.dialect, Pool: database.Pool{MaxOpen: 2}}))
			random := rand.New(rand.NewPCG(1, 2))
			ran := 0
			for range n {
				var b strings.Builder
				b.WriteString(pieces[random.IntN(5)])
				for range random.IntN(12) {
					b.WriteString(pieces[random.IntN(len(pieces))])
				}
				_, err := s.Query(t.Context(), "", b.String())
				if errors.Is(err, database.ErrRefused) {
					continue
				}
				ran++
				var rows int
				require.NoError(t, db.QueryRow("SELECT count(*) FROM t").Scan(&rows))
				require.Equal(t, 3, rows, "%q", b.String())
			}
			require.Equal(t, before, fingerprint(t, db, e.dialect))
			require.Greater(t, ran, n/100, "engines saw some of them")
		})
	}
	_, err := os.Stat("/tmp/tokenring-escape9")
	require.ErrorIs(t, err, os.ErrNotExist)
}
