package agent

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Command is a slash command. Every feature package's service is one.
type Command interface {
	// Command runs it with what follows its name and returns what to show.
	Command(ctx context.Context, args string) (string, error)
	// Help says in its first line what the command is for, then how to use it.
	Help() string
}

// CommandFunc makes a Command of a plain function.
func CommandFunc(fn func(ctx context.Context, args string) (string, error), help string) Command {
	return funcCommand{fn, help}
}

type funcCommand struct {
	fn   func(ctx context.Context, args string) (string, error)
	help string
}

func (c funcCommand) Command(ctx context.Context, args string) (string, error) {
	return c.fn(ctx, args)
}
func (c funcCommand) Help() string { return c.help }

// UnknownCommandError names a command that does not exist, and near ones that
// do. It wraps [ErrNotFound].
type UnknownCommandError struct {
	Name        string
	Suggestions []string
}

func (e *UnknownCommandError) Error() string {
	text := fmt.Sprintf("unknown command /%s", e.Name)
	if len(e.Suggestions) > 0 {
		return text + "; did you mean /" + strings.Join(e.Suggestions, " or /") + "?"
	}
	return text + "; /help lists the commands"
}

func (e *UnknownCommandError) Unwrap() error { return ErrNotFound }

// CommandInfo describes a registered command.
type CommandInfo struct {
	Name    string
	Aliases []string
	Help    string
}

type commandEntry struct {
	name    string
	aliases []string
	command Command
}

// commandSet routes lines to commands.
type commandSet struct {
	mu   sync.Mutex
	list []*commandEntry
}

// splitCommand takes "/name args" apart. A name is a word of letters, digits,
// '-', '_', '.' or ':', so that a path is not taken for a command.
func splitCommand(line string) (name, args string, ok bool) {
	line = strings.TrimSpace(line)
	rest, ok := strings.CutPrefix(line, "/")
	if !ok {
		return "", "", false
	}
	end := strings.IndexFunc(rest, unicode.IsSpace)
	if end < 0 {
		end = len(rest)
	}
	name = rest[:end]
	if name == "" {
		return "", "", false
	}
	for i, r := range name {
		word := unicode.IsLetter(r) || unicode.IsDigit(r)
		if !word && (i == 0 || !strings.ContainsRune("-_.:", r)) {
			return "", "", false
		}
	}
	return strings.ToLower(name), strings.TrimSpace(rest[end:]), true
}

// routes reports whether the line is meant as a command.
func (s *commandSet) routes(line string) bool {
	_, _, ok := splitCommand(line)
	return ok
}

func (s *commandSet) find(name string) *commandEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named(name)
}

// named is find with s.mu held.
func (s *commandSet) named(name string) *commandEntry {
	for _, e := range s.list {
		if e.name == name || slices.Contains(e.aliases, name) {
			return e
		}
	}
	return nil
}

// Command registers c as /name and under the aliases. Names are not case
// sensitive. It fails with [ErrDuplicate] when one of the names is taken.
func (a *Agent) Command(name string, c Command, aliases ...string) error {
	s := a.commands
	s.mu.Lock()
	defer s.mu.Unlock()
	names := append([]string{name}, aliases...)
	for i, n := range names {
		clean, args, ok := splitCommand("/" + n)
		if !ok || args != "" || c == nil {
			return fmt.Errorf("agent %s: command %q: want one word of letters, digits, '-', '_', '.' or ':' and a command", a.id, n)
		}
		if clean == "help" || s.named(clean) != nil || slices.Contains(names[:i], clean) {
			return fmt.Errorf("agent %s: command /%s: %w", a.id, clean, ErrDuplicate)
		}
		names[i] = clean
	}
	s.list = append(s.list, &commandEntry{name: names[0], aliases: names[1:], command: c})
	return nil
}

// Commands lists the commands by name.
func (a *Agent) Commands() []CommandInfo {
	a.commands.mu.Lock()
	list := slices.Clone(a.commands.list)
	a.commands.mu.Unlock()
	infos := make([]CommandInfo, len(list))
	for i, e := range list {
		infos[i] = CommandInfo{Name: e.name, Aliases: slices.Clone(e.aliases), Help: e.command.Help()}
	}
	slices.SortFunc(infos, func(x, y CommandInfo) int { return cmp.Compare(x.Name, y.Name) })
	return infos
}

// RunCommand runs a line "/name args"; the slash may be missing. It runs at
// once, beside the running input: submit the line as an input to have it wait
// its turn. /help lists the commands and "/help name" explains one. An unknown
// name is an [*UnknownCommandError].
func (a *Agent) RunCommand(ctx context.Context, line string) (string, error) {
	name, args, ok := splitCommand(line)
	if !ok {
		if name, args, ok = splitCommand("/" + strings.TrimSpace(line)); !ok {
			return "", fmt.Errorf("agent %s: %q is not a command: want /name args", a.id, line)
		}
	}
	if name == "help" {
		return a.help(args)
	}
	e := a.commands.find(name)
	if e == nil {
		return "", &UnknownCommandError{Name: name, Suggestions: a.commands.near(name)}
	}
	ctx = a.enter(ctx)
	var out string
	err := guard(func() (err error) {
		out, err = e.command.Command(ctx, args)
		return err
	})
	if err != nil {
		return out, fmt.Errorf("/%s: %w", name, err)
	}
	return out, nil
}

func (a *Agent) help(topic string) (string, error) {
	if topic = strings.TrimPrefix(strings.TrimSpace(topic), "/"); topic != "" {
		topic = strings.ToLower(topic)
		e := a.commands.find(topic)
		if e == nil {
			return "", &UnknownCommandError{Name: topic, Suggestions: a.commands.near(topic)}
		}
		text := "/" + e.name
		if len(e.aliases) > 0 {
			text += " (also /" + strings.Join(e.aliases, ", /") + ")"
		}
		return text + "\n" + e.command.Help(), nil
	}
	infos := a.Commands()
	width := len("help")
	for _, c := range infos {
		width = max(width, len(c.Name))
	}
	var b strings.Builder
	for _, c := range infos {
		first, _, _ := strings.Cut(c.Help, "\n")
		fmt.Fprintf(&b, "/%-*s  %s\n", width, c.Name, first)
	}
	fmt.Fprintf(&b, "/%-*s  lists the commands; /help name explains one", width, "help")
	return b.String(), nil
}

// near returns the names that a typo of name may have meant: those it begins,
// then those one or two edits away.
func (s *commandSet) near(name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	type candidate struct {
		name string
		far  int
	}
	var found []candidate
	for _, e := range s.list {
		best := -1
		for _, n := range append([]string{e.name}, e.aliases...) {
			far := distance(name, n)
			if strings.HasPrefix(n, name) {
				far = 0
			}
			if best < 0 || far < best {
				best = far
			}
		}
		if best <= min(2, len(name)-1) { // two edits cover a swap of neighbours
			found = append(found, candidate{e.name, best})
		}
	}
	slices.SortStableFunc(found, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(x.far, y.far), cmp.Compare(x.name, y.name))
	})
	names := make([]string, 0, 3)
	for _, c := range found[:min(3, len(found))] {
		names = append(names, c.name)
	}
	return names
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			above := row[j+1]
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(y)]
}
