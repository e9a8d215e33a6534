package database

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Errors of a service. They come wrapped; test with errors.Is.
var (
	// ErrRefused is wrapped by every error about a statement that was not run.
	ErrRefused = errors.New("statement refused")

	// ErrReadOnly is an ErrRefused for a write to a provider that takes none.
	ErrReadOnly = fmt.Errorf("%w: this database is read-only here", ErrRefused)

	// ErrNotApproved is an ErrRefused for a write that was not approved.
	ErrNotApproved = fmt.Errorf("%w: the write was not approved", ErrRefused)
)

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)
}

// checked is a statement that passed the check of its text.
type checked struct {
	sql string
	// plain says that no reading whatsoever can see two statements in it, so
	// that it may be sent as it is.
	plain bool

	inserts bool // it is INSERT or REPLACE
	counts  bool // it changes rows, as CREATE does not
	returns bool // it has RETURNING, so that it may have rows
}

// checks remembers texts that passed, because programs and agents send the same
// ones again and again.
type checks struct {
	passed *lru.Cache[checkKey, checked]
}

type checkKey struct {
	dialect Dialect
	write   bool
	sql     string
}

// What checks may take: 256 texts of 4 KiB at most.
const (
	maxChecks     = 256
	maxCheckedLen = 4 << 10
)

func newChecks() checks {
	passed, err := lru.New[checkKey, checked](maxChecks)
	if err != nil {
		panic("database: " + err.Error()) // the size is positive
	}
	return checks{passed}
}

func (c checks) check(d Dialect, sql string, write bool) (checked, error) {
	if len(sql) > maxCheckedLen {
		return d.check(sql, write)
	}
	key := checkKey{d, write, sql}
	if st, ok := c.passed.Get(key); ok {
		return st, nil
	}
	st, err := d.check(sql, write)
	if err == nil {
		c.passed.Add(key, st)
	}
	return st, err
}

// check refuses texts that are not one statement of the wanted kind in every
// reading of the dialect. It is the second gate; the engine is the first.
func (d Dialect) check(sql string, write bool) (checked, error) {
	sql = strings.TrimSpace(sql)
	if strings.IndexByte(sql, 0) >= 0 {
		return checked{}, refused("it contains a NUL byte")
	}
	st := checked{sql: sql, plain: !strings.Contains(strings.TrimRight(sql, "; \t\r\n"), ";")}
	for _, reading := range d.readings(sql) {
		tokens := reading.scan(sql)
		if err := d.checkReading(tokens, write); err != nil {
			return checked{}, err
		}
		verb := first(tokens)
		st.inserts = st.inserts || verb == "INSERT" || verb == "REPLACE"
		st.counts = st.counts || verb == "WITH" || slices.Contains(dmlWords, verb)
		st.returns = st.returns || slices.ContainsFunc(tokens, func(t token) bool { return t.text == "RETURNING" })
	}
	return st, nil
}

func (d Dialect) checkReading(tokens []token, write bool) error {
	for len(tokens) > 0 && tokens[len(tokens)-1].text == ";" {
		tokens = tokens[:len(tokens)-1]
	}
	if len(tokens) == 0 {
		return refused("it is empty")
	}
	for i, t := range tokens {
		switch t.text {
		case ";":
			return refused("one call takes one statement; send them one by one")
		case executedComment:
			return refused("comments that MySQL executes are not allowed")
		case tclVariable:
			return refused("variables with parentheses are not allowed")
		case escapedName:
			return refused("names with Unicode escapes are not allowed")
		}
		if t.name != "" && i > 0 && i+1 < len(tokens) && tokens[i+1].text == "(" && d.harmful(t.name) &&
			!slices.Contains([]string{"INTO", "TABLE", "EXISTS"}, tokens[i-1].text) { // after which it is a table
			return refused("the function %s does more than a statement should", strings.ToLower(t.name))
		}
	}
	if write {
		return d.checkWrite(tokens)
	}
	return d.checkQuery(tokens)
}

