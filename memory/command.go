package memory

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Help describes the slash command.
func (s *Store) Help() string {
	return `Memories:
  list                      list memories with their positions and IDs
  add TEXT                  add one; words that begin with # become tags
  edit ID TEXT              replace its text
  remove ID...              remove some
  splice START COUNT [TEXT] remove COUNT from position START on and put TEXT there
  pin ID..., unpin ID...    keep from eviction, or not
  search WORDS              search
  clear                     remove all, pinned ones included
  stats                     show sizes`
}

// Command runs one command line, such as "add the build needs make", and
// returns what to show.
func (s *Store) Command(ctx context.Context, args string) (string, error) {
	verb, rest := cutWord(args)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		switch verb {
		case "add", "edit", "remove", "splice", "pin", "unpin", "search":
			return "", fmt.Errorf("%s needs more words\n%s", verb, s.Help())
		}
	}
	switch verb {
	case "", "list":
		return s.list(-1), nil
	case "add":
		it := Item{Source: "user"}
		it.Text, it.Tags = cutTags(rest)
		ids, err := s.Add(it)
		if err != nil {
			return "", err
		}
		return "added " + ids[0], nil
	case "edit":
		id, text := cutWord(rest)
		if err := s.Edit(id, func(it *Item) { it.Text = text }); err != nil {
			return "", err
		}
		return "changed " + id, nil
	case "remove":
		if err := s.Remove(fields...); err != nil {
			return "", err
		}
		return fmt.Sprintf("removed %d", len(fields)), nil
	case "splice":
		return s.spliceCommand(rest)
	case "pin", "unpin":
		for _, id := range fields {
			if err := s.Edit(id, func(it *Item) { it.Pinned = verb == "pin" }); err != nil {
				return "", err
			}
		}
		return verb + "ned " + strings.Join(fields, ", "), nil
	case "search":
		found, err := s.Search(ctx, rest, 0)
		if err != nil {
			return "", err
		}
		return matchList(found), nil
	case "clear":
		return fmt.Sprintf("removed %d", s.Clear()), nil
	case "stats":
		st := s.Stats()
		return fmt.Sprintf("%d memories, %d pinned, %d bytes, about %d tokens; %d added, %d renewed, %d evicted",
			st.Items, st.Pinned, st.Bytes, st.Tokens, st.Added, st.Renewed, st.Evicted), nil
	default:
		return "", fmt.Errorf("unknown command %q\n%s", verb, s.Help())
	}
}

func (s *Store) spliceCommand(rest string) (string, error) {
	first, rest := cutWord(rest)
	second, text := cutWord(rest)
	if second == "" {
		return "", errors.New("splice: want START and COUNT, as in: splice 0 1 the new text")
	}
	start, err1 := strconv.Atoi(first)
	count, err2 := strconv.Atoi(second)
	if err1 != nil || err2 != nil {
		return "", fmt.Errorf("splice: START and COUNT are numbers, not %q and %q", first, second)
	}
	var items []Item
	if text != "" {
		it := Item{Source: "user"}
		it.Text, it.Tags = cutTags(text)
		items = append(items, it)
	}
	removed, err := s.Splice(start, count, items...)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("removed %d, added %d", len(removed), len(items)), nil
}

// cutWord takes the first word off a text, and the white space around both.
func cutWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

// cutTags takes the words that begin with # out of a text.
func cutTags(text string) (string, []string) {
	var words, tags []string
	for _, w := range strings.Fields(text) {
		if tag, ok := strings.CutPrefix(w, "#"); ok && tag != "" && !strings.HasPrefix(tag, "#") {
			tags = append(tags, tag)
		} else {
			words = append(words, w)
		}
	}
	if tags == nil {
		return text, nil
	}
	return strings.Join(words, " "), tags
}

// list renders the items: the newest limit ones, 0 meaning 10 and a negative
// number all.
func (s *Store) list(limit int) string {
	items := s.snapshot()
	if len(items) == 0 {
		return "no memories"
	}
	if limit == 0 {
		limit = 10
	}
	from := 0
	if limit > 0 {
		from = max(0, len(items)-limit)
	}
	var b strings.Builder
	if from > 0 {
		fmt.Fprintf(&b, "(%d older ones are not shown)\n", from)
	}
	for i, e := range items[from:] {
		fmt.Fprintf(&b, "%d  %s\n", from+i, line(&e.Item))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func matchList(found []Match) string {
	if len(found) == 0 {
		return "no memory matches"
	}
	var b strings.Builder
	for i := range found {
		fmt.Fprintf(&b, "%.2f  %s\n", found[i].Score, line(&found[i].Item))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func line(it *Item) string {
	var b strings.Builder
	b.WriteString(it.ID)
	if it.Pinned {
		b.WriteString(" (pinned)")
	}
	for _, t := range it.Tags {
		b.WriteString(" #" + t)
	}
	b.WriteString("  " + strings.Join(strings.Fields(it.Text), " "))
	return b.String()
}
