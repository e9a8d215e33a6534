package filesystem

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Help describes the commands that Command takes.
func (s *Service) Help() string {
	return `/file list                 show the selected files
/file select <path>...     show files to the model with each request
/file unselect <path>...   stop showing them
/file clear                unselect all
/file show <path>          print a file
/file tree [dir]           list a directory
/file glob <pattern>       list files by pattern
/file search <text>        search file contents
/file changed              list what changed since the last clean state`
}

// Command carries out a person's command about files and returns what to show.
func (s *Service) Command(ctx context.Context, args string) (string, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(args), " ")
	rest = strings.TrimSpace(rest)
	names := strings.Fields(rest)
	need := func(what string) error {
		return fmt.Errorf("/file %s: give %s", verb, what)
	}
	switch verb {
	case "", "help":
		return s.Help(), nil
	case "list":
		if list := s.Selected(); len(list) > 0 {
			return strings.Join(list, "\n"), nil
		}
		return "no files are selected", nil
	case "select", "add":
		if len(names) == 0 {
			return "", need("one path or more")
		}
		if err := s.Select(ctx, names...); err != nil {
			return "", s.suggest(ctx, names[0], err)
		}
		return fmt.Sprintf("%d files are selected", len(s.Selected())), nil
	case "unselect", "remove":
		if len(names) == 0 {
			return "", need("one path or more")
		}
		return fmt.Sprintf("%d files were unselected", s.Unselect(names...)), nil
	case "clear":
		return fmt.Sprintf("%d files were unselected", s.Unselect(s.Selected()...)), nil
	case "show":
		if rest == "" {
			return "", need("a path")
		}
		w, err := s.ReadLines(ctx, rest, 1, readLimit)
		if err != nil {
			return "", s.suggest(ctx, rest, err)
		}
		return w.String(), nil
	case "tree":
		return s.Tree(ctx, rest, TreeOptions{})
	case "glob":
		if rest == "" {
			return "", need("a pattern")
		}
		return s.globText(ctx, rest)
	case "search":
		if rest == "" {
			return "", need("a text")
		}
		r, err := s.Search(ctx, Query{Patterns: []string{rest}})
		if err != nil {
			return "", err
		}
		return r.String(), nil
	case "changed":
		if list := s.Changed(); len(list) > 0 {
			return strings.Join(list, "\n"), nil
		}
		return "nothing changed", nil
	}
	return "", errors.New("unknown command /file " + verb + "\n" + s.Help())
}