// The words that may begin a statement, and those that an explanation may begin
// with.
var (
	queryWords   = []string{"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"}
	dmlWords     = []string{"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"}
	explainWords = []string{"SELECT", "WITH", "VALUES", "TABLE"}
	writeWords   = []string{"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "WITH", "CREATE", "ALTER", "DROP", "TRUNCATE", "ANALYZE", "REINDEX", "COMMENT"}
)

func (d Dialect) checkQuery(tokens []token) error {
	verb := first(tokens)
	if !slices.Contains(queryWords, verb) || d == SQLite && (verb == "SHOW" || verb == "TABLE" || strings.HasPrefix(verb, "DESC")) {
		return refused("a query begins with SELECT, WITH, VALUES or EXPLAIN, not %s", shown(verb))
	}
	if (verb == "EXPLAIN" || strings.HasPrefix(verb, "DESC")) && !d.explainsQuery(tokens) && !d.describesTable(tokens) {
		return refused("only queries may be explained")
	}
	for i, t := range tokens {
		if t.quoted {
			continue
		}
		next := ""
		if i+1 < len(tokens) && !tokens[i+1].quoted {
			next = tokens[i+1].text
		}
		switch {
		case t.text == "INTO":
			return refused("a query must not write INTO anything")
		case t.text == "FOR" && (next == "UPDATE" || next == "SHARE" || next == "NO" || next == "KEY"),
			t.text == "LOCK" && next == "IN":
			return refused("a query must not lock rows")
		case t.text == "VALUE" && next == "FOR":
			return refused("a query must not take from a sequence")
		case t.text == ":" && next == "=" && d == MySQL:
			return refused("a query must not set variables")
		case t.text == "DELETE" && next == "FROM",
			slices.Contains(dmlWords, t.text) && i > 0 && (tokens[i-1].text == "(" || tokens[i-1].text == ")") &&
				(next != "(" || t.text != "REPLACE" && t.text != "INSERT"): // which are functions too
			return refused("a query must not contain %s; writes are statements of their own", t.text)
		}
	}
	return nil
}

// What CREATE, ALTER and DROP may be about, and the words that may stand between.
// What code in the database, its roles and its settings could do is not this
// package's to bound.
var (
	objects   = []string{"TABLE", "VIEW", "INDEX", "SEQUENCE", "TYPE", "DOMAIN", "SCHEMA", "STATISTICS", "COLLATION"}
	modifiers = []string{"OR", "REPLACE", "TEMP", "TEMPORARY", "GLOBAL", "LOCAL", "UNLOGGED", "UNIQUE", "FULLTEXT", "SPATIAL", "MATERIALIZED", "RECURSIVE", "ONLINE", "IGNORE"}
)

func (d Dialect) checkWrite(tokens []token) error {
	verb := first(tokens)
	if !slices.Contains(writeWords, verb) {
		return refused("a write begins with INSERT, UPDATE, DELETE or a definition such as CREATE TABLE, not %s", shown(verb))
	}
	writes := false
	for _, t := range tokens {
		switch {
		case t.quoted:
		case t.text == "OUTFILE" || t.text == "DUMPFILE":
			return refused("a write must not go to a file")
		case slices.Contains(dmlWords, t.text):
			writes = true
		}
	}
	switch verb {
	case "WITH":
		if !writes {
			return refused("it changes nothing; send it as a query")
		}
	case "CREATE", "ALTER", "DROP":
		about := tokens[1:]
		for len(about) > 0 && slices.Contains(modifiers, about[0].text) {
			about = about[1:]
		}
		if len(about) == 0 || !slices.Contains(objects, about[0].text) || d == MySQL && about[0].text == "SCHEMA" {
			return refused("%s is for tables, views, indexes and the like; the rest is for an administrator", verb)
		}
	}
	return nil
}

// explainsQuery reports whether EXPLAIN is followed, after its options, by a
// query.
func (d Dialect) explainsQuery(tokens []token) bool {
	depth := 0
	for _, t := range tokens[1:] {
		switch {
		case t.text == "(":
			depth++
		case t.text == ")":
			depth--
		case depth > 0 || t.quoted:
		case slices.Contains(explainWords, t.text):
			return true
		case !slices.Contains([]string{"ANALYZE", "VERBOSE", "QUERY", "PLAN", "FORMAT", "=", "JSON", "TREE", "TRADITIONAL", "EXTENDED", "PARTITIONS"}, t.text):
			return false
		}
	}
	// EXPLAIN (SELECT …) is the same as without parentheses.
	for _, t := range tokens[1:] {
		if t.text != "(" {
			return slices.Contains(explainWords, t.text)
		}
	}
	return false
}

// describesTable reports whether it is MySQL's other use of EXPLAIN: a table, which
// may have a schema, and perhaps a column of it.
func (d Dialect) describesTable(tokens []token) bool {
	if d != MySQL || len(tokens) < 2 || len(tokens) > 5 {
		return false
	}
	for _, t := range tokens[1:] {
		if t.text != "." && t.name == "" || !t.quoted && slices.Contains(dmlWords, t.text) {
			return false
		}
	}
	return true
}

// first returns the first word, within parentheses too.
func first(tokens []token) string {
	for _, t := range tokens {
		if t.text != "(" {
			return t.text
		}
	}
	return ""
}

func shown(verb string) string {
	if len(verb) > 20 {
		verb = verb[:20] + "…"
	}
	return fmt.Sprintf("%q", verb)
}

// harmful reports whether a function, in upper case, does something that a
// read-only transaction or query-only connection does not prevent: it reaches
// files, other servers, other sessions, settings or locks, or outlives the
// rollback.
func (d Dialect) harmful(name string) bool {
	switch d {
	case Postgres:
		for _, prefix := range [...]string{
			// files, other servers, other programs
			"DBLINK", "LO_", "PG_READ_", "PG_LS_", "PG_STAT_FILE", "PG_FILE_", "PG_LOG", "PG_HBA_", "PG_CURRENT_LOGFILE",
			// other sessions and the server
			"PG_ADVISORY_", "PG_TRY_ADVISORY_", "PG_TERMINATE_", "PG_CANCEL_", "PG_RELOAD_", "PG_ROTATE_", "PG_SWITCH_", "PG_CREATE_", "PG_DROP_",
			"PG_PROMOTE", "PG_BACKUP_", "PG_START_BACKUP", "PG_STOP_BACKUP", "PG_REPLICATION_", "PG_WAL_", "PG_STAT_RESET", "PG_STAT_STATEMENTS_RESET",
			"PG_NOTIFY", "PG_SLEEP", "PG_SYNC_", "PG_COPY_", "PG_IMPORT_", "PG_EXTENSION_CONFIG", "PG_PREWARM", "AUTOPREWARM_", "PG_BUFFERCACHE_EVICT",
			// what is stored, below transactions
			"BRIN_SUMMARIZE_", "BRIN_DESUMMARIZE_", "GIN_CLEAN_", "PG_TRUNCATE_VISIBILITY_MAP", "HEAP_FORCE_",
			// statements in strings
			"QUERY_TO_XML", "DATABASE_TO_XML", "TABLE_TO_XML", "SCHEMA_TO_XML", "CURSOR_TO_XML", "TS_STAT", "TS_REWRITE", "CROSSTAB", "CONNECTBY", "XPATH_TABLE",
		} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return slices.Contains([]string{"SET_CONFIG", "SETVAL", "NEXTVAL", "SETSEED", "LOREAD", "LOWRITE", "SEPGSQL_SETCON", "TXID_CURRENT", "PG_CURRENT_XACT_ID"}, name)
	case MySQL:
		for _, prefix := range [...]string{
			// of replication, and of plugins that come with the servers
			"ASYNCHRONOUS_CONNECTION_FAILOVER_", "GROUP_REPLICATION_", "KEYRING_KEY_", "SERVICE_GET_", "SERVICE_RELEASE_", "VERSION_TOKENS_", "AUDIT_LOG_", "SPIDER_",
		} {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return slices.Contains([]string{"LOAD_FILE", "SLEEP", "BENCHMARK", "GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS",
			"NEXTVAL", "SETVAL", "MASTER_POS_WAIT", "SOURCE_POS_WAIT", "MASTER_GTID_WAIT", "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS", "WAIT_FOR_EXECUTED_GTID_SET", "SYS_EXEC", "SYS_EVAL", "SYS_SET"}, name)
	default:
		return slices.Contains([]string{"LOAD_EXTENSION", "WRITEFILE", "READFILE", "FSDIR", "EDIT", "EVAL", "FTS3_TOKENIZER", "PRAGMA_OPTIMIZE"}, name)
	}
}
