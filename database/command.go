package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Help describes the slash command.
func (s *Service) Help() string {
	return `Databases. DB may be left out if there is only one:
  list                  list the databases
  ping [DB]             check that one answers
  tables [DB] [PATTERN] list tables, or describe those that match
  query [DB] SQL        run a statement that reads
  plan [DB] SQL         show how a query would run
  execute [DB] SQL      run a statement that writes, after approval
  stats                 show counters and connections`
}

// Command runs one command line, such as "query main SELECT 1", and returns what
// to show. It has no control characters but tabs and line breaks, whatever a
// database holds.
func (s *Service) Command(ctx context.Context, args string) (string, error) {
	shown, err := s.command(ctx, args)
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, shown), err
}

func (s *Service) command(ctx context.Context, args string) (string, error) {
	verb, rest := cutWord(strings.TrimSpace(args))
	db, rest := s.cutProvider(rest)
	switch verb {
	case "", "list":
		if s.providers.Len() == 0 {
			return "no databases", nil
		}
		return s.list(), nil
	case "ping":
		if err := s.Ping(ctx, db+rest); err != nil {
			return "", err
		}
		return "it answers", nil
	case "tables":
		return s.schemaText(ctx, db, strings.Fields(rest))
	case "query", "plan", "execute":
		if rest == "" {
			return "", errors.New(verb + ": give a statement, as in: " + verb + " SELECT 1")
		}
		if verb == "plan" {
			return s.Plan(ctx, db, rest)
		}
		run := s.Query
		if verb == "execute" {
			run = s.Execute
		}
		r, err := run(ctx, db, rest)
		if err != nil {
			return "", err
		}
		return r.String(), nil
	case "stats":
		return s.statsText(), nil
	default:
		return "", fmt.Errorf("unknown command %q\n%s", verb, s.Help())
	}
}

// cutProvider takes the name of a database from the beginning of a line.
func (s *Service) cutProvider(line string) (name, rest string) {
	word, after := cutWord(line)
	if _, ok := s.providers.Get(word); ok {
		return word, after
	}
	return "", line
}

// cutWord splits a text after its first word; line breaks end words too.
func cutWord(text string) (word, rest string) {
	i := strings.IndexFunc(text, unicode.IsSpace)
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

func (s *Service) statsText() string {
	st := s.Stats()
	var b strings.Builder
	fmt.Fprintf(&b, "%d queries took %v (%d failed, %d results cut), %d more were cached; %d writes took %v (%d failed); %d statements refused",
		st.Queries, st.QueryTime, st.QueriesFailed, st.Truncated, st.CacheHits, st.Writes, st.WriteTime, st.WritesFailed, st.Refused)
	for name, p := range s.providers.All() {
		pool := p.read().Stats()
		fmt.Fprintf(&b, "\n%s: %d connections open of %d, %d in use, %d waits",
			name, pool.OpenConnections, pool.MaxOpenConnections, pool.InUse, pool.WaitCount)
	}
	return b.String()
}
